"""Throughput of the render pool: `python -m benchmarks.host` prints one JSON object.

Per effect: `scaling`, the throughput of the pool with two workers over that of one plain thread calling Pedalboard;
`overhead`, what a pool of one worker adds to the raw time of the same renders. At the top, the worst of each over the
effects. `process_scaling` is the scaling of two child processes fed through shared memory, as VST3 plugins are; here
they render the same built-ins. Each takes turns with the raw renders, and the fastest round counts, as timeit has it:
what else runs on the machine can only add. `overhead_cpu` is the overhead in processor time, which a busy machine
hardly touches; `cores_free` measures how busy it was: how much faster two threads of pure computing were than one.
"""

import hashlib
import platform
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numpy as np
from pedalboard._pedalboard import Pedalboard

from benchmarks.common import print_json, seconds_of
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.effects.pool import RenderPool, RenderWorker
from dafxvae.effects.vst3.discovery import plugin_process

NUM_CLIPS = 24
NUM_SAMPLES = 131072
SAMPLE_RATE = 24000
ROUNDS = 25
EFFECTS = {
    "Reverb": "Reverb",
    "Compressor": "Compressor",
    "five effects": "HighpassFilter | PeakFilter | HighShelfFilter | Compressor | Reverb",
}


def raw_renders(host: ChainHost, audio: np.ndarray, unit_params: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """The same renders by Pedalboard alone, in this thread: plugins made and settings turned beforehand.

    The outputs are kept until the last is there, as they are by whoever wants them: memory that is written and not at
    once used again is what renders cost without us.
    """
    units = host.chain.units
    physical = host.parameters.to_physical(unit_params)
    plugins = []
    for row in physical:
        chain = [
            unit.instance(values, SAMPLE_RATE)  # pyright: ignore[reportAttributeAccessIssue]
            for unit, values in zip(units, host.chain.settings(row, 0, len(units)), strict=True)
        ]
        plugins.append(chain[0] if len(chain) == 1 else Pedalboard(chain))
    clips = [clip[:, 0] for clip in audio]

    def run() -> list[np.ndarray]:
        return [plugin.process(clip, SAMPLE_RATE, reset=True) for plugin, clip in zip(plugins, clips, strict=True)]

    return run


def process_renders(
    pool: RenderPool, host: ChainHost, audio: np.ndarray, unit_params: np.ndarray
) -> Callable[[], None]:
    """The same renders by the child processes of a pool."""
    units, out = host.chain.units, np.empty_like(audio)
    physical = host.parameters.to_physical(unit_params)

    def task(b: int, worker: RenderWorker) -> None:
        settings = host.chain.settings(physical[b], 0, len(units))
        out[b] = plugin_process(worker).render(units, settings, audio[b], SAMPLE_RATE)

    return lambda: pool.run([partial(task, b) for b in range(len(audio))])


def against(
    raw: Callable[[], object], run: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """Fastest rounds of two that take turns, seconds."""
    rounds = [(seconds_of(raw, clock), seconds_of(run, clock)) for _ in range(ROUNDS)]
    return min(first for first, _ in rounds), min(second for _, second in rounds)


def cores_free() -> float:
    """Speed-up of two threads over one on work that shares nothing (hashing releases the GIL): 2 on two idle cores."""
    block = bytes(8_000_000)

    def hash_block() -> None:
        hashlib.sha256(block)

    def pair() -> None:
        threads = [threading.Thread(target=hash_block) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return 2 * min(seconds_of(hash_block) for _ in range(ROUNDS)) / min(seconds_of(pair) for _ in range(ROUNDS))


def measure(effect: str) -> dict[str, float]:
    """Times one effect; see the module."""
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((NUM_CLIPS, NUM_SAMPLES, 1))).astype(np.float32)
    with open_host(effect, num_workers=1) as one, open_host(effect, num_workers=2) as two, RenderPool(2) as pool:
        unit_params = one.parameters.sample(rng, NUM_CLIPS)
        runs = {
            "raw": raw_renders(one, audio, unit_params),
            "one": partial(one.render, audio, unit_params, SAMPLE_RATE),
            "two": partial(two.render, audio, unit_params, SAMPLE_RATE),
            "process": process_renders(pool, one, audio, unit_params),
        }
        times = {name: against(runs["raw"], run) for name, run in runs.items() if name != "raw"}
        cpu = against(runs["raw"], runs["one"], time.process_time)
    return {
        "scaling": times["two"][0] / times["two"][1],
        "overhead": times["one"][1] / times["one"][0] - 1.0,
        "overhead_cpu": cpu[1] / cpu[0] - 1.0,
        "process_scaling": times["process"][0] / times["process"][1],
        "raw_ms_per_clip": 1e3 * times["one"][0] / NUM_CLIPS,
        "clips_per_sec": NUM_CLIPS / times["two"][1],
    }


def main() -> None:
    effects = {name: measure(effect) for name, effect in EFFECTS.items()}
    result = {
        "scaling": min(numbers["scaling"] for numbers in effects.values()),
        "overhead": max(numbers["overhead"] for numbers in effects.values()),
        "cores_free": cores_free(),
        "effects": effects,
        "clips": NUM_CLIPS,
        "samples": NUM_SAMPLES,
        "rounds": ROUNDS,
        "machine": platform.machine(),
        "pedalboard": version("pedalboard"),
    }
    print_json(result)


if __name__ == "__main__":
    main()
