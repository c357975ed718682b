"""Results as Markdown, and the results of several folders as one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, stored_file
from dafxvae.evaluate.methods import CONTROLLER, METHODS, NOTHING
from dafxvae.evaluate.searches import SEARCHES
from dafxvae.metrics import MATCHED, MATCHED_LUFS, METRICS, bootstrap_ratio
from dafxvae.runs.results import MEAN, TRUE

KEY = ("controller", "corpus", "mode", "input")
MAIN_COLUMNS = (
    *("controller", "effect", "corpus", "reference", "input", "pairs", "nothing", "controller", "ratio"),
    *("ratio, matched", "level (LU)", "improved", "settings", "seed", "version"),
)
MAIN_NOTE = (
    "MRSTFT to the target, lower is better: means with 95 % bootstrap intervals; the ratio is that of the means of "
    "the controller and of the unprocessed input on the same pairs; matched: with input, output and target each "
    f"brought to {MATCHED_LUFS:.0f} LUFS before; level: mean absolute difference of output and target in loudness; "
    "improved: the share of pairs closer to the target than the unprocessed input; settings: how many are nearer to "
    "the true ones than the mean settings are, which never change. Protocol and definitions: docs/evaluation.md."
)
COMPARISONS = {  # metric to what its table of all methods shows, with 95 % bootstrap intervals
    "MRSTFT": "MRSTFT of every method over that of the unprocessed input on the same pairs:",
    MATCHED: f"The same with input, output and target each brought to {MATCHED_LUFS:.0f} LUFS before:",
    "LUFS": "Level: mean absolute difference of output and target in loudness (LU):",
}


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of GitHub's Markdown; a bar inside a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def format_number(value: float, digits: int) -> str:
    """Without the zero before the point, as this project writes numbers below 1."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def format_interval(row: dict[str, Any] | None, digits: int) -> str:
    """Mean (low … high); a dash where there is none."""
    if row is None or "mean" not in row:
        return "–"
    mean, low, high = (format_number(row[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} ({low} … {high})"


def format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def level_notes(row: dict[str, Any]) -> list[str]:
    """How many pairs at matched loudness have a sound that kept its level, where there are some."""
    return [f"{row['level_kept']} kept their level"] if row.get("level_kept") else []


def metric_of(cell: dict[str, Any], method: str, metric: str) -> dict[str, Any]:
    """A method's row of a metric, empty where it was not measured."""
    return cell["methods"].get(method, {}).get("metrics", {}).get(metric, {})


def settings_below_guess(cell: dict[str, Any]) -> tuple[int, int] | None:
    """How many of the controller's settings have a smaller error than the mean settings, of how many."""
    ours, guess = (cell["methods"].get(name, {}).get("settings") for name in (CONTROLLER, MEAN))
    if not ours or not guess:
        return None
    pairs = [(own["error"], guess["parameters"][name]["error"]) for name, own in ours["parameters"].items()]
    return sum(own < other for own, other in pairs), len(pairs)


def main_rows(cells: Sequence[dict[str, Any]]) -> list[list[str]]:
    """One row a cell: the unprocessed input, the controller with intervals, their ratios, the share improved."""
    rows = []
    for cell in cells:
        nothing, ours = (metric_of(cell, name, "MRSTFT") for name in (NOTHING, CONTROLLER))
        matched, level = (metric_of(cell, CONTROLLER, metric) for metric in (MATCHED, "LUFS"))
        digits, below = METRICS["MRSTFT"].digits, settings_below_guess(cell)
        rows.append(
            [
                *(cell[key] for key in ("controller", "effect", "corpus", "mode", "input")),
                str(ours.get("count", 0)),
                format_interval(nothing, digits),
                f"**{format_interval(ours, digits)}**",
                format_interval(ours.get("ratio"), 2),
                "; ".join([format_interval(matched.get("ratio"), 2), *level_notes(matched)]),
                format_interval(level, METRICS["LUFS"].digits),
                format_share(ours.get("improved")),
                f"{below[0]} of {below[1]}" if below else "–",
                str(cell["seed"]),
                cell["version"],
            ]
        )
    return rows


def comparison_table(cells: Sequence[dict[str, Any]], metric: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: every method in every cell by its level ("LUFS") or its ratio in another metric.

    The lowest of a row is bold.
    """
    left_out = (TRUE,) if metric == "LUFS" else (NOTHING, TRUE)
    measured = [m for m in METHODS if m not in left_out and any(m in cell["methods"] for cell in cells)]
    rows = []
    for cell in cells:
        found = {name: metric_of(cell, name, metric) for name in measured}
        shown = {name: row if metric == "LUFS" else row.get("ratio") for name, row in found.items()}
        means = {name: value["mean"] for name, value in shown.items() if value and "mean" in value}
        best = min(means.values(), default=None)
        most = max((found[name]["count"] for name in means), default=0)
        row = [cell[key] for key in KEY]
        for name in measured:
            text = format_interval(shown[name], 2)
            text = f"**{text}**" if name in means and means[name] == best else text
            few = name in means and found[name]["count"] != most
            notes = [f"n = {found[name]['count']}"] if few else []
            row.append("; ".join([text, *notes, *level_notes(found[name])]))
        rows.append(row)
    return ["controller", "corpus", "reference", "input", *measured], rows


def method_columns(cell: dict[str, Any]) -> list[str]:
    """Of the table of all methods."""
    measured = [m for m in METRICS if any(m in row["metrics"] for row in cell["methods"].values())]
    units = [f"{m} ({METRICS[m].unit})" if METRICS[m].unit else m for m in measured]
    return ["settings from", "pairs", *units, "ratio of MRSTFT", "matched", "improved", "settings' error", "failed"]


def _measure(row: dict[str, Any], metric: str, num_pairs: int) -> str:
    text = format_interval(row, METRICS[metric].digits)
    notes = [f"n = {row['count']}"] if row and row["count"] != num_pairs else []
    notes += [f"{row['undefined']} undefined"] if row.get("undefined") else []
    notes += level_notes(row)
    return f"{text}; {', '.join(notes)}" if notes else text


def method_rows(cell: dict[str, Any]) -> list[list[str]]:
    """Every method with every metric; the ratio is to the unprocessed input on the same pairs."""
    measured = [m for m in METRICS if any(m in row["metrics"] for row in cell["methods"].values())]
    rows = []
    for name, method in cell["methods"].items():
        main, settings = metric_of(cell, name, "MRSTFT"), method["settings"]
        compared = name != NOTHING
        rows.append(
            [f"**{name}**" if name == CONTROLLER else name, str(method["num_pairs"])]
            + [_measure(metric_of(cell, name, m), m, method["num_pairs"] - method["num_failed"]) for m in measured]
            + [
                format_interval(main.get("ratio"), 2) if compared else "–",
                format_interval(metric_of(cell, name, MATCHED).get("ratio"), 2) if compared else "–",
                format_share(main.get("improved")) if compared else "–",
            ]
            + [format_interval(settings["mean"], 3) if settings else "–", str(method["num_failed"])]
        )
    return rows


def settings_table(cell: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: each parameter's error and correlation, by every method that chooses settings."""
    chosen = {name: m["settings"]["parameters"] for name, m in cell["methods"].items() if m["settings"]}
    parameters = list(next(iter(chosen.values()), {}))

    def entry(found: dict[str, Any]) -> str:
        correlation = found["correlation"]
        return f"{format_number(found['error'], 3)} / {'–' if correlation is None else format_number(correlation, 2)}"

    rows = [[parameter, *(entry(table[parameter]) for table in chosen.values())] for parameter in parameters]
    return ["parameter", *chosen], rows


def cell_title(cell: dict[str, Any]) -> str:
    return f"{cell['controller']}: {cell['corpus']}, reference from {cell['mode']}, {cell['input']} input"


def cell_notes(cell: dict[str, Any]) -> list[str]:
    """How a cell was measured, and what is missing from it, in sentences."""
    seconds = cell["clip_samples"] / cell["sample_rate"]
    notes = [
        f"`{cell['effect']}`, {cell['num_pairs']} pairs of {seconds:.2f} s at {cell['sample_rate']} Hz, seed "
        f"{cell['seed']}, dafxvae {cell['version']}; means with 95 % bootstrap intervals."
    ]
    if cell["num_failed_pairs"]:
        notes.append(f"{cell['num_failed_pairs']} pairs could not be rendered and are left out of every row.")
    if cell["num_pesq"]:
        notes.append(f"PESQ: the first {cell['num_pesq']} pairs.")
    elif cell["is_speech"]:
        notes.append("PESQ was not measured (not installed, or --pesq-pairs 0).")
    if cell["num_search_failures"]:
        notes.append(f"{cell['num_search_failures']} renders failed in the searches.")
    return notes


def results_markdown(results: dict[str, Any]) -> str:
    """`results.md`."""
    cells = results["cells"]
    parts = [
        "# Evaluation",
        MAIN_NOTE,
        markdown_table(MAIN_COLUMNS, main_rows(cells)),
    ]
    for metric, note in COMPARISONS.items():
        parts += [note, markdown_table(*comparison_table(cells, metric))]
    for cell in cells:
        columns, rows = settings_table(cell)
        parts += [f"## {cell_title(cell)}", " ".join(cell_notes(cell))]
        parts.append(markdown_table(method_columns(cell), method_rows(cell)))
        if rows:
            parts.append("Mean absolute error in units of the range / correlation with the true settings:")
            parts.append(markdown_table(columns, rows))
    return "\n\n".join(parts) + "\n"


def overview(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells without their pairs, to four digits: every method's scores, and the ratios of MRSTFT of the tables."""

    def rounded(row: dict[str, Any]) -> dict[str, float]:
        return {key: round(row[key], 4) for key in ("mean", "low", "high")}

    rows = []
    for cell in cells:
        row = {key: cell[key] for key in (*KEY, "is_speech", "num_pairs", "num_pesq", "seed", "version")}
        found = {metric: {name: metric_of(cell, name, metric) for name in cell["methods"]} for metric in METRICS}
        row["scores"] = {
            metric: {name: rounded(score) for name, score in scores.items() if "mean" in score}
            for metric, scores in found.items()
        }
        main = found["MRSTFT"]
        row["ratio"] = {name: rounded(score["ratio"]) for name, score in main.items() if score.get("ratio")}
        row["refined_over"] = {name: rounded(ratio) for name, ratio in refined_over(cell).items()}
        row["improved"] = main.get(CONTROLLER, {}).get("improved")
        rows.append(row | {"settings_below_guess": settings_below_guess(cell)})
    return rows


def refined_over(cell: dict[str, Any]) -> dict[str, dict[str, float]]:
    """MRSTFT of the refined controller over that of the controller and of the longest search, on the same pairs."""
    refined, *_, longest = SEARCHES
    scores = {name: np.asarray(found["MRSTFT"], float) for name, found in cell["pairs"]["scores"].items()}
    ratios = {}
    for other in (CONTROLLER, longest):
        if refined in scores and other in scores:
            ours, theirs = (scores[name][: len(scores[refined])] for name in (refined, other))
            both = np.isfinite(ours) & np.isfinite(theirs)
            ratios[other] = bootstrap_ratio(ours[both], theirs[both])._asdict()
    return ratios


def read_results(folder: Path) -> dict[str, Any]:
    """`results.json` of a folder.

    Raises:
        UserError: there is none, or it is something else.
    """
    path = folder / "results.json"
    with stored_file(path, "give the folder of a finished evaluation"):
        results = read_json(path)
        list(results["cells"])
    return results


def merge(folders: Sequence[Path]) -> dict[str, Any]:
    """The cells of several folders of one format; one that is in two of them must be the same in both.

    Raises:
        UserError: a folder without results, or two folders that do not agree.
    """
    found: dict[tuple[str, ...], tuple[Path, dict[str, Any]]] = {}
    formats: dict[Any, Path] = {}
    for folder in folders:
        results = read_results(folder)
        formats.setdefault(results.get("format"), folder)
        if len(formats) > 1:
            raise UserError(
                f"{' and '.join(map(str, formats.values()))} are of formats {' and '.join(map(str, formats))}, which "
                "measure otherwise: evaluate again, or show each alone"
            )
        for cell in results["cells"]:
            key = tuple(cell[name] for name in KEY)
            if key in found and found[key][1] != cell:
                raise UserError(
                    f"{', '.join(key)}: {found[key][0]} and {folder} have different results: leave one of them out"
                )
            found[key] = (folder, cell)
    return {"cells": [cell for _, (_, cell) in sorted(found.items(), key=lambda item: item[0])]}
