"""Tables and figures of `benchmarks.studies.objective_scan`: shares as a heat map, curves as small ridges."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import pyplot

VIEWS = ("target", "reference")
COLUMNS = 5


def _name(effect: str) -> str:
    return "EQ" if "|" in effect else effect


def _rows(effects: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Effect, label and losses of every scan."""
    return [
        (_name(effect), label, scan["losses"]) for effect, found in effects.items() for label, scan in found.items()
    ]


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _means(scans: list[dict[str, Any]], name: str, view: str) -> tuple[float, float]:
    """Mean descent share, and mean distance of the minimum from the truth."""
    shares, offsets = ([cell for scan in scans for cell in scan[name][view][key]] for key in ("share", "offset"))
    return float(np.mean(shares)), float(np.mean(np.abs(offsets)))


def tables(effects: dict[str, Any]) -> str:
    """Markdown: shares (and distances) by parameter, by effect, of all; best mixes; sizes of the losses."""
    rows = _rows(effects)
    names = list(rows[0][2])
    plain = [row for row in rows if "while" not in row[1]]
    parts = []

    def cells(scans: list[dict[str, Any]], view: str) -> list[str]:
        return ["{:.2f} ({:.2f})".format(*_means(scans, name, view)) for name in names]

    for view in VIEWS:
        by_parameter = [[effect, label, *cells([losses], view)] for effect, label, losses in plain]
        by_effect = [
            [effect, "all", *cells([losses for own, _, losses in plain if own == effect], view)]
            for effect in dict.fromkeys(row[0] for row in plain)
        ]
        every = [["all", "all", *cells([losses for _, _, losses in plain], view)]]
        parts.append(f"{view}\n\n" + _markdown(["effect", "parameter", *names], by_parameter + by_effect + every))
    for view in VIEWS:
        dry = [
            [effect, label]
            + [f"{np.mean(x[n][view]['share']):.2f} ({np.mean(x[n][view]['offset']):+.2f})" for n in names]
            for effect, label, x in rows
            if "while" in label
        ]
        parts.append(f"best mix, {view}\n\n" + _markdown(["effect", "scan", *names], dry))
    far = ["far", *(f"{np.mean([losses[name]['target']['far'] for _, _, losses in plain]):.3f}" for name in names)]
    parts.append(_markdown(["size", *names], [far]))
    return "\n\n".join(parts)


def _save(figure: Any, path: Path) -> None:
    """Writes a PNG of 64 colours: a third of the size."""
    from PIL import Image

    figure.savefig(path, dpi=64)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def plot_shares(effects: dict[str, Any], folder: Path) -> None:
    """`shares.png`: the mean descent share of every scan and loss, against target and reference."""
    plt = pyplot()
    scans = [(f"{effect}  {label}", losses) for effect, label, losses in _rows(effects)]
    losses = list(scans[0][1])
    figure, axes = plt.subplots(1, 2, figsize=(15, 0.27 * len(scans) + 1.6), sharey=True, layout="constrained")
    for axis, view in zip(axes, VIEWS):
        shares = np.array([[np.mean(scan[name][view]["share"]) for name in losses] for _, scan in scans])
        axis.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.6 else "black"
            axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(f"share of starts that descend to within .05 of the truth: {view}", fontsize=10)
        axis.set_xticks(range(len(losses)), losses, rotation=30, ha="right")
        axis.set_yticks(range(len(scans)), [label for label, _ in scans], fontsize=8)
    _save(figure, folder / "shares.png")
    plt.close(figure)


def plot_curves(effects: dict[str, Any], folder: Path) -> None:
    """`curves_target.png` and `curves_reference.png`: the first problem of every parameter, a ridge for each loss."""
    plt = pyplot()
    rows: list[list[tuple[str, dict[str, Any]]]] = []
    for effect, labels in effects.items():
        panels = [(f"{_name(effect)} {label}", scan) for label, scan in labels.items() if "while" not in label]
        rows += [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    losses = list(rows[0][0][1]["losses"])
    for view in VIEWS:
        size = (15, 1.75 * len(rows))
        figure, axes = plt.subplots(len(rows), COLUMNS, figsize=size, squeeze=False, sharey=True, layout="constrained")
        for axis in axes.flat:
            axis.set_axis_off()
        for row, panels in zip(axes, rows):
            for axis, (label, scan) in zip(row, panels):
                axis.set_axis_on()
                at = np.linspace(0, 1, scan["grid"])
                axis.axvline(scan["truths"][0], color="0.6", lw=1)
                for i, name in enumerate(losses):
                    curve = np.array(scan["losses"][name][view]["curve"]) / 120
                    axis.plot(at, curve - i, color=f"C{i}", lw=1.2)
                axis.set_title(label, fontsize=8)
                axis.set_yticks(-np.arange(len(losses)), losses, fontsize=6)
                axis.tick_params(axis="x", labelsize=6)
        _save(figure, folder / f"curves_{view}.png")
        plt.close(figure)
