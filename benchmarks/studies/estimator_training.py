"""Measures the second table of docs/gradients.md: what an estimator is worth when h is trained with it.

    python -m benchmarks.studies.estimator_training measure [--encoders shipped] [--json docs/gradients/training.json]
    python -m benchmarks.studies.estimator_training measure --tiny --json /tmp/tiny.json    (a minute)
    python -m benchmarks.studies.estimator_training show

h, as the configs build it, learns the settings of `Compressor | Reverb` (9 parameters) from the latents of stored f and
g. These are frozen, so the latents of all pairs are computed once. Only the estimator differs: the same pairs of
real audio, batches, initial weights and optimiser (its schedule spans the steps of each run) for each seed, and the
same number of renders for each estimator. The loss is the configs' audio loss alone, without the known settings, which
would hide the estimator. Runs that are in the JSON file already are not measured again.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.common import measure_or_show, open_results, print_row, pyplot, save_results
from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import Config, base_config, resolve_preset
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError
from dafxvae.core.paths import stored_encoders_path
from dafxvae.core.rng import host_rng
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.data.pairs.stream import PairOptions, make_pairs
from dafxvae.effects.bank import EffectBank
from dafxvae.gradients.estimators import Estimator, make_effect_loss
from dafxvae.gradients.measure.calibration import estimator_for
from dafxvae.gradients.measure.measured_steps import load_calibration
from dafxvae.models import networks
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.spectrogram_vae import joint_encoding
from dafxvae.runs import build
from dafxvae.training.state import make_optimizer

EFFECT, CHUNK, POINTS = "Compressor | Reverb", 16, 6  # CHUNK: pairs encoded at once; POINTS of a curve after its start
ESTIMATORS = {
    "spsa, 1 probe": Estimator("spsa", 1),
    "spsa_one_sided, 2 probes": Estimator("spsa_one_sided", 2),
    "orthogonal, 2 probes": Estimator("orthogonal", 2),
    "orthogonal, 2 probes, loss level": Estimator("orthogonal", 2, level="loss"),
    "orthogonal, 9 probes (exact)": Estimator("orthogonal", 0),
    "finite_difference, 9 probes (exact)": Estimator("finite_difference", 0),
}


class Setup(NamedTuple):
    """Size of the measurement; it is stored with the results."""

    clip_samples: int = 32768
    num_train: int = 1024
    num_valid: int = 96
    budget: int = 24000  # renders of a run
    seeds: tuple[int, ...] = (0, 1, 2)
    minutes: float = 40.0  # of the embedded corpus


TINY = Setup(clip_samples=8192, num_train=16, num_valid=8, budget=480, seeds=(0, 1, 2), minutes=1.5)


class Examples(NamedTuple):
    """What h is trained and validated on; numpy."""

    dry: np.ndarray  # [N, T, C]
    target: np.ndarray  # [N, T, C]
    z: np.ndarray  # [N, Z] latents of f and g


def make_config(setup: Setup) -> Config:
    """The base configuration with the effect and the sizes of this benchmark."""
    config = resolve_preset(base_config())
    config.effect, config.clip_samples, config.data.minutes = EFFECT, setup.clip_samples, setup.minutes
    return config


def make_examples(
    config: Config, corpus: Corpus, bank: EffectBank, encoders: networks.Encoders, stream: str, num: int
) -> Examples:
    """Pairs of recordings of one split, and their latents; `stream` is "h/train" or "h/valid"."""
    if config.sample_rate != encoders.metadata["sample_rate"]:
        raise UserError(f"f and g were trained at {encoders.metadata['sample_rate']} Hz, not {config.sample_rate}")
    pairs = make_pairs(
        corpus.split(stream.split("/")[1]),
        bank,
        clip_samples=config.clip_samples,
        batch_size=min(CHUNK, num),
        seed=config.seed,
        stream=stream,
        mode=config.data.mode,
        options=PairOptions(**config.data.options.to_dict()),
    )

    @jax.jit
    def encode(dry: jax.Array, reference: jax.Array) -> jax.Array:
        joint = joint_encoding(encoders.f, encoders.variables["f"], dry, reference, config.sample_rate)
        return jnp.asarray(encoders.g.apply(encoders.variables["g"], joint, method=ControllerVAE.encode))

    parts = []
    for batch in (pairs[i] for i in range(-(-num // CHUNK))):
        z = encode(jnp.asarray(batch.dry), jnp.asarray(batch.reference))
        parts.append(Examples(batch.dry, batch.target, np.asarray(z)))
    return Examples(*(np.concatenate(columns)[:num] for columns in zip(*parts)))


def train_h(
    config: Config, bank: EffectBank, estimator: Estimator, train: Examples, valid: Examples, seed: int, budget: int
) -> list[dict[str, float]]:
    """One run; renders, seconds (validation and compilation apart) and validation loss at `POINTS` moments."""
    host, size = bank.hosts[0], config.h.batch_size
    renders_a_step = size * estimator.num_renders(len(host.parameters))
    stage = config.h.copy_and_resolve_references()
    stage.num_steps = max(POINTS, budget // renders_a_step)
    optimizer = make_optimizer(stage)
    h = networks.build_h(config, len(host.parameters))
    params = h.init(jax.random.key(seed), jnp.asarray(train.z[:1]))["params"]
    state = optimizer.init(params)
    audio_loss = make_audio_loss(config.h.loss_weights.to_dict(), config.h.stft_sizes, config.sample_rate)
    render = partial(host.render_variants, sample_rate=config.sample_rate)
    effect_loss = make_effect_loss(render, audio_loss, estimator)

    def loss(params: Any, batch: Examples, keys: jax.Array) -> jax.Array:
        dry, target, z = (jnp.asarray(leaf) for leaf in batch)
        return effect_loss(dry, jnp.asarray(h.apply({"params": params}, z)), keys, target).loss.mean()

    @jax.jit
    def step(params: Any, state: Any, batch: Examples, key: jax.Array) -> tuple:
        gradient = jax.grad(loss)(params, batch, jax.random.split(key, size))
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    evaluate = jax.jit(loss)

    def validation(params: Any) -> float:
        keys, starts = jax.random.split(jax.random.key(0), size), range(0, len(valid.z) - size + 1, size)
        return float(np.mean([evaluate(params, Examples(*(x[s : s + size] for x in valid)), keys) for s in starts]))

    first = Examples(*(x[:size] for x in train))
    jax.block_until_ready(step(params, state, first, jax.random.key(0)))  # compiles
    rng, seconds, done = host_rng(seed, "estimator-training"), 0.0, 0
    curve = [{"renders": 0, "seconds": 0.0, "loss": validation(params)}]
    for point in range(1, POINTS + 1):
        started = time.perf_counter()
        while done < stage.num_steps * point // POINTS:
            chosen = rng.choice(len(train.z), size, replace=False)
            key = jax.random.fold_in(jax.random.key(seed), done)
            params, state = step(params, state, Examples(*(x[chosen] for x in train)), key)
            done += 1
        jax.block_until_ready(params)
        seconds += time.perf_counter() - started
        curve.append({"renders": done * renders_a_step, "seconds": seconds, "loss": validation(params)})
    return curve


def measure(arguments: argparse.Namespace) -> None:
    """Adds the runs that are missing to the file; one file holds one setup and one pair of f and g."""
    setup = TINY if arguments.tiny else Setup()
    encoders = load_encoders(stored_encoders_path(arguments.encoders))
    config = make_config(setup)
    described = {**setup._asdict(), "encoders": fingerprint(encoders.variables)}
    results = open_results(arguments.json, described, "runs")
    with build.build_bank(config, [EFFECT]) as bank:
        corpus = build.build_corpus(config)
        pair_of = partial(make_examples, config, corpus, bank, encoders)
        examples = pair_of("h/train", setup.num_train), pair_of("h/valid", setup.num_valid)
        calibration = load_calibration(bank.hosts[0])
        for seed in setup.seeds:
            for name, estimator in ESTIMATORS.items():
                runs = results["runs"].setdefault(name, {})
                if str(seed) in runs:
                    continue
                fitted = estimator_for(bank.hosts[0], estimator, calibration)  # as a run does
                runs[str(seed)] = train_h(config, bank, fitted, *examples, seed, setup.budget)
                save_results(arguments.json, results)
                print_row(name, seed, runs[str(seed)][-1])
        bank.failures.check()


def table(results: dict[str, Any]) -> str:
    """Markdown: mean and deviation over the seeds; of the seconds the median, because machines are shared."""
    lines = ["| estimator | start | half of the renders | all renders | seconds |", "|---|---|---|---|---|"]
    for name, runs in results.items():
        curves = list(runs.values())
        losses = np.array([[point["loss"] for point in curve] for curve in curves])
        seconds = np.array([curve[-1]["seconds"] for curve in curves])
        middle = POINTS // 2
        cells = [f"{losses[:, i].mean():.3f} ± {losses[:, i].std(ddof=1):.3f}" for i in (0, middle, -1)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {np.median(seconds):.0f} |")
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Validation loss against renders, and against wall time; a line is the mean of the seeds."""
    figure, axes = pyplot().subplots(1, 2, figsize=(12, 4.5), sharey=True)
    for name, runs in results.items():
        curves = list(runs.values())
        losses = np.array([[point["loss"] for point in curve] for curve in curves])
        for axis, key in zip(axes, ("renders", "seconds")):
            at = np.median([[point[key] for point in curve] for curve in curves], axis=0)
            axis.errorbar(at, losses.mean(0), losses.std(0, ddof=1), capsize=2, label=name)
            axis.set_xlabel(key)
            axis.grid(alpha=0.3)
    axes[0].set_ylabel("validation loss")
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def show(results: dict[str, Any], path: Path) -> None:
    """Prints the table, and draws the plot next to the JSON file."""
    print_row(table(results["runs"]))
    plot(results["runs"], path.with_suffix(".png"))


def main() -> None:
    """Measures, or shows what was measured."""
    measure_or_show(__doc__, Path("docs/gradients/training.json"), measure, show)


if __name__ == "__main__":
    run_cli(main)
