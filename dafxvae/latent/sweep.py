"""The command `sweep`: train g again at several sizes on the same pairs, and score it on held-out pairs.

f is frozen, so its encodings of the training pairs are computed once and stored. The objective, the optimiser, the
steps and the choice of the best checkpoint are those of the main job.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng, stream_id
from dafxvae.core.weights import fingerprint
from dafxvae.data.pairs.cache import CachedPairs, encode_pairs
from dafxvae.data.pairs.stream import iterate
from dafxvae.latent import measures, probes
from dafxvae.latent.examples import BATCH, Gathered
from dafxvae.latent.source import G, ModelSource, f_feature, g_functions
from dafxvae.metrics.bootstrap import bootstrap_interval
from dafxvae.runs import build, stage_pairs
from dafxvae.training import objectives, parallel
from dafxvae.training.clock import Clock
from dafxvae.training.session import Cadence, Session
from dafxvae.training.signals import StopRequest
from dafxvae.training.stage import Stage, run_stage
from dafxvae.training.state import create_state, make_optimizer
from dafxvae.training.steps import make_eval_step, make_train_step
from dafxvae.types import EncodedBatch

MAX_PAIRS = 20_000  # encoded for training; more steps than that go through them again in another order
VALID_PAIRS = 256
METRICS = {
    "reconstruction": "squared error of the joint encoding",
    "settings": "squared error of g's own settings",
    "unexplained": "1 - R² of a linear probe's settings",
    "misnamed": "linear probe: effects misnamed",
}


@dataclass(frozen=True)
class SweepSizes:
    """Sizes of g, number of seeds and KL weight of a sweep."""

    sizes: Sequence[int]  # of g's latent; the run's own is always among them
    seeds: int  # trainings of each size
    beta: float | None  # weight of g's KL term; None for the run's own

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.sizes, default=1) < 1:
            raise UserError(f"--seeds {self.seeds}, --sizes {list(self.sizes)}: give numbers of at least 1")
        if self.beta is not None and not 0.0 <= self.beta < math.inf:
            raise UserError(f"--beta {self.beta}: give a number of at least 0")


class Data(NamedTuple):
    """Encoded pairs for training and validation of g."""

    train: EncodedBatch
    valid: EncodedBatch
    membership: np.ndarray  # [effects, U]


def training_data(source: ModelSource, folder: Path, count: int) -> Data:
    """Training and validation pairs of g as encodings; stored, and read back the next time."""
    config = source.config
    corpus, encode = build.build_corpus(config), f_feature(source.encoders, config.sample_rate)
    recipe = {"f": fingerprint(source.encoders.variables["f"]), "data": config.data.to_dict(), "seed": config.seed}
    recipe |= {"bank": list(config.bank), "chains": config.chains.to_dict(), "clip_samples": config.clip_samples}
    sizes = {"train": count, "valid": min(VALID_PAIRS, count)}
    with build.build_pretraining_bank(config) as bank:
        train, valid = (
            encode_pairs(
                stage_pairs.build_train_pairs(config, "g", corpus, bank, BATCH, split=split), encode, size,
                path=folder / f"encoded_{split}.npz", recipe=recipe,
            )
            for split, size in sizes.items()
        )  # fmt: skip
        return Data(train, valid, bank.membership)


def train_g(source: ModelSource, pairs: Data, latent_dim: int, seed: int, folder: Path, beta: float | None = None) -> G:
    """Train g at another size, and another weight of the KL term; resumes from its checkpoints in `folder`."""
    config, valid = source.config, pairs.valid
    sizes = config.g.copy_and_resolve_references()
    sizes.latent_dim = latent_dim
    sizes.kl.beta = sizes.kl.beta if beta is None else beta
    g = source.encoders.g.clone(latent_dim=latent_dim)
    init = jax.random.fold_in(jax.random.key(seed), stream_id("g/init"))
    params = jax.jit(g.init)(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    constants = source.encoders.variables["g"]["constants"]
    noisy, clean = objectives.make_controller_objectives(g, jnp.asarray(pairs.membership), sizes)
    optimizer = make_optimizer(sizes)
    size = min(sizes.batch_size, len(pairs.train.item), len(valid.item))
    stage = Stage(
        name="g",
        state=create_state(params, optimizer),
        frozen={"g": {"constants": constants}},
        train_step=make_train_step(noisy, optimizer, seed, "g/train"),
        eval_step=make_eval_step(clean, seed, "g/valid"),
        batches=partial(iterate, CachedPairs(EncodedBatch, pairs.train._asdict(), size, seed)),
        valid=stage_pairs.whole_batches(valid, size),
        num_steps=sizes.num_steps,
        remedy="give a smaller --beta, or train f and g with a lower --config.g.learning_rate",
    )
    every = max(1, sizes.num_steps // 8)
    with StopRequest() as stop:
        session = Session(Cadence(50, every, sizes.num_steps), parallel.local_devices(1), stop=stop)
        state = run_stage(stage, folder, session, Clock())
    return g_functions(g, {"params": jax.device_get(state.params), "constants": constants})


def score_g(g: G, gathered: Gathered, settings: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of `METRICS` on the held-out examples, the lower the better; each `[B]`.

    `settings` and `mask` `[B, K]` are those of the test examples on the axis of g's settings head.
    """
    joint, tasks = gathered.parts("f"), gathered.tasks
    z = probes.Parts(*map(g.encode, joint))
    predicted = probes.probe_settings(z, tasks, "linear")
    test = tasks.test
    spread = np.nanvar(np.where(test.mask > 0, test.unit_params, np.nan), axis=0)
    counted = (test.mask > 0) & np.isfinite(predicted) & (spread > 1e-9)
    ratio = np.where(counted, (predicted - test.unit_params) ** 2 / np.where(spread > 1e-9, spread, 1.0), 0.0)
    return {
        "reconstruction": ((g.decode(z.test) - g.standardise(joint.test)) ** 2).mean(1),
        "settings": ((g.settings(z.test).unit_params - settings) ** 2 * mask).sum(1) / np.maximum(mask.sum(1), 1.0),
        "unexplained": ratio.sum(1) / np.maximum(counted.sum(1), 1),
        "misnamed": 1.0 - probes.probe_effect(z, tasks, "linear"),
    }  # type: ignore[return-value]


def compare(values: np.ndarray, full: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """The difference of a size to the full one, over the same pairs, with the errors of pairs and of seeds.

    Args:
        values, full: `[seeds, B]`, the lower the better.
        rng: of the bootstrap.

    Returns:
        JSON: mean difference, its standard error, and "unchanged" where it is within twice that, else "better" or
        "worse".
    """
    difference = (values.mean(0) - full.mean(0)).astype(np.float64)
    rows = rng.integers(0, len(difference), (1000, len(difference)))
    variance = difference[rows].mean(1).var()
    if len(values) > 1:
        variance += sum(part.mean(1).var(ddof=1) / len(part) for part in (values, full))
    error, mean = float(np.sqrt(variance)), float(difference.mean())
    verdict = "unchanged" if abs(mean) <= 2.0 * error else "better" if mean < 0 else "worse"
    return {"difference": mean, "standard_error": error, "verdict": verdict}


def default_sizes(recommended: int, full: int) -> list[int]:
    """Half, once and twice the recommended size, and the size that the run has."""
    return sorted({max(1, recommended // 2), recommended, 2 * recommended, full})


def sweep(
    source: ModelSource, gathered: Gathered, studied: measures.Studied, plan: SweepSizes, folder: Path, console: Console
) -> dict[str, Any]:
    """Train and score g at every size.

    Args:
        source: f and g of a run.
        gathered: held-out examples with f's features.
        studied: the measured dimensions; the size that they recommend is named in the result.
        plan: sizes and seeds.
        folder: checkpoints and encoded pairs.
        console: for the progress.

    Returns:
        JSON, a row for each size.
    """
    config, full = source.config, source.encoders.g.latent_dim
    beta = plan.beta
    count = min(config.g.num_steps * config.g.batch_size, MAX_PAIRS)
    pairs = training_data(source, folder, count)
    settings, mask = measures.settings_weights(gathered.test.task, gathered.parameters, studied.names)
    key = fingerprint(source.encoders.variables)[:8] + ("" if beta is None else f"_beta{beta:g}")
    scores: dict[int, list[dict[str, np.ndarray]]] = {}
    used: dict[int, list[int]] = {}
    for size in sorted({*plan.sizes, full}):
        for seed in range(config.seed, config.seed + plan.seeds):
            console.print(f"training g with {size} dimensions, seed {seed}")
            g = train_g(source, pairs, size, seed, folder / f"{key}_z{size}_s{seed}", beta)
            scores.setdefault(size, []).append(score_g(g, gathered, settings, mask))
            dimensions = measures.measure_g(g, gathered.test.features["f"].joint, settings, mask)
            used.setdefault(size, []).append(dimensions.recommendation.size)
    return {
        "recommended": studied.g.recommendation.size,
        "full": full,
        "num_training_pairs": count,
        "metrics": METRICS,
        "rows": [_row(size, used[size], runs, scores[full]) for size, runs in scores.items()],
    }


def _row(
    size: int, used: list[int], runs: list[dict[str, np.ndarray]], full: list[dict[str, np.ndarray]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"latent_dim": size, "in_use": used, "scores": {}, "by_seed": {}, "against_full": {}}
    for name in METRICS:
        values, whole = (np.stack([run[name] for run in each]) for each in (runs, full))
        row["scores"][name] = bootstrap_interval(values.mean(0, dtype=np.float64))._asdict()
        row["by_seed"][name] = values.mean(1).tolist()
        row["against_full"][name] = compare(values, whole, host_rng(0, "latent/compare"))
    return row
