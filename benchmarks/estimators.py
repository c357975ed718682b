"""Measures the first table of docs/gradients.md: every estimator on twelve effects and chains of 1 to 24 parameters.

    python -m benchmarks.estimators measure [--json docs/gradients/estimators.json]
    python -m benchmarks.estimators show    the table as Markdown, and the plot next to the JSON file

Effects that are in the JSON file already are not measured again.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.common import measure_or_show, open_results, print_row, pyplot, save_results
from dafxvae.effects.factory import open_host
from dafxvae.gradients.measure.problems import Sampling
from dafxvae.gradients.measure.report import report

EFFECTS = (
    "Gain",
    "Distortion",
    "PeakFilter",
    "LadderFilter",
    "Delay",
    "Compressor",
    "Chorus",
    "Phaser",
    "Reverb",
    "Compressor | Reverb",
    "LowShelfFilter | PeakFilter | HighShelfFilter | Compressor",
    "LowShelfFilter | PeakFilter | PeakFilter | HighShelfFilter | Compressor | Delay | Reverb",
)
SAMPLING = Sampling(num_settings=64, clip_samples=16384)
FINE, LARGE = 1e-3, 3e-2


def measure(arguments: argparse.Namespace) -> None:
    """Adds what is missing to the file, effect by effect."""
    results = open_results(arguments.json)
    for effect in EFFECTS:
        if effect in results:
            continue
        with open_host(effect) as host:
            results[effect] = report(host, SAMPLING)
        save_results(arguments.json, results, line_per="name")
        print_row(effect)


def pick(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """Rows by their fields, in the order of renders."""
    chosen = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return sorted(chosen, key=lambda row: row["num_renders"])


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    head = (
        "| effect | K | SPSA, R=3 | one-sided SPSA, R=3 | orthogonal, R=3 | SPSA, R=2K+1 | orthogonal, R=K+1 "
        "| coordinates, R=K+1 | its bias | smoothed: audio level | smoothed: loss level | ms an example, R=K+1 |"
    )
    lines = [head, "|" + "---|" * 12]
    for effect, entry in results.items():
        rows, size = entry["rows"], len(entry["parameters"])

        def cosine(name: str, renders: int, rows: list = rows) -> str:
            hits = pick(rows, name=name, num_renders=renders, level="audio", step_size=FINE)
            return f"{hits[0]['cosine']:.2f}" if hits else "–"

        exact = pick(rows, name="finite_difference", level="audio", step_size=FINE)[-1]
        smooth = {
            level: pick(rows, name="finite_difference_two_sided", level=level, step_size=LARGE)[-1]["cosine_smooth"]
            for level in ("audio", "loss")
        }
        cells = [
            *(cosine(name, 3) for name in ("spsa", "spsa_one_sided", "orthogonal")),
            cosine("spsa", 2 * size + 1),
            cosine("orthogonal", size + 1),
            f"{exact['cosine']:.2f}",
            f"{exact['bias']:.3f}",
            f"{smooth['audio']:.2f}",
            f"{smooth['loss']:.2f}",
            f"{1e3 * exact['seconds']:.1f}",
        ]
        lines.append(f"| {effect.replace(' | ', ' → ')} | {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Cosine against renders, a panel for each effect."""
    figure, axes = pyplot().subplots(3, 4, figsize=(15, 9), sharey=True)
    for axis, (effect, entry) in zip(axes.flat, results.items()):
        for name in ("spsa", "spsa_one_sided", "orthogonal", "finite_difference"):
            rows = pick(entry["rows"], name=name, level="audio", step_size=FINE)
            axis.plot([r["num_renders"] for r in rows], [r["cosine"] for r in rows], "o-", ms=4, label=f"{name}, .001")
        rows = pick(entry["rows"], name="finite_difference_two_sided", level="loss", step_size=LARGE)
        label = "two-sided coordinates, loss, .03, to the smoothed gradient"
        axis.plot([r["num_renders"] for r in rows], [r["cosine_smooth"] for r in rows], "k:", label=label)
        parts = effect.split(" | ")
        title = effect if len(parts) < 3 else f"{len(parts)} effects"
        axis.set_title(f"{title}, K = {len(entry['parameters'])}", fontsize=10)
        axis.set_xlabel("renders an example")
        axis.grid(alpha=0.3)
        axis.set_ylim(-0.1, 1.05)
    for axis in axes[:, 0]:
        axis.set_ylabel("mean cosine")
    figure.legend(*axes.flat[-1].get_legend_handles_labels(), loc="lower center", ncol=3, fontsize=9)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=80)


def show(results: dict[str, Any], path: Path) -> None:
    """Prints the table, and draws the plot next to the JSON file."""
    print_row(table(results))
    plot(results, path.with_suffix(".png"))


if __name__ == "__main__":
    measure_or_show(__doc__, Path("docs/gradients/estimators.json"), measure, show, with_encoders=False)
