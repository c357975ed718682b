"""The probes of f and g compared with those of the baselines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dafxvae.latent.examples import Gathered
from dafxvae.latent.probes import (
    KINDS,
    Kind,
    Parts,
    ProbeTasks,
    probe_effect,
    probe_settings,
    settings_r2,
    wilson_interval,
)  # fmt: skip
from dafxvae.metrics.bootstrap import bootstrap_interval

Notify = Callable[[str], None]
MARGIN = 0.05  # f's probe must lead the best baseline by this much
SHARE_OF_PARAMETERS = 0.8  # of which g must lead


class Contender(NamedTuple):
    """One set of features for the probes."""

    name: str
    input: str  # "wet" (the reference alone) or "joint"
    baseline: bool
    parts: Parts


def contenders(gathered: Gathered, latents: Mapping[str, Parts]) -> list[Contender]:
    """f and the baselines on both inputs, and the latents of pairs by name."""
    found = [
        Contender(name, inputs, name != "f", gathered.parts(name, inputs))
        for inputs in ("wet", "joint")
        for name in gathered.train.features
    ]
    return found + [Contender(name, "joint", False, parts) for name, parts in latents.items()]


def run_probes(
    entries: Sequence[Contender],
    tasks: ProbeTasks,
    effects: Sequence[str],
    parameters: Sequence[str],
    *,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
    notify: Notify = lambda _: None,
) -> dict[str, Any]:
    """Fit every probe on every set of features.

    Args:
        entries: of `contenders`.
        tasks: what the probes predict.
        effects: names of the effects.
        parameters: names of the axis K.
        seed: of forests and bootstraps.
        kinds: of the probes.
        notify: called with each step.

    Returns:
        JSON: `rows`, one for each set of features and probe (accuracy with its interval, R² of each parameter); `f`:
        f's lead over the best baseline with its paired interval; `g`: on which share of the parameters the R² from g's
        latent is above that of every baseline.
    """
    rows, correct = [], {}
    for entry in entries:
        for kind in kinds:
            notify(f"probing {entry.name} ({entry.input}) by a {kind} probe")
            hits = probe_effect(entry.parts, tasks, kind, seed)
            r2 = settings_r2(tasks.test, probe_settings(entry.parts, tasks, kind, seed))
            correct[entry.name, entry.input, kind] = hits
            row = {"features": entry.name, "input": entry.input, "baseline": entry.baseline, "probe": kind}
            row |= {
                "size": entry.parts.train.shape[1],
                "accuracy": wilson_interval(int(hits.sum()), len(hits))._asdict(),
                "r2": [float(value) if np.isfinite(value) else None for value in r2],
            }
            rows.append(row)
    leads = [_lead(rows, correct, kind, inputs, seed) for kind in kinds for inputs in ("wet", "joint")]
    return {
        "effects": list(effects),
        "parameters": list(parameters),
        "num_train": len(tasks.train.effect),
        "num_valid": len(tasks.valid.effect),
        "num_test": len(tasks.test.effect),
        "chance": 1.0 / len(effects),
        "rows": rows,
        "f": {"margin": MARGIN, "leads": leads},
        "g": [parameter_bar(rows, kind, parameters) for kind in kinds if any(entry.name == "g" for entry in entries)],
    }


def _lead(rows: Sequence[dict[str, Any]], correct: Mapping[Any, np.ndarray], kind: str, inputs: str, seed: int) -> Any:
    """f's accuracy minus that of the best baseline on the same examples."""
    baselines = [row for row in rows if row["baseline"] and (row["probe"], row["input"]) == (kind, inputs)]
    best = max(baselines, key=lambda row: row["accuracy"]["mean"])
    ours, theirs = correct["f", inputs, kind], correct[best["features"], inputs, kind]
    lead = bootstrap_interval(ours.astype(np.float64) - theirs, seed=seed)
    names = {"probe": kind, "input": inputs, "best_baseline": best["features"]}
    return names | {"lead": lead._asdict(), "passes": lead.mean >= MARGIN}


def parameter_bar(rows: Sequence[dict[str, Any]], kind: str, parameters: Sequence[str]) -> dict[str, Any]:
    """Where g's R² is above that of the best baseline (the best for each parameter) with the same probe and input."""
    mine = [row for row in rows if row["probe"] == kind and row["input"] == "joint"]
    ours = np.asarray(next(row["r2"] for row in mine if row["features"] == "g"), float)
    theirs = np.asarray([row["r2"] for row in mine if row["baseline"]], float)
    probed = np.isfinite(ours) & np.isfinite(theirs).all(0)
    best = np.where(probed, theirs.max(0), np.nan)
    above = int((ours[probed] > best[probed]).sum())
    share = above / max(1, int(probed.sum()))
    return {
        "probe": kind,
        "above": above,
        "probed": int(probed.sum()),
        "share": share,
        "passes": share >= SHARE_OF_PARAMETERS,
        "behind": [parameters[k] for k in np.flatnonzero(probed & ~(ours > best)).tolist()],
    }
