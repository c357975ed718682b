"""Numbers of a table from the scores of every pair: means, intervals, ratios, shares."""

from typing import Any

import numpy as np

from dafxvae.core.version import __version__
from dafxvae.evaluate.methods import CONTROLLER, METHODS, NOTHING, Tools
from dafxvae.evaluate.plan import Cell, Plan
from dafxvae.evaluate.searches import SEARCHES
from dafxvae.metrics import MATCHED, METRICS, bootstrap_interval, bootstrap_ratio
from dafxvae.runs.results import TRUE, typical_pair


def _numbers(values: list[float | None]) -> np.ndarray:
    return np.asarray([np.nan if value is None else value for value in values], np.float64)


def metric_summary(metric: str, ours: np.ndarray, nothing: np.ndarray, rendered: np.ndarray) -> dict[str, Any] | None:
    """One metric of one method.

    Args:
        metric: its name.
        ours: scores `[B]`, nan where undefined.
        nothing: of the unprocessed input, of the same pairs.
        rendered: bool `[B]`, where the method's render worked; others are counted as failed, not here.

    Returns:
        Mean and interval over the pairs where it is defined, their number, how many rendered pairs it is undefined for,
        the share that is strictly better than the unprocessed input (of pairs where both are defined), and the ratio of
        the means of the two on those with its interval (None where the unprocessed input scores 0, and for PESQ, which
        has no zero). None where nothing was measured.
    """
    defined = np.isfinite(ours)
    if not defined.any():
        return {"count": 0, "undefined": int(rendered.sum())} if rendered.any() else None
    both = defined & np.isfinite(nothing)
    found: dict[str, Any] = bootstrap_interval(ours[defined])._asdict()
    found |= {"count": int(defined.sum()), "undefined": int((rendered & ~defined).sum())}
    found["improved"] = float(METRICS[metric].improved(ours, nothing)[both].mean()) if both.any() else None
    ratio = not METRICS[metric].higher_is_better and both.any() and nothing[both].mean() > 0.0
    found["ratio"] = bootstrap_ratio(ours[both], nothing[both])._asdict() if ratio else None
    return found


def settings_summary(chosen: np.ndarray, true: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """How far settings are from the true ones, in units of the range.

    Args:
        chosen, true: `[B, K]`.
        names: of the parameters.

    Returns:
        "mean": of the absolute error over parameters, with its interval over pairs; "parameters": of each the mean
        absolute error and the correlation with the truth (Pearson; None where one of the two is constant).
    """
    error = np.abs(chosen - true)
    parameters = {}
    for k, name in enumerate(names):
        varied = chosen[:, k].std() > 1e-9 and true[:, k].std() > 1e-9
        correlation = float(np.corrcoef(chosen[:, k], true[:, k])[0, 1]) if varied else None
        parameters[name] = {"error": float(error[:, k].mean()), "correlation": correlation}
    return {"mean": bootstrap_interval(error.mean(1))._asdict(), "parameters": parameters}


def num_level_kept(scores: dict[str, dict[str, Any]], name: str) -> int:
    """How many scores of a method at matched loudness are of a sound, its target or its input that kept its level.

    Args:
        scores: method and metric to numbers of any one shape, None or nan where undefined.
        name: of the method.
    """
    matched, ours, nothing = (
        np.isfinite(np.asarray(scores[which][metric], np.float64))
        for which, metric in ((name, MATCHED), (name, "LUFS"), (NOTHING, "LUFS"))
    )
    return int((matched & ~(ours & nothing[: len(ours)])).sum())


def _method(name: str, joined: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    # The pairs of a method are the first ones, where it was not used on all (searches).
    count = len(joined["failed"][name])
    valid = np.asarray(joined["valid"][:count], bool)
    rendered = valid & ~np.asarray(joined["failed"][name], bool)
    measured = {}
    for metric in METRICS:
        ours, nothing = (_numbers(joined["scores"][which][metric][:count]) for which in (name, NOTHING))
        asked = rendered & (np.arange(count) < joined["num_pesq"]) if metric == "PESQ" else rendered
        measured[metric] = metric_summary(metric, np.where(asked, ours, np.nan), nothing, asked)
    if measured[MATCHED]:
        measured[MATCHED]["level_kept"] = num_level_kept(joined["scores"], name)
    found = {
        "num_pairs": int(valid.sum()),
        "num_failed": int((valid & ~rendered).sum()),
        "metrics": {metric: row for metric, row in measured.items() if row is not None},
        "settings": None,
    }
    if name in joined["settings"] and valid.any() and names:
        chosen, true = (np.asarray(joined["settings"][which][:count])[valid] for which in (name, TRUE))
        found["settings"] = settings_summary(chosen, true, names)
    return found


def median_item(joined: dict[str, Any]) -> int | None:
    """The pair whose ratio of the controller's MRSTFT to that of the unprocessed input is the median."""
    scores = {name: _numbers(joined["scores"][name]["MRSTFT"]) for name in (CONTROLLER, NOTHING)}
    good = np.isfinite(scores[CONTROLLER]) & np.isfinite(scores[NOTHING])
    if not good.any():
        return None
    few = {name: values[good].tolist() for name, values in scores.items()}
    return typical_pair({"scores": few, "pairs": np.asarray(joined["items"])[good].tolist()})


def summarise(plan: Plan, cell: Cell, joined: dict[str, Any], tools: Tools) -> dict[str, Any]:
    """One cell's part of `results.json`: how it was measured, every method, and every pair's scores."""
    names = tools.host.parameters.names
    order = [name for name in METHODS if name in joined["scores"]]
    return {
        **cell._asdict(),
        "effect": tools.controller.effect,
        "sample_rate": tools.controller.sample_rate,
        "clip_samples": plan.clip_samples(tools.controller.sample_rate),
        "seed": plan.seed,
        "version": __version__,
        "num_pairs": len(joined["items"]),
        "num_failed_pairs": len(joined["valid"]) - sum(joined["valid"]),
        "num_pesq": joined["num_pesq"],
        "num_search_failures": joined["num_search_failures"],
        "median_item": median_item(joined),
        "methods": {name: _method(name, joined, names) for name in order},
        "searches": [name for name in SEARCHES if name in order],
        "pairs": {key: value for key, value in joined.items() if key != "settings"},  # those lie in the parts
    }
