"""How close a training step of h comes to what rendering and device allow; prints one JSON object, within 3 minutes.

    python -m benchmarks.train_step

The step of `configs/reverb.py` (batch 8, clips of 65536 samples, the gradient by coordinates), with its batches read
ahead as in a run, against its two parts alone: `render_ms`, the bare renders of its settings spread over the cores, and
`device_ms`, the same step with renders that are returned at once. Neither can be avoided, so a step takes at least the
longer of them: `of_bound` is that bound over the step's time (1 is perfect overlap), the median of interleaved rounds.
`rows` hold the same for other batch sizes, numbers of devices and of render workers. On the CPU the two parts share
the cores: `of_sum` is (render + device) over the step, the best that is possible there without overlap. An
accelerator, where JAX has one, does the device's part; within a step it still waits for the renders, and they for it.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dafxvae.core.command_line import prepare_jax

prepare_jax()
CORES = len(os.sched_getaffinity(0))
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={CORES}"

import jax  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.common import interleave, print_json  # noqa: E402
from dafxvae.config import SMOOTH, Config, controller_config, resolve_preset  # noqa: E402
from dafxvae.controllers.encoders import load_encoders  # noqa: E402
from dafxvae.core.paths import SHIPPED, stored_encoders_path  # noqa: E402
from dafxvae.effects.bank import EffectBank  # noqa: E402
from dafxvae.gradients.measure.measured_steps import load_calibration  # noqa: E402
from dafxvae.runs import build, stage_pairs  # noqa: E402
from dafxvae.runs.gradient_choice import build_estimator  # noqa: E402
from dafxvae.training import parallel  # noqa: E402
from dafxvae.training.clock import Clock  # noqa: E402

ROUNDS, STEPS, MIN_PAIRS = 7, 6, 64
# batch, devices, workers
VARIANTS = ((8, 1, CORES), (8, 1, 1), (8, 2, CORES), (16, 1, CORES), (32, 1, CORES))
ACCELERATOR = ((8, 1, CORES), (8, 1, 1), (8, 1, max(1, CORES // 4)), (32, 1, CORES), (128, 1, CORES))


def make_config(batch_size: int, workers: int) -> Config:
    """The reverb's configuration with a small corpus."""
    config = resolve_preset(controller_config("Reverb", SMOOTH))
    config.data.minutes, config.num_workers, config.h.batch_size = 2.0, workers, batch_size
    config.h.num_pairs = config.h.num_audio_pairs = max(MIN_PAIRS, 2 * batch_size)
    config.eval.num_pairs = 16
    return config


def instant(bank: EffectBank) -> Any:
    """The bank with a host that returns at once what was rendered the first time."""
    host, kept = bank.hosts[0], {}

    def render_variants(audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        key = unit_params.shape[:2]
        if key not in kept:
            kept[key] = host.render_variants(audio, unit_params, sample_rate)
        return kept[key].copy(order="K")  # the caller owns the result and writes into it

    instant_host = SimpleNamespace(render_variants=render_variants, parameters=host.parameters, failures=host.failures)
    return SimpleNamespace(hosts=[instant_host], num_params=bank.num_params, failures=bank.failures)


def stepper(stage: Any, num_devices: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """`STEPS` steps as `run_stage` makes them, and how to end the reading ahead."""
    devices = parallel.local_devices(num_devices)
    step = parallel.compile_step(stage.train_step, devices, donate_state=True)
    held = {"state": parallel.replicate(stage.state, devices), "batches": stage.batches(0)}
    frozen = parallel.replicate(stage.frozen, devices)

    def run() -> None:
        pending = None
        for _ in range(STEPS):
            batch = next(held["batches"])
            held["state"], metrics = step(held["state"], frozen, parallel.shard(batch, devices))
            if pending is not None:
                jax.device_get(pending)
            pending = metrics
        jax.device_get(pending)

    return run, held["batches"].close


def renders(bank: EffectBank, pairs: Any, config: Config, rows: int) -> Callable[[], None]:
    """The bare renders of `STEPS` steps."""
    rng = np.random.default_rng(0)
    audio = np.resize(np.asarray(pairs.train.dry), (config.h.batch_size, *pairs.train.dry.shape[1:]))
    settings = rng.uniform(0.1, 0.9, (config.h.batch_size, rows, bank.num_params)).astype(np.float32)

    def run() -> None:
        for _ in range(STEPS):
            bank.hosts[0].render_variants(audio, settings, config.sample_rate)

    return run


def measure(config: Config, num_devices: int, folder: Path, corpus: Any, encoders: Any) -> dict[str, Any]:
    """One row: the step, and its two parts alone, in interleaved rounds."""
    with build.build_bank(config, ["Reverb"]) as bank:
        pairs = stage_pairs.build_pairs(config, "h", corpus, bank, folder)
        latent_pairs = stage_pairs.extract_stage_pairs(config, pairs, bank, encoders, folder / "h")
        start = build.warm_start(config, latent_pairs, bank)
        estimator = build_estimator(config, bank.hosts[0], load_calibration(bank.hosts[0]))
        stages = [
            build.build_decoder_stage(config, latent_pairs, some, start.params, estimator, Clock())
            for some in (bank, instant(bank))
        ]
        (step, close), (device, close_device) = (stepper(stage, num_devices) for stage in stages)
        parts = {"step": step, "device": device, "render": renders(bank, latent_pairs, config, 1 + bank.num_params)}
        times = {name: [each / STEPS for each in values] for name, values in interleave(parts, ROUNDS).items()}
        close()
        close_device()
    rounds = list(zip(times["step"], times["device"], times["render"]))
    milliseconds = {f"{name}_ms": 1e3 * statistics.median(values) for name, values in times.items()}
    return {
        "batch": config.h.batch_size,
        "devices": num_devices,
        "workers": config.num_workers,
        "of_bound": statistics.median(max(device, render) / step for step, device, render in rounds),
        "of_sum": statistics.median((device + render) / step for step, device, render in rounds),
        "steps_per_second": 1e3 / milliseconds["step_ms"],
        "examples_per_second": 1e3 * config.h.batch_size / milliseconds["step_ms"],
        **milliseconds,
    }


def main() -> None:
    """Measures every variant; the first is the headline."""
    started = time.perf_counter()
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    rows = []
    with tempfile.TemporaryDirectory() as root:
        corpus = build.build_corpus(make_config(8, 1))
        for batch_size, num_devices, workers in VARIANTS if jax.default_backend() == "cpu" else ACCELERATOR:
            folder = Path(root) / f"{batch_size}"
            rows.append(measure(make_config(batch_size, workers), num_devices, folder, corpus, encoders))
    device = jax.local_devices()[0].device_kind
    result = {"of_bound": rows[0]["of_bound"], "device": device, "cores": CORES, "rows": rows}
    print_json(result | {"benchmark_seconds": time.perf_counter() - started})


if __name__ == "__main__":
    main()
