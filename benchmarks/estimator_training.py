"""Measures the second table of docs/gradients.md: what an estimator is worth when h is trained with it.

    python benchmarks/estimator_training.py measure [--json docs/gradients/training.json]
    python benchmarks/estimator_training.py show

h (the project's own, 2 x 128) learns the settings of `Compressor | Reverb` (9 parameters) from fixed features of the
input and the reference (mean and deviation of their log-mel spectra), so that nothing but the estimator differs: the
same 512 pairs of real audio, batches, initial weights and optimiser for each of three seeds, and the same number of
renders for each estimator. The loss is the multi-resolution STFT distance alone, without known settings.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dafxvae.audio.dsp import mel_filterbank, power_spectrogram
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.gradients.estimators import Estimator, make_effect_loss
from dafxvae.gradients.problems import Sampling, mrstft_loss, real_clips
from dafxvae.models.controller import ControllerDecoder

EFFECT, RATE, SAMPLES, BATCH = "Compressor | Reverb", 24000, 16384, 8
NUM_TRAIN, NUM_VALID, SEEDS, BUDGET = 512, 64, (0, 1, 2), 12000  # BUDGET: renders of a run
POINTS, LEARNING_RATE, STEP = 6, 2e-3, 1e-3
ESTIMATORS = {
    "spsa, 1 probe": Estimator("spsa", 1, STEP),
    "spsa_one_sided, 2 probes": Estimator("spsa_one_sided", 2, STEP),
    "orthogonal, 2 probes": Estimator("orthogonal", 2, STEP),
    "orthogonal, 2 probes, loss level": Estimator("orthogonal", 2, STEP, level="loss"),
    "orthogonal, 9 probes (exact)": Estimator("orthogonal", 0, STEP),
    "finite_difference, 9 probes (exact)": Estimator("finite_difference", 0, STEP),
}


def features(audio: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of the log-mel spectrum; `[N, T, 1] -> [N, 128]`."""
    filters = jnp.asarray(mel_filterbank(RATE, 1024, 64, 0.0, 11000.0))
    log_mel = jnp.log(power_spectrogram(jnp.asarray(audio[..., 0]), 1024, 512) @ filters + 1e-6)
    return np.concatenate([np.asarray(log_mel.mean(1)), np.asarray(log_mel.std(1))], axis=1)


def make_pairs(host: ChainHost) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dry clips, targets, and standardised features of both; the last `NUM_VALID` are for validation."""
    num = NUM_TRAIN + NUM_VALID
    dry = real_clips(Sampling(num, SAMPLES, RATE))
    settings = host.parameters.sample(np.random.default_rng(0), num)
    target = host.render(dry, settings, RATE)
    z = np.concatenate([features(dry), features(target)], axis=1)
    return dry, target, ((z - z[:NUM_TRAIN].mean(0)) / (z[:NUM_TRAIN].std(0) + 1e-3)).astype(np.float32)


def train(host: ChainHost, estimator: Estimator, pairs: tuple, seed: int) -> list[dict[str, float]]:
    """One run; renders, seconds (validation and compilation apart) and validation loss at `POINTS` moments."""
    dry, target, z = pairs
    size = len(host.parameters)
    h = ControllerDecoder((128, 128), size)
    params = h.init(jax.random.key(seed), jnp.zeros((1, z.shape[1])))["params"]
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(LEARNING_RATE))  # as the configs of h do
    state = optimiser.init(params)
    effect_loss = make_effect_loss(
        lambda audio, unit_params: host.render_variants(audio, unit_params, RATE), mrstft_loss, estimator
    )

    def loss(params: Any, x: jax.Array, y: jax.Array, z: jax.Array, keys: jax.Array) -> jax.Array:
        return effect_loss(x, jnp.asarray(h.apply({"params": params}, z)), keys, y).loss.mean()

    @jax.jit
    def step(params: Any, state: Any, x: jax.Array, y: jax.Array, z: jax.Array, key: jax.Array) -> tuple:
        gradient = jax.grad(loss)(params, x, y, z, jax.random.split(key, BATCH))
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    evaluate = jax.jit(loss)

    def validation(params: Any) -> float:
        keys = jax.random.split(jax.random.key(0), BATCH)
        starts = range(NUM_TRAIN, NUM_TRAIN + NUM_VALID, BATCH)
        values = [evaluate(params, *(x[s : s + BATCH] for x in (dry, target, z)), keys) for s in starts]
        return float(np.mean(values))

    jax.block_until_ready(step(params, state, dry[:BATCH], target[:BATCH], z[:BATCH], jax.random.key(0)))  # compiles
    rng = np.random.default_rng(seed)
    renders, seconds = 0, 0.0
    curve = [{"renders": 0, "seconds": 0.0, "loss": validation(params)}]
    while renders < BUDGET:
        until = BUDGET * len(curve) / POINTS
        started = time.perf_counter()
        while renders < until:
            chosen = rng.choice(NUM_TRAIN, BATCH, replace=False)
            key = jax.random.fold_in(jax.random.key(seed), renders)
            params, state = step(params, state, dry[chosen], target[chosen], z[chosen], key)
            renders += BATCH * estimator.num_renders(size)
        jax.block_until_ready(params)
        seconds += time.perf_counter() - started
        curve.append({"renders": renders, "seconds": seconds, "loss": validation(params)})
    return curve


def measure(path: Path) -> None:
    """Adds the runs that are missing to the file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    with open_host(EFFECT) as host:
        pairs = make_pairs(host)
        for seed in SEEDS:
            for name, estimator in ESTIMATORS.items():
                runs = found.setdefault(name, {})
                if str(seed) in runs:
                    continue
                runs[str(seed)] = train(host, estimator, pairs, seed)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(found) + "\n")
                print(name, seed, runs[str(seed)][-1], flush=True)


def table(found: dict[str, Any]) -> str:
    """Markdown: mean and deviation over the seeds."""
    lines = ["| estimator | start | half of the renders | all renders | seconds |", "|---|---|---|---|---|"]
    for name, runs in found.items():
        curves = list(runs.values())
        losses = np.array([[point["loss"] for point in curve] for curve in curves])
        seconds = np.array([curve[-1]["seconds"] for curve in curves])
        middle = POINTS // 2
        cells = [f"{losses[:, i].mean():.3f} ± {losses[:, i].std(ddof=1):.3f}" for i in (0, middle, -1)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {seconds.mean():.0f} |")
    return "\n".join(lines)


def plot(found: dict[str, Any], path: Path) -> None:
    """Validation loss against renders, and against wall time; a line is the mean of the seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), sharey=True)
    for name, runs in found.items():
        curves = list(runs.values())
        losses = np.array([[point["loss"] for point in curve] for curve in curves])
        for axis, key in zip(axes, ("renders", "seconds")):
            at = np.array([[point[key] for point in curve] for curve in curves]).mean(0)
            axis.errorbar(at, losses.mean(0), losses.std(0, ddof=1), capsize=2, label=name)
            axis.set_xlabel(key)
            axis.grid(alpha=0.3)
    axes[0].set_ylabel("validation loss (MRSTFT)")
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("measure", "show"))
    parser.add_argument("--json", type=Path, default=Path("docs/gradients/training.json"))
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.json)
        return
    found = json.loads(arguments.json.read_text())
    print(table(found))
    plot(found, arguments.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
