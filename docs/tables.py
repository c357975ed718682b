"""Writes the tables of held-out results into the documents, from docs/evaluation.json.

dafxvae evaluate table results --json > docs/evaluation.json
python docs/tables.py
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dafxvae.evaluate.methods import CONTROLLER, FOREST, MEAN, NEIGHBOUR, NOTHING, RULES
from dafxvae.evaluate.tables import format_interval, format_number, format_share

ROOT = Path(__file__).resolve().parent.parent
ROWS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "evaluation.json").read_text())
SCORES = "MRSTFT"
SUMMARY = "The mean is {}; a random forest on the same encodings leaves {}, the nearest training example {}."


def results_row(row: dict[str, Any]) -> str:
    """Of docs/evaluation.md: a controller on a corpus; the lowest mean is bold."""
    scores = row[SCORES]
    rules = min((scores[name] for name in scores if name.startswith(RULES)), key=lambda score: score["mean"])
    others = [scores[MEAN], rules, scores[NEIGHBOUR], scores[FOREST]]
    best = min(score["mean"] for score in (*others, scores[CONTROLLER]))
    texts = [format_number(score["mean"], 2) for score in others] + [format_interval(scores[CONTROLLER], 2)]
    means = [*others, scores[CONTROLLER]]
    texts = [f"**{text}**" if score["mean"] == best else text for text, score in zip(texts, means, strict=True)]
    below, count = row["settings_below_guess"]
    last = [format_interval(row["ratio"][CONTROLLER], 2), format_share(row["improved"]), f"{below} of {count}"]
    kind = "speech" if row["is_speech"] else "music"
    return " | ".join([f"| {row['controller']}", kind, format_interval(scores[NOTHING], 2), *texts, *last]) + " |"


def left(controller: str, is_speech: bool) -> float:
    """How much of an unprocessed input's distance a controller leaves."""
    (row,) = (row for row in ROWS if (row["controller"], row["is_speech"]) == (controller, is_speech))
    return row["ratio"][CONTROLLER]["mean"]


def mean_left(method: str) -> str:
    """The same of a method, in the mean of all rows."""
    ratios = [row[SCORES][method]["mean"] / row[SCORES][NOTHING]["mean"] for row in ROWS]
    return format_number(sum(ratios) / len(ratios), 2)


def with_table(text: str, heading: str, renew: Callable[[list[str]], list[str]]) -> str:
    """A page whose table of that heading has the rows that `renew` makes of those that it had."""
    start = text.index(f"\n{heading}") + 1
    start = text.index("\n", text.index("\n", start) + 1) + 1  # behind the line of dashes
    end = text.index("\n\n", start)
    return text[:start] + "\n".join(renew(text[start:end].splitlines())) + text[end:]


def evaluation_page(text: str) -> str:
    """docs/evaluation.md."""
    return with_table(text, "| controller | corpus | nothing | mean settings |", lambda _: [*map(results_row, ROWS)])


def readme(text: str) -> str:
    """README.md: the third column, and the sentence below the table."""

    def renew(line: str) -> str:
        cells = line.split("|")
        name = cells[1].strip(" `")
        cells[3] = f" {format_number(left(name, True), 2)}, {format_number(left(name, False), 2)} "
        return "|".join(cells)

    text = with_table(text, "| controller | for | left: speech, music |", lambda lines: [*map(renew, lines)])
    pattern = re.escape(SUMMARY).replace(r"\{\}", r"[\d.]*\d")
    found, count = re.subn(pattern, SUMMARY.format(*map(mean_left, (CONTROLLER, FOREST, NEIGHBOUR))), text)
    assert count == 1, f"README does not say {SUMMARY!r}"
    return found


def model_card(text: str) -> str:
    """dafxvae/pretrained/README.md: the last two columns."""

    def renew(line: str) -> str:
        name = line.split("|")[1].strip()
        return re.sub(r"[\d.]+ \| [\d.]+ \|$", f"{left(name, True):.2f} | {left(name, False):.2f} |", line)

    return with_table(text, "| controller | effect | unprocessed |", lambda lines: [*map(renew, lines)])


PAGES = {"README.md": readme, "docs/evaluation.md": evaluation_page, "dafxvae/pretrained/README.md": model_card}

if __name__ == "__main__":
    for path, renewed in PAGES.items():
        (ROOT / path).write_text(renewed((ROOT / path).read_text()))
