"""The command `sweep`: train g again at several sizes, and score it on held-out pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.core.weights import fingerprint
from dafxvae.latent import measures, probes
from dafxvae.latent.gather import Gathered
from dafxvae.latent.networks import G, g_functions
from dafxvae.latent.retraining import MAX_PAIRS, train_g, training_data
from dafxvae.latent.sources import ModelSource
from dafxvae.metrics.bootstrap import bootstrap_interval

METRICS = {
    "reconstruction": "squared error of the joint encoding",
    "settings": "squared error of g's own settings",
    "unexplained": "1 - R² of a linear probe's settings",
    "misnamed": "linear probe: effects misnamed",
}


def score_g(g: G, gathered: Gathered, settings: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of `METRICS` on the held-out examples, the lower the better; each `[B]`.

    Args:
        g: functions of a g.
        gathered: examples with f's features.
        settings, mask: of the test examples on the axis K of g, `[B, K]`.
    """
    joint = gathered.joint()
    z = probes.Parts(*(np.asarray(g.infer(rows).mean) for rows in joint))
    tasks = probes.ProbeTasks(*(examples.task for examples in gathered.sets))
    predicted = probes.probe_settings(z, tasks, "linear")
    test = tasks.test
    spread = np.nanvar(np.where(test.mask > 0, test.unit_params, np.nan), axis=0)
    known = (test.mask > 0) & np.isfinite(predicted) & (spread > 1e-9)
    ratio = np.where(known, (predicted - test.unit_params) ** 2 / np.where(spread > 1e-9, spread, 1.0), 0.0)
    return {
        "reconstruction": ((g.decode(z.test) - g.standardise(joint[2])) ** 2).mean(1),
        "settings": ((g.settings(z.test).unit_params - settings) ** 2 * mask).sum(1) / np.maximum(mask.sum(1), 1.0),
        "unexplained": ratio.sum(1) / np.maximum(known.sum(1), 1),
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
    source: ModelSource,
    gathered: Gathered,
    names: tuple[str, ...],
    recommended: int,
    sizes: Sequence[int],
    seeds: int,
    folder: Path,
    console: Console,
    beta: float | None = None,
) -> dict[str, Any]:
    """Trains and scores g at every size.

    Args:
        source: f and g of a run.
        gathered: held-out examples with f's features.
        names: of the axis K of g's settings head.
        recommended: the size that the report recommends.
        sizes: to train; the run's own is always among them.
        seeds: how often each is trained.
        folder: checkpoints and encoded pairs.
        console: for the progress.
        beta: of g's KL term; None for the run's own.

    Returns:
        JSON, a row for each size.
    """
    config, full = source.config, source.encoders.g.latent_dim
    if seeds < 1 or min(sizes, default=1) < 1 or (beta is not None and beta < 0):
        raise UserError(f"--seeds {seeds}, --sizes {list(sizes)}, --beta {beta}: give positive numbers")
    count = min(config.g.num_steps * config.g.batch_size, MAX_PAIRS)
    pairs = training_data(source, folder, count)
    settings, mask = measures.settings_weights(gathered.test.task, gathered.parameters, names)
    key, scores, used = fingerprint(source.encoders.variables)[:8], {}, {}
    key += "" if beta is None else f"_beta{beta:g}"
    for size in sorted({*sizes, full}):
        for seed in range(config.seed, config.seed + seeds):
            console.print(f"training g with {size} dimensions, seed {seed}")
            trained = train_g(source, pairs, size, seed, folder / f"{key}_z{size}_s{seed}", beta)
            g = g_functions(trained.g, trained.variables)
            found = score_g(g, gathered, settings, mask)
            scores.setdefault(size, []).append(found)
            dimensions = measures.measure_g(g, gathered.test.features["f"].joint, settings, mask)
            used.setdefault(size, []).append(dimensions.recommendation.size)
    return _summary(scores, used, recommended, full, count)


def _summary(
    scores: dict[int, list[dict[str, np.ndarray]]], used: dict[int, list[int]], recommended: int, full: int, count: int
) -> dict[str, Any]:
    rows = []
    for size, runs in scores.items():
        row: dict[str, Any] = {
            "latent_dim": size,
            "in_use": used[size],
            "scores": {},
            "by_seed": {},
            "against_full": {},
        }
        for name in METRICS:
            values = np.stack([run[name] for run in runs])
            whole = np.stack([run[name] for run in scores[full]])
            row["scores"][name] = bootstrap_interval(values.mean(0, dtype=np.float64))._asdict()
            row["by_seed"][name] = values.mean(1).tolist()
            row["against_full"][name] = compare(values, whole, host_rng(0, "latent/compare"))
        rows.append(row)
    return {
        "recommended": recommended,
        "full": full,
        "num_training_pairs": count,
        "metrics": METRICS,
        "rows": rows,
    }
