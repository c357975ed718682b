"""The command `report`: every measure as JSON, figures, and one page with all of them."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core import optional
from dafxvae.core.files import write_bytes, write_json, write_text
from dafxvae.latent import contenders, figures, measures, traversals
from dafxvae.latent.disentangle import effect_scores
from dafxvae.latent.examples import Gathered
from dafxvae.latent.measures import Studied
from dafxvae.latent.probes import Parts, ProbeTasks, standardise
from dafxvae.latent.source import ModelSource, joint_encodings
from dafxvae.latent.traversals import Strip
from dafxvae.reporting.pictures import png_bytes, save_png

NUM_TRAVERSED = 6
NUM_PARAMETERS = 6  # whose projections are shown


class Projection(NamedTuple):
    """Points of a picture and the names of its axes."""

    points: np.ndarray  # [B, 2]
    axes: tuple[str, str]


def pca_2d(x: np.ndarray) -> Projection:
    """The two greatest principal components of standardised features; `[B, D]`, B >= 2, D >= 2."""
    pca = optional.load_sklearn("decomposition", "latent").PCA(2)
    points = pca.fit_transform(*standardise(x))
    first, second = (
        f"principal component {i + 1} ({share:.0%} of the variance)"
        for i, share in enumerate(pca.explained_variance_ratio_)
    )
    return Projection(points, (first, second))


def umap_2d(x: np.ndarray, seed: int) -> Projection | None:
    """UMAP (McInnes et al. 2018) of standardised features; None when the package is not installed."""
    if not optional.is_installed("umap"):
        return None
    umap = importlib.import_module("umap")
    points = umap.UMAP(n_components=2, random_state=seed).fit_transform(*standardise(x))
    return Projection(np.asarray(points), ("UMAP 1", "UMAP 2"))


class Findings(NamedTuple):
    """Everything in the report: numbers, figures, sounds."""

    data: dict[str, Any]  # JSON
    pictures: dict[str, bytes]  # file name without suffix -> PNG
    strips: list[tuple[str, Strip]]  # file name without suffix


def disentanglement(z: Parts, tasks: ProbeTasks, effects: Sequence[str], seed: int) -> dict[str, Any]:
    """Both scores of every effect with at least two settings, and their means."""
    found = {}
    for index, name in enumerate(effects):
        scores = effect_scores(index, (z.train, z.test), (tasks.train, tasks.test), seed)
        if scores is not None:
            found[name] = scores._asdict()
    keys = ("beta_vae", "chance", "mig")
    means = {key: float(np.mean([row[key] for row in found.values()])) for key in keys} if found else {}
    return {"effects": found, "mean": means}


def parameter_panels(
    z: np.ndarray, gathered: Gathered, probes: dict[str, Any]
) -> list[tuple[str, np.ndarray, np.ndarray, float]]:
    """For the settings with the best probes of g's latent: their effect's test examples by PCA, and their values."""
    row = next(row for row in probes["rows"] if row["features"] == "g" and row["probe"] == "linear")
    r2 = np.nan_to_num(np.asarray(row["r2"], float), nan=-np.inf)
    task, panels = gathered.test.task, []
    for k in np.argsort(-r2)[:NUM_PARAMETERS].tolist():
        rows = task.mask[:, k] > 0
        if np.isfinite(r2[k]) and rows.sum() > 2:
            points = pca_2d(z[rows]).points
            panels.append((gathered.parameters[k], points, task.unit_params[rows, k], float(r2[k])))
    return panels


def projections(z: Parts, gathered: Gathered, probes: dict[str, Any], seed: int) -> tuple[dict[str, bytes], list[str]]:
    """g's latent and f's joint encoding by effect, g's by parameter; and notes for the reader."""
    effect, notes, pictures = gathered.test.task.effect, [], {}
    for name, x in (("g's latent", z.test), ("f's joint encoding", gathered.test.features["f"].joint)):
        key = "projection_" + name[0]
        found = {key: pca_2d(x)}
        umap = umap_2d(x, seed)
        if umap is not None:
            found[key + "_umap"] = umap
        for file, projection in found.items():
            figure = figures.effect_scatter(projection.points, effect, gathered.effects, projection.axes, name)
            pictures[file] = png_bytes(figure)
        if umap is None and not notes:
            notes.append("UMAP is not installed, so only PCA is shown: `pip install umap-learn` adds it.")
    panels = parameter_panels(z.test, gathered, probes)
    if panels:
        title = "g's latent: each effect's examples, first two principal components"
        pictures["projection_parameters"] = png_bytes(figures.parameter_scatter(panels, title))
    return pictures, notes


def strips_of(source: ModelSource, gathered: Gathered, studied: Studied) -> list[tuple[str, Strip]]:
    """Traversals of the dimensions that do most, and the interpolations between two recordings."""
    rate, shown = source.config.sample_rate, gathered.shown
    order = studied.f.recommendation.order[:NUM_TRAVERSED].tolist()
    moved = traversals.f_traversals(source.encoders, shown.reference[0], order, rate)
    found = [(f"traversal_f_{j}", strip) for j, strip in zip(order, moved)]
    found.append(("interpolation_f", traversals.f_interpolation(source.encoders, shown.dry[0], shown.dry[1], rate)))
    rendered = studied.rendered
    if rendered is None:
        return found
    dry, references = rendered.pairs.dry[0], rendered.pairs.reference[:2]
    output = next(name for name in studied.g.variances if name.startswith("sound of"))
    order = np.argsort(-studied.g.variances[output], kind="stable")[:NUM_TRAVERSED].tolist()
    moved = traversals.g_traversals(rendered, order)
    found += [(f"traversal_g_{j}", strip) for j, strip in zip(order, moved)]
    # one input with the references of two pairs
    joint = joint_encodings(source.encoders, rate, np.stack([dry, dry]), references)
    means = studied.functions.encode(joint)
    return [*found, ("interpolation_g", traversals.g_interpolation(rendered, means, dry, references))]


def find(source: ModelSource, gathered: Gathered, studied: Studied, seed: int, notify: contenders.Notify) -> Findings:
    """Everything but the sweep.

    Args:
        source: f and g, and h where there is one.
        gathered: examples with f's and the baselines' features.
        studied: the measured dimensions.
        seed: of probes and projections.
        notify: called with each step.
    """
    z, tasks = Parts(*map(studied.functions.encode, gathered.parts("f"))), gathered.tasks
    entries = contenders.contenders(gathered, {"g": z})
    probed = contenders.run_probes(entries, tasks, gathered.effects, gathered.parameters, seed=seed, notify=notify)
    data = {
        "source": source.name,
        "held_out": gathered.held_out,
        "clip_seconds": source.config.clip_samples / source.config.sample_rate,
        "seed": seed,
        "f": measures.dimensions_as_json(studied.f),
        "g": measures.dimensions_as_json(studied.g),
        "probes": probed,
        "disentanglement": {"g": disentanglement(z, tasks, gathered.effects, seed)},
    }
    notify("drawing")
    pictures = {}
    for name, title in (("f", "f, latent of frames"), ("g", "g, latent of pairs")):
        pictures[f"dimensions_{name}"] = png_bytes(figures.dimension_bars(data[name], title))
        pictures[f"sizes_{name}"] = png_bytes(figures.size_curves(data[name], title))
    pictures["probes_effect"] = png_bytes(figures.probe_bars(probed))
    for kind in ("linear", "forest"):
        pictures[f"probes_settings_{kind}"] = png_bytes(figures.settings_dots(probed, kind))
    drawn, data["notes"] = projections(z, gathered, probed, seed)
    return Findings(data, pictures | drawn, strips_of(source, gathered, studied))


def write(findings: Findings, page: str, folder: Path) -> None:
    """Writes `report.html`, `report.json` and every picture."""
    write_json(folder / "report.json", findings.data)
    for name, png in findings.pictures.items():
        write_bytes(folder / f"{name}.png", png)
    for name, strip in findings.strips:
        save_png(folder / f"{name}.png", strip.picture)
    write_text(folder / "report.html", page)
