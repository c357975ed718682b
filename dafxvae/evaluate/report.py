"""The report as one page: the main table, ratios as a picture, every table, and a few sounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dafxvae.audio.io import read_audio
from dafxvae.evaluate import tables
from dafxvae.evaluate.methods import CONTROLLER
from dafxvae.evaluate.plan import Cell
from dafxvae.metrics import MATCHED
from dafxvae.reporting.page import Page
from dafxvae.reporting.pictures import COLOURS, open_axes, png_bytes
from dafxvae.reporting.player import PlayerClip

MAX_SOUNDS = 16  # cells whose sounds are in the page, 1.4 MB each; all are in the folder


def ratio_figure(cells: list[dict[str, Any]]) -> Figure | None:
    """The controllers' ratios to the unprocessed input with their intervals; a colour per corpus, mode and input.

    A full dot is the ratio as it is, a hollow one that at matched loudness.
    """
    ratios = [[tables.metric_of(cell, CONTROLLER, m).get("ratio") for m in ("MRSTFT", MATCHED)] for cell in cells]
    known = [(cell, *pair) for cell, pair in zip(cells, ratios) if pair[0]]
    if not known:
        return None
    names = list(dict.fromkeys(cell["controller"] for cell, *_ in known))
    kinds = list(dict.fromkeys(f"{cell['corpus']}, {cell['mode']}, {cell['input']}" for cell, *_ in known))
    height = 1.3 + 0.2 * len(kinds) + max(0.3 * len(names), 0.2 * len(known))
    figure, (axis,) = open_axes(9.0, height)
    for k, kind in enumerate(kinds):
        colour, shift = COLOURS[k % len(COLOURS)], 0.7 * ((k + 0.5) / len(kinds) - 0.5)
        for which, face, label in ((1, colour, kind), (2, "white", f"{kind}, at matched loudness")):
            of_kind = [row for row in known if "{corpus}, {mode}, {input}".format(**row[0]) == kind]
            own = [(row[0]["controller"], ratio) for row in of_kind if (ratio := row[which])]
            y = np.asarray([names.index(name) for name, _ in own]) + shift + 0.14 * (which - 1) / len(kinds)
            mean, low, high = (np.asarray([ratio[key] for _, ratio in own]) for key in ("mean", "low", "high"))
            spread = np.stack([np.maximum(mean - low, 0.0), np.maximum(high - mean, 0.0)])
            axis.errorbar(mean, y, xerr=spread, fmt="o", ms=4, lw=1.2, color=colour, mfc=face, label=label)
    axis.axvline(1.0, color="black", lw=0.8, ls=":")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)  # the first on top
    axis.set_xlim(left=0.0)
    axis.set_xlabel("MRSTFT of the controller / of the unprocessed input (left of the line is better)")
    figure.legend(fontsize=7, frameon=False, loc="outside lower center", ncols=2)
    return figure


def cells_with_sounds(cells: Sequence[dict[str, Any]], count: int) -> set[int]:
    """Which cells have their sounds in the page: one of each controller before a second one of any."""
    seen: dict[str, int] = {}
    turns = []
    for i, cell in enumerate(cells):
        seen[cell["controller"]] = seen.get(cell["controller"], 0) + 1
        turns.append((seen[cell["controller"]], i))
    return {i for _, i in sorted(turns)[:count]}


def _sounds(page: Page, folder: Path, cell: dict[str, Any], are_inside: bool) -> None:
    own = Cell(*(cell[key] for key in tables.KEY)).folder
    place = folder / "sounds" / own
    names = ("input", "reference", CONTROLLER, "target")
    if not all((place / f"{name}.flac").is_file() for name in names):
        return
    if not are_inside:
        page.text(f"Sounds of the pair with the median ratio (item {cell['median_item']}): sounds/{own}", "note")
        return
    roles = ("take", "reference", "output", "target")
    page.text(f"The pair with the median ratio (item {cell['median_item']}):", "note")
    page.player([PlayerClip(role, name, *read_audio(place / f"{name}.flac")) for role, name in zip(roles, names)])


def report_page(results: dict[str, Any], folder: Path) -> str:
    """`report.html`.

    Args:
        results: of `results.json`.
        folder: where the sounds are.
    """
    cells = results["cells"]
    page = Page("Evaluation of controllers", "MRSTFT to the target, lower is better; 95 % bootstrap intervals")
    shown = [i for i, name in enumerate(tables.MAIN_COLUMNS) if name != "effect"]  # long; each section has it
    rows = [tables.MAIN_COLUMNS, *tables.main_rows(cells)]
    columns, *rows = ([row[i] for i in shown] for row in rows)
    page.table(columns, rows)
    page.text(tables.MAIN_NOTE, "note")
    figure = ratio_figure(cells)
    if figure is not None:
        page.picture(png_bytes(figure), "ratio of the controller's MRSTFT to that of the unprocessed input")
    for metric, note in tables.COMPARISONS.items():
        page.text(note, "note")
        page.table(*tables.comparison_table(cells, metric))
    with_sounds = cells_with_sounds(cells, MAX_SOUNDS)
    for i, cell in enumerate(cells):
        page.heading(tables.cell_title(cell))
        page.text(" ".join(tables.cell_notes(cell)).replace("`", ""), "note")
        page.table(tables.method_columns(cell), tables.method_rows(cell))
        columns, rows = tables.settings_table(cell)
        if rows:
            page.details("settings: mean absolute error / correlation with the truth", columns, rows)
        _sounds(page, folder, cell, i in with_sounds)
    return page.render()
