"""Writes the tables of held-out results into the documents, from docs/evaluation/.

dafxvae evaluate table results --json > docs/evaluation/results.json
python docs/tables.py
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dafxvae.evaluate.methods import CONTROLLER, FOREST, MEAN, NEIGHBOUR, NOTHING, RULES, RULES_KEPT, SEARCHES
from dafxvae.evaluate.tables import format_interval, format_number, format_share
from dafxvae.metrics import METRICS

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
RESULTS, SEARCHED, REFERENCES = (
    json.loads((ROOT / "docs" / "evaluation" / f"{name}.json").read_text())
    for name in ("results", "searches", "references")
)
COLUMNS = [(mode, kind) for kind in ("dry", "styled") for mode in ("same_clip", "other_section", "other_file")]
SUMMARY = "The mean is {}; a random forest on the same encodings leaves {}, the nearest training example {}."


def kind(row: Row) -> str:
    """Of a row's recordings."""
    return "speech" if row["is_speech"] else "music"


def line(*cells: str) -> str:
    """Of a table."""
    return f"| {' | '.join(cells)} |"


def with_best(texts: list[str], means: list[float], *, is_highest: bool = False) -> list[str]:
    """The texts, that of the best mean in bold."""
    best = (max if is_highest else min)(means)
    return [f"**{text}**" if mean == best else text for text, mean in zip(texts, means, strict=True)]


def results_row(row: Row) -> str:
    """A controller on a corpus."""
    scores = row["scores"]["MRSTFT"]
    rules = min((scores[name] for name in (RULES, RULES_KEPT) if name in scores), key=lambda score: score["mean"])
    methods = [scores[MEAN], rules, scores[NEIGHBOUR], scores[FOREST], scores[CONTROLLER]]
    means = [score["mean"] for score in methods]
    texts = [format_number(mean, 2) for mean in means[:-1]] + [format_interval(methods[-1], 2)]
    below, count = row["settings_below_guess"]
    last = [format_interval(row["ratio"][CONTROLLER], 2), format_share(row["improved"]), f"{below} of {count}"]
    return line(row["controller"], kind(row), format_interval(scores[NOTHING], 2), *with_best(texts, means), *last)


def metric_rows(controller: str) -> list[str]:
    """A controller in the other metrics."""
    rows = []
    for row in (row for row in RESULTS if row["controller"] == controller):
        for name in ("SCE", "LUFS", "RMS", "CFE", "PESQ"):
            scores, metric = row["scores"].get(name), METRICS[name]
            if scores:
                found = [scores[method] for method in (NOTHING, RULES, RULES_KEPT, NEIGHBOUR, FOREST, CONTROLLER)]
                title = f"{name}, {row['num_pesq']} pairs" if name == "PESQ" else f"{name} ({metric.unit})"
                texts = [format_interval(score, metric.digits) for score in found]
                means = [score["mean"] for score in found]
                rows.append(line(kind(row), title, *with_best(texts, means, is_highest=metric.higher_is_better)))
    return rows


def search_row(row: Row) -> str:
    """What searches gain over a controller."""
    refined = [row["refined_over"][name] for name in (CONTROLLER, [*SEARCHES][-1])]
    ratios = [*(row["ratio"][name] for name in (CONTROLLER, *SEARCHES)), *refined]
    return line(row["controller"], kind(row), *(format_interval(ratio, 2) for ratio in ratios))


def reference_rows() -> list[str]:
    """Controllers with every kind of reference and input, and their means."""
    found = {(row["controller"], kind(row), row["mode"], row["input"]): row["ratio"][CONTROLLER] for row in REFERENCES}
    rows = dict.fromkeys(key[:2] for key in found)
    lines = [line(*row, *(format_interval(found[*row, *column], 2) for column in COLUMNS)) for row in rows]
    means = [sum(found[*row, *column]["mean"] for row in rows) / len(rows) for column in COLUMNS]
    return [*lines, line("mean", "", *(format_number(mean, 2) for mean in means)).replace("|  |", "| |")]


def left(controller: str, corpus: str) -> float:
    """How much of an unprocessed input's distance a controller leaves, on speech or music."""
    (row,) = (row for row in RESULTS if (row["controller"], kind(row)) == (controller, corpus))
    return row["ratio"][CONTROLLER]["mean"]


def mean_left(method: str) -> str:
    """The same of a method, in the mean of all rows."""
    scores = [row["scores"]["MRSTFT"] for row in RESULTS]
    return format_number(sum(score[method]["mean"] / score[NOTHING]["mean"] for score in scores) / len(scores), 2)


def with_table(text: str, heading: str, renew: Callable[[list[str]], list[str]]) -> str:
    """A page whose table of that heading has the rows that `renew` makes of those that it had."""
    start = text.index(f"\n{heading}") + 1
    start = text.index("\n", text.index("\n", start) + 1) + 1  # behind the line of dashes
    end = text.index("\n\n", start)
    return text[:start] + "\n".join(renew(text[start:end].splitlines())) + text[end:]


def evaluation_page(text: str) -> str:
    """docs/evaluation.md."""
    for heading, rows in (
        ("| controller | corpus | nothing | mean settings |", [*map(results_row, RESULTS)]),
        ("| corpus | | nothing | rule-based |", metric_rows("eq_compressor")),
        ("| controller | corpus | controller | + 64 renders |", [*map(search_row, SEARCHED)]),
        ("| controller | corpus | same clip |", reference_rows()),
    ):
        text = with_table(text, heading, lambda _, rows=rows: rows)
    return text


def readme(text: str) -> str:
    """README.md: the third column, and the sentence below the table."""

    def renew(row: str) -> str:
        cells = row.split("|")
        numbers = (format_number(left(cells[1].strip(" `"), corpus), 2) for corpus in ("speech", "music"))
        cells[3] = f" {', '.join(numbers)} "
        return "|".join(cells)

    text = with_table(text, "| controller | for | left: speech, music |", lambda rows: [*map(renew, rows)])
    pattern = re.escape(SUMMARY).replace(r"\{\}", r"[\d.]*\d")
    found, count = re.subn(pattern, SUMMARY.format(*map(mean_left, (CONTROLLER, FOREST, NEIGHBOUR))), text)
    assert count == 1, f"README does not say {SUMMARY!r}"
    return found


def model_card(text: str) -> str:
    """dafxvae/pretrained/README.md: the last two columns."""

    def renew(row: str) -> str:
        numbers = (f"{left(row.split('|')[1].strip(), corpus):.2f}" for corpus in ("speech", "music"))
        return re.sub(r"[\d.]+ \| [\d.]+ \|$", f"{' | '.join(numbers)} |", row)

    return with_table(text, "| controller | effect | unprocessed |", lambda rows: [*map(renew, rows)])


PAGES = {"README.md": readme, "docs/evaluation.md": evaluation_page, "dafxvae/pretrained/README.md": model_card}

if __name__ == "__main__":
    for path, renewed in PAGES.items():
        (ROOT / path).write_text(renewed((ROOT / path).read_text()))
