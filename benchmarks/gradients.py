"""Speed and quality of the gradient engine, compared with its predecessors; prints one JSON object.

    python -m benchmarks.gradients

Batch 8 x 131072 samples at 24 kHz, Reverb with its five parameters, and a chain of five effects. Variants run in
interleaved rounds; a reported ratio is the median of the rounds' ratios, so that a slow moment of the machine counts on
both sides. `ours_over_bound` compares one forward and backward pass of 1 + 2 renders with the bare renders of the same
settings on as many threads as there are cores, each with an equal share of them.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pedalboard
from pedalboard._pedalboard import Pedalboard

from benchmarks.common import interleave, median_ratio, print_json
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.effects.units import BuiltinUnit
from dafxvae.gradients.estimators import Estimator, make_effect
from dafxvae.gradients.measure.problems import ContinuousPart, Sampling, make_problem, mrstft_loss, real_clips
from dafxvae.gradients.measure.quality import Meter, measure
from dafxvae.gradients.schemes import draw_probes

BATCH, SAMPLES, RATE = 8, 131072, 24000
ROUNDS, CHAIN_ROUNDS = 15, 6
STEP = 1e-3
CHAIN = "PeakFilter | Compressor | Distortion | Chorus | Reverb"
SMOOTH = (  # K >= 4, and no delay line or LFO
    "Reverb",
    "Compressor",
    "PeakFilter | Compressor",
    "LowShelfFilter | PeakFilter | HighShelfFilter",
    "PeakFilter | Distortion | Reverb",
)


def build(name: str) -> Any:
    """The bare Pedalboard object of a built-in or chain, at its default settings."""
    plugins = [getattr(pedalboard, part.strip())() for part in name.split("|")]
    return plugins[0] if len(plugins) == 1 else Pedalboard(plugins)


def fresh(host: ChainHost, physical: np.ndarray) -> Any:
    """A new Pedalboard object with the given settings `[K]`."""
    units = [unit for unit in host.chain.units if isinstance(unit, BuiltinUnit)]
    settings = host.chain.settings(physical, 0, len(units))
    plugins = [unit.instance(values, RATE) for unit, values in zip(units, settings)]
    return plugins[0] if len(plugins) == 1 else Pedalboard(plugins)


def set_all(plugin: Any, names: tuple[str, ...], physical: np.ndarray) -> None:
    """Moves the knobs of one living plugin, as the predecessors do."""
    for name, value in zip(names, physical):
        setattr(plugin, name, float(value))


def bare_renders(host: ChainHost, audio: np.ndarray, rows: np.ndarray) -> Callable[[], None]:
    """The bound: the renders alone of `rows [B, R, K]`, an equal share of them on each core."""
    physical = host.parameters.to_physical(rows)
    jobs = [(b, r) for r in range(rows.shape[1]) for b in range(len(audio))]
    cores = len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(cores)

    def share(first: int) -> None:
        for b, r in jobs[first::cores]:
            fresh(host, physical[b, r]).process(audio[b, :, 0], RATE)

    def run() -> None:
        for _ in pool.map(share, range(cores)):
            pass

    return run


def serial_loop(host: ChainHost, audio: np.ndarray, params: np.ndarray, upstream: np.ndarray) -> Callable[[], Any]:
    """A Python loop over the batch, one plugin for all, mono doubled to stereo, 1 + 4 renders an item."""
    plugin, names = build(host.name), host.parameters.names
    to_physical = host.parameters.to_physical
    rng = np.random.default_rng(0)

    def render(stereo: np.ndarray, settings: np.ndarray) -> np.ndarray:
        set_all(plugin, names, to_physical(settings))
        return plugin.process(stereo, RATE).mean(axis=0)

    def run() -> list[np.ndarray]:
        gradients = []
        for item, settings, cotangent in zip(audio, params, upstream):
            stereo = np.repeat(item.T, 2, axis=0)
            render(stereo, settings)
            for _ in range(2):  # a gradient to the settings, and one to the input that nobody uses
                signs = rng.choice([-1.0, 1.0], settings.shape)
                moved = render(stereo, settings + STEP * signs) - render(stereo, settings - STEP * signs)
                gradients.append(np.dot(cotangent[:, 0], moved) / (2 * STEP * signs))
        return gradients

    return run


def serve_item(pipe: Connection, name: str) -> None:
    """One process an item: renders forward, then returns the gradient of the settings for an upstream gradient."""
    host = open_host(name, num_workers=1)
    plugin, names, to_physical = build(name), host.parameters.names, host.parameters.to_physical
    rng = np.random.default_rng(0)

    def render(audio: np.ndarray, settings: np.ndarray) -> np.ndarray:
        set_all(plugin, names, to_physical(settings))
        return plugin.process(audio, RATE)

    while (message := pipe.recv()) is not None:
        audio, settings, cotangent = message
        if cotangent is None:
            pipe.send(render(audio, settings))
            continue
        signs = rng.choice([-1.0, 1.0], settings.shape)
        moved = render(audio, settings + STEP * signs) - render(audio, settings - STEP * signs)
        pipe.send(np.dot(cotangent, moved) / (2 * STEP * signs))
    host.close()


def process_pool(host: ChainHost, audio: np.ndarray, params: np.ndarray, upstream: np.ndarray) -> tuple:
    """A process an item, audio pickled through pipes, 1 + 2 renders; the round, and how to end the processes."""
    context = multiprocessing.get_context("spawn")
    workers = []
    for _ in range(len(audio)):
        ours, theirs = context.Pipe()
        worker = context.Process(target=serve_item, args=(theirs, host.name), daemon=True)
        worker.start()
        workers.append((worker, ours))

    def exchange(messages: list) -> list:
        for (_, pipe), message in zip(workers, messages):
            pipe.send(message)
        return [pipe.recv() for _, pipe in workers]

    def run() -> list:
        exchange([(x[:, 0], p, None) for x, p in zip(audio, params)])
        return exchange([(x[:, 0], p, u[:, 0]) for x, p, u in zip(audio, params, upstream)])

    def close() -> None:
        for worker, pipe in workers:
            pipe.send(None)
            worker.join()

    return run, close


def ours(host: ChainHost, estimator: Estimator, audio: np.ndarray, params: np.ndarray, upstream: np.ndarray) -> tuple:
    """Forward and backward under jit; also the rows that it renders."""
    effect = make_effect(lambda audio, unit_params: host.render_variants(audio, unit_params, RATE), estimator)
    keys = jax.random.split(jax.random.key(0), BATCH)

    @jax.jit
    def step(x: jax.Array, p: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        output, pull = jax.vjp(lambda theta: effect(x, theta, keys), p)
        return output, pull(u)[0]

    arguments = [jnp.asarray(x) for x in (audio, params, upstream)]
    rows = np.concatenate([params[:, None], np.asarray(draw_probes(estimator, arguments[1], keys).settings)], axis=1)
    return (lambda: jax.block_until_ready(step(*arguments))), rows


def speed(audio: np.ndarray) -> dict[str, float]:
    """Reverb: ours, the bound, and the predecessors."""
    rng = np.random.default_rng(0)
    upstream = rng.normal(size=audio.shape).astype(np.float32)
    with open_host("Reverb") as host:
        params = rng.uniform(0.1, 0.9, (BATCH, len(host.parameters))).astype(np.float32)
        step, rows = ours(host, Estimator("spsa", 1, STEP), audio, params, upstream)
        exact, exact_rows = ours(host, Estimator("orthogonal", 0, STEP), audio, params, upstream)
        process, close = process_pool(host, audio, params, upstream)
        variants = {
            "bound": bare_renders(host, audio, rows),
            "ours": step,
            "exact": exact,
            "serial": serial_loop(host, audio, params, upstream),
            "process": process,
        }
        times = interleave(variants, ROUNDS)
        close()
    over = {name: median_ratio(times[name], times["ours"]) for name in ("serial", "process", "exact")}
    return {
        "ours_over_bound": median_ratio(times["ours"], times["bound"]),
        **{f"{name}_over_ours": ratio for name, ratio in over.items()},
        **{f"{name}_ms": 1e3 * float(np.median(values)) for name, values in times.items()},
        "renders": int(rows.shape[0] * rows.shape[1]),
        "exact_renders": int(exact_rows.shape[0] * exact_rows.shape[1]),
    }


def chain_speed(audio: np.ndarray) -> dict[str, float]:
    """Five effects: simultaneous probes, and one direction of each effect, whose probes render only what follows it."""
    rng = np.random.default_rng(0)
    upstream = rng.normal(size=audio.shape).astype(np.float32)
    with open_host(CHAIN) as host:
        size = len(host.parameters)
        blocks = tuple(len(unit.parameters) for unit in host.chain.units)
        params = rng.uniform(0.1, 0.9, (BATCH, size)).astype(np.float32)
        step, rows = ours(host, Estimator("spsa", 1, STEP), audio, params, upstream)
        blocked, blocked_rows = ours(host, Estimator("orthogonal", 0, STEP, blocks=blocks), audio, params, upstream)
        variants = {
            "bound": bare_renders(host, audio, rows),
            "ours": step,
            "blocks": blocked,
            "blocks_bound": bare_renders(host, audio, blocked_rows),
        }
        times = interleave(variants, CHAIN_ROUNDS)
    return {
        "chain_parameters": size,
        "chain_ours_over_bound": median_ratio(times["ours"], times["bound"]),
        "chain_blocks_over_bound": median_ratio(times["blocks"], times["blocks_bound"]),
        "chain_ours_ms": 1e3 * float(np.median(times["ours"])),
        "chain_blocks_ms": 1e3 * float(np.median(times["blocks"])),
    }


def quality() -> dict[str, Any]:
    """Cosine to the true gradient: the best estimator at K + 1 renders against central SPSA at as many."""
    sampling = Sampling(num_settings=32, clip_samples=16384)
    ratios, best = {}, {}
    for name in SMOOTH:
        with open_host(name) as host:
            box = ContinuousPart(host, sampling.sample_rate)
            size = len(box.indices)
            problem = make_problem(box, sampling)
            estimators = [Estimator(kind, size, STEP) for kind in ("orthogonal", "finite_difference")]
            estimators.append(Estimator("spsa", -(-size // 2), STEP))
            rows = measure(Meter(box, mrstft_loss), problem, estimators, lambda e: (e.num_probes,))
        others = [row for row in rows if row.name != "spsa"]
        chosen = max(others, key=lambda row: row.cosine)
        spsa = max(row.cosine for row in rows if row.name == "spsa")  # K + 1 renders, or one more when K is odd
        ratios[name] = chosen.cosine / spsa
        best[name] = {"estimator": f"{chosen.name}, {chosen.level}", "best": chosen.cosine, "spsa": spsa, "K": size}
    return {
        "cosine_over_spsa1": float(np.mean(list(ratios.values()))),
        "cosine_over_spsa1_by_effect": ratios,
        "cosines": best,
    }


def main() -> None:
    started = time.perf_counter()
    audio = real_clips(Sampling(num_settings=BATCH, clip_samples=SAMPLES, sample_rate=RATE))
    result: dict[str, Any] = {**speed(audio), **chain_speed(audio), **quality()}
    result["cores"] = len(os.sched_getaffinity(0))
    result["benchmark_seconds"] = time.perf_counter() - started
    print_json(result)


if __name__ == "__main__":
    main()
