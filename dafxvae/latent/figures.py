"""Figures of the report, by matplotlib without a display or global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from dafxvae.reporting.pictures import COLOURS, open_axes

OURS, THEIRS, IDLE, ACCENT = "#1f5fa8", "#9aa5b1", "#d9dde2", "#c2410c"
MARKERS = "osv^D<>PX*hd"


def dimension_bars(found: Mapping[str, Any], title: str) -> Figure:
    """KL, activity and shares of the output variance of every dimension, the most important first; idle ones in grey.

    `found` is the JSON of `measures.dimensions_as_json`.
    """
    outputs = found["output_share"]
    order, used = np.asarray(found["order"]), np.asarray(found["used"])
    size = max(6.5, 0.24 * len(order) + 2.5), 2.6 + 1.3 * len(outputs)
    figure, axes = open_axes(*size, 2 + len(outputs), sharex=True)
    rows = [("KL (nats)", found["kl_nats"]), ("activity", found["activity"])]
    rows += [(f"share of output variance:\n{name}", values) for name, values in outputs.items()]
    for axis, (label, values) in zip(axes, rows):
        colours = np.where(used[order], OURS, IDLE)
        axis.bar(np.arange(len(order)), np.asarray(values)[order], color=colours.tolist())
        axis.set_ylabel(label, fontsize=7, rotation=0, ha="right", va="center")
        axis.tick_params(labelsize=7)
    axes[-1].set_xticks(np.arange(len(order)), [str(j) for j in order])
    axes[-1].set_xlabel("latent dimension, by its greatest share of an output's variance")
    axes[0].set_title(f"{title}: {int(used.sum())} of {len(order)} dimensions in use (blue)", fontsize=10)
    return figure


def size_curves(found: Mapping[str, Any], title: str) -> Figure:
    """The curve behind the recommended size: the output variance that d dimensions hold, and the error with d kept."""
    figure, (left, right) = open_axes(9.5, 3.4, 1, 2)
    for colour, (name, curve) in zip(COLOURS, found["cumulative"].items()):
        left.plot(np.arange(1, len(curve) + 1), curve, "o-", ms=2.5, lw=1, color=colour, label=name)
    left.axhline(found["share"], color="black", lw=0.7, ls=":", label=f"{found['share']:.0%}")
    left.set(xlabel="number of dimensions d (best first, for each output)", ylabel="share of output variance")
    for colour, (name, curve) in zip(COLOURS, found["error_with_d_kept"].items()):
        values = np.asarray(curve) / max(curve[0], 1e-12)
        right.plot(np.arange(len(curve)), values, "o-", ms=2.5, lw=1, color=colour, label=f"{name} error")
    right.set(xlabel="number of dimensions kept, the others at their mean", ylabel="error relative to none kept")
    for axis in (left, right):
        axis.axvline(found["recommended"], color=ACCENT, lw=1, label=f"recommended: {found['recommended']}")
        axis.set_ylim(0, None)
        axis.legend(fontsize=7, framealpha=0.8, edgecolor="none")
    figure.suptitle(f"{title}: how many dimensions the outputs need", fontsize=10)
    return figure


def probe_bars(probes: Mapping[str, Any]) -> Figure:
    """Accuracy of naming the effect with 95 % intervals: one panel for each kind of input and probe."""
    rows = probes["rows"]
    panels = list(dict.fromkeys((row["input"], row["probe"]) for row in rows))
    figure, axes = open_axes(4.0 * len(panels), 2.6, 1, len(panels), sharex=True)
    words = {"wet": "reference alone", "joint": "input and reference"}
    for axis, (inputs, probe) in zip(axes, panels):
        mine = sorted(
            (row for row in rows if (row["input"], row["probe"]) == (inputs, probe)),
            key=lambda row: row["accuracy"]["mean"],
        )
        for place, row in enumerate(mine):
            share = row["accuracy"]
            axis.barh(place, share["mean"], color=THEIRS if row["baseline"] else OURS)
            reach = [[share["mean"] - share["low"]], [share["high"] - share["mean"]]]
            axis.errorbar(share["mean"], place, xerr=reach, color="black", lw=1, capsize=2)
        axis.set_yticks(range(len(mine)), [f"{row['features']} ({row['size']})" for row in mine], fontsize=8)
        axis.axvline(probes["chance"], color="black", lw=0.7, ls=":")
        axis.set_title(f"{words[inputs]}, {probe} probe", fontsize=9)
        axis.set_xlabel(f"accuracy, {len(probes['effects'])} effects (dotted: chance)", fontsize=8)
    return figure


def settings_dots(probes: Mapping[str, Any], probe: str) -> Figure:
    """R² of every setting from g's latent, from every baseline (grey) and from the best of them (black line)."""
    rows = [row for row in probes["rows"] if row["input"] == "joint" and row["probe"] == probe]
    names = probes["parameters"]
    figure, (axis,) = open_axes(7.5, 1.2 + 0.19 * len(names))
    place = np.arange(len(names))[::-1]
    shown = {"g": (OURS, "o", 26), "f": ("#3f8f4f", "d", 14)}
    for row in rows:
        values = np.clip(np.asarray(row["r2"], float), -0.5, 1.0)
        colour, marker, size = (THEIRS, "|", 40) if row["baseline"] else shown.get(row["features"], (ACCENT, "s", 14))
        label = None if row["baseline"] else row["features"]
        axis.scatter(values, place, s=size, marker=marker, color=colour, label=label, zorder=2 if label else 1)
    theirs = np.asarray([row["r2"] for row in rows if row["baseline"]], float)
    best = np.clip(theirs.max(0), -0.5, 1.0)
    axis.scatter(best, place, s=60, marker="|", color="black", label="best baseline", zorder=1)
    axis.set_yticks(place, names, fontsize=7)
    axis.axvline(0.0, color="black", lw=0.5)
    axis.set(xlabel="R² on held-out recordings (values below -.5 are drawn there)", xlim=(-0.55, 1.02))
    axis.set_ylim(-1, len(names))
    axis.set_title(f"settings read by a {probe} probe from input and reference", fontsize=10)
    axis.legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def effect_scatter(
    points: np.ndarray, effect: np.ndarray, effects: Sequence[str], axes: Sequence[str], title: str
) -> Figure:
    """A projection `[B, 2]` coloured by effect, int `[B]`; colour and marker distinguish up to 120 effects."""
    figure, (axis,) = open_axes(7.2, 4.6)
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for index, name in enumerate(effects):
        rows = effect == index
        style = {"color": colours[index % 10], "marker": MARKERS[index // 10 % len(MARKERS)]}
        axis.scatter(points[rows, 0], points[rows, 1], s=9, alpha=0.75, label=f"{name} ({int(rows.sum())})", **style)
    axis.set(xlabel=axes[0], ylabel=axes[1])
    axis.set_title(title, fontsize=10)
    figure.legend(loc="outside right upper", fontsize=7, frameon=False, markerscale=1.8)
    return figure


def parameter_scatter(panels: Sequence[tuple[str, np.ndarray, np.ndarray, float]], title: str) -> Figure:
    """Projections of one effect's examples each, coloured by one of its settings.

    Args:
        panels: name of the parameter, points `[B, 2]`, settings `[B]` in [0, 1], R² of the probe.
        title: of the picture.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = open_axes(3.4 * columns, 2.8 * rows + 0.4, rows, columns)
    image = None
    for axis, (name, points, values, r2) in zip(axes, panels):
        image = axis.scatter(points[:, 0], points[:, 1], c=values, s=10, cmap="viridis", vmin=0.0, vmax=1.0)
        axis.set_title(f"{name} (R² {r2:.2f})", fontsize=8)
        axis.tick_params(labelsize=6)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if image is not None:
        figure.colorbar(image, ax=axes.tolist(), label="setting (0 … 1 of its range)")
    figure.suptitle(title, fontsize=10)
    return figure


def sweep_lines(sweep: Mapping[str, Any]) -> Figure:
    """Held-out scores of g at several sizes: the mean over pairs and seeds with 95 % intervals."""
    metrics = sweep["metrics"]
    figure, axes = open_axes(3.3 * len(metrics), 3.0, 1, len(metrics))
    for axis, (name, words) in zip(axes, metrics.items()):
        sizes = [row["latent_dim"] for row in sweep["rows"]]
        means = np.asarray([row["scores"][name]["mean"] for row in sweep["rows"]])
        low, high = (np.asarray([row["scores"][name][side] for row in sweep["rows"]]) for side in ("low", "high"))
        axis.errorbar(sizes, means, yerr=np.stack([means - low, high - means]), fmt="o-", color=OURS, capsize=3, lw=1)
        for row in sweep["rows"]:
            axis.plot([row["latent_dim"]] * len(row["by_seed"][name]), row["by_seed"][name], ".", color=THEIRS, ms=5)
        axis.axvline(sweep["recommended"], color=ACCENT, lw=1)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.set(xlabel="dimensions of g", title=words)
        axis.title.set_fontsize(8)
        axis.minorticks_off()
    figure.suptitle("g trained again at other sizes (grey: each seed; line: recommended size)", fontsize=10)
    return figure
