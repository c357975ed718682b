"""R² of the settings by linear readers, by the number of pairs that they are fitted on; prints one JSON object.

    python -m benchmarks.studies.linear_readers [--pairs 24000] [--corpus DIR]

As `dafxvae latent report` with the shipped f and g, on held-out pairs, but with readers of the settings
fitted on an eighth, a quarter, half and all of the training pairs, and all of the same test pairs. An effect gets the
21st part of them, and g's latent has more dimensions than some baselines, so that few pairs understate it. `above`
counts the settings in which g's R² is above that of every baseline at once, and of each; `r2` is the mean over the
settings (below -.2 counts as that). `certain`, with all pairs, counts those in which g is ahead of the best baseline,
behind it, and neither, by the 95 % bootstrap interval of the difference of the squared errors of the same pairs;
`settings` has both R².
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import make_parser, print_json
from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import SHIPPED, data_dir, stored_encoders_path
from dafxvae.effects.bank import open_bank
from dafxvae.latent.contenders import parameter_bar
from dafxvae.latent.examples import Gathered, gather, single_effects
from dafxvae.latent.probes import Parts, ProbeTask, ProbeTasks, probe_settings, settings_r2
from dafxvae.latent.source import ModelSource, g_functions, open_source
from dafxvae.metrics import bootstrap_interval

SHARES = (8, 4, 2, 1)  # of the training pairs, one in so many
LEAST = -0.2
OURS = "g"


def features_of(source: ModelSource, gathered: Gathered) -> dict[str, Parts]:
    """Features of both recordings of each pair: g's latent, and the baselines."""
    g = g_functions(source.encoders.g, source.encoders.variables["g"])
    latent = Parts(*map(g.encode, gathered.parts("f")))
    names = [name for name in gathered.train.features if name != "f"]
    return {OURS: latent} | {name: gathered.parts(name) for name in names}


def first(tasks: ProbeTasks, parts: Parts, share: int) -> tuple[ProbeTasks, Parts]:
    """The first of the pairs to fit on and to choose with, and all test pairs."""
    counts = [len(task.effect) // share for task in tasks[:2]] + [len(tasks.test.effect)]
    return (
        ProbeTasks(*(ProbeTask(*(leaf[:count] for leaf in task)) for task, count in zip(tasks, counts))),
        Parts(*(part[:count] for part, count in zip(parts, counts))),
    )


def compare(r2: dict[str, np.ndarray], parameters: Sequence[str]) -> dict[str, Any]:
    """How often g is ahead, of R² `[K]` by features."""
    rows = [
        {"features": name, "input": "joint", "baseline": name != OURS, "probe": "linear", "r2": row}
        for name, row in r2.items()
    ]
    probed = np.isfinite(np.stack(list(r2.values()))).all(0)
    ahead = {name: int((r2[OURS] > row)[probed].sum()) for name, row in r2.items() if name != OURS}
    ahead["all"] = parameter_bar(rows, "linear", parameters)["above"]
    means = {name: round(float(np.maximum(row[probed], LEAST).mean()), 3) for name, row in r2.items()}
    return {"probed": int(probed.sum()), "above": ahead, "r2": means}


def certainty(task: ProbeTask, predicted: dict[str, np.ndarray], r2: dict[str, np.ndarray]) -> dict[str, int]:
    """In how many settings g is ahead of the best baseline, behind, or neither, by the pairs' squared errors."""
    counts = {"ahead": 0, "behind": 0, "neither": 0}
    baselines = [name for name in r2 if name != OURS]
    for k in np.flatnonzero(np.isfinite(np.stack(list(r2.values()))).all(0)):
        rows = (task.mask[:, k] > 0) & np.isfinite(predicted[OURS][:, k])
        best = max(baselines, key=lambda name: r2[name][k])
        error = {name: (predicted[name][rows, k] - task.unit_params[rows, k]) ** 2 for name in (OURS, best)}
        lead = bootstrap_interval(error[best] - error[OURS])
        counts["ahead" if lead.low > 0.0 else "behind" if lead.high < 0.0 else "neither"] += 1
    return counts


def measure(source: ModelSource, gathered: Gathered) -> dict[str, Any]:
    """Everything, for each number of training pairs."""
    tasks = gathered.tasks
    features = features_of(source, gathered)
    results, predicted, r2 = {}, {}, {}
    for share in SHARES:
        fitted = {name: first(tasks, parts, share) for name, parts in features.items()}
        predicted = {name: probe_settings(parts, some, "linear") for name, (some, parts) in fitted.items()}
        r2 = {name: settings_r2(tasks.test, values) for name, values in predicted.items()}
        results[str(len(tasks.train.effect) // share)] = compare(r2, gathered.parameters)
    best = np.max([row for name, row in r2.items() if name != OURS], axis=0)
    both = zip(gathered.parameters, r2[OURS].tolist(), best.tolist())
    settings = {name: [round(ours, 3), round(theirs, 3)] for name, ours, theirs in both if np.isfinite(ours)}
    return {"by_pairs": results, "certain": certainty(tasks.test, predicted, r2), "settings": settings}


def main() -> None:
    """Renders the pairs once and reads them."""
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=24000)
    parser.add_argument("--corpus", type=Path, default=data_dir() / "held_out")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source = open_source(stored_encoders_path(SHIPPED))
    source.config.data.folder = str(data_dir() / "train")
    with open_bank(single_effects(source.encoders.metadata["bank"])) as bank:
        corpus = str(arguments.corpus)
        gathered = gather(source, bank, corpus, arguments.pairs, arguments.seed, Console(stderr=True))
    results = measure(source, gathered)
    pairs = dict(zip(("train", "valid", "test"), (len(task.effect) for task in gathered.tasks)))
    print_json({"pairs": pairs, "seed": arguments.seed, **results})


if __name__ == "__main__":
    run_cli(main)
