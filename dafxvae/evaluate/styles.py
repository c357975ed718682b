"""Five production styles, each to each: DeepAFx-ST's case study with styles that anybody can render again."""

import json
from argparse import Namespace
from contextlib import ExitStack
from importlib import resources
from typing import Any

import numpy as np
from rich.console import Console

from dafxvae.controllers.controller import read_controller
from dafxvae.controllers.names import find_controller
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json, write_text
from dafxvae.core.rng import host_rng
from dafxvae.core.version import __version__
from dafxvae.data.corpora.tracks import Corpus
from dafxvae.data.pairs.draws import PairOptions, make_cutter
from dafxvae.effects.bank import EffectBank, open_bank
from dafxvae.evaluate import tables
from dafxvae.evaluate.cells import numbers
from dafxvae.evaluate.held_out import find_corpus, long_enough, open_held_out
from dafxvae.evaluate.methods import CONTROLLER, NOTHING, Tools, open_tools
from dafxvae.evaluate.plan import Plan, file_name, num_workers
from dafxvae.evaluate.summary import num_level_kept
from dafxvae.metrics import MATCHED, MATCHED_LUFS, METRICS, bootstrap_interval, bootstrap_ratio, score_outputs
from dafxvae.transfer.prediction import predict_clips

SHOWN = ("MRSTFT", MATCHED, "SCE", "LUFS")
MODE = "other_file"
Scores = dict[str, dict[str, np.ndarray]]  # method, metric -> [styles from, styles to, N]


def load_styles() -> dict[str, str]:
    """Name of each style to its chain, in `styles.json`."""
    return json.loads((resources.files("dafxvae.evaluate") / "styles.json").read_text(encoding="utf-8"))


def draw_clips(corpus: Corpus, clip_samples: int, num_pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and references from different recordings, before any style; float32 `[N, T, C]` each."""
    cutter = make_cutter(long_enough(corpus, clip_samples, MODE), clip_samples, PairOptions())
    clips = np.empty((2, num_pairs, clip_samples, corpus.num_channels), np.float32)
    for item in range(num_pairs):
        rng = host_rng(seed, "evaluate/styles", item)
        dry = cutter.draw(rng)
        cutter.read(dry, clips[0, item])
        cutter.read(cutter.draw_reference(rng, dry, MODE), clips[1, item])
    return clips[0], clips[1]


def _apply(bank: EffectBank, clips: np.ndarray, sample_rate: int) -> np.ndarray:
    """Clips `[N, T, C]` in every style; `[styles, N, T, C]`."""
    settings = np.zeros((len(clips), bank.num_params), np.float32)
    styles = range(len(bank.hosts))
    return np.stack([bank.render(clips, np.full(len(clips), s), settings, sample_rate) for s in styles])


def score_styles(tools: Tools, styles: EffectBank, dry: np.ndarray, reference: np.ndarray) -> tuple[Scores, int]:
    """The controller and the unprocessed input, from each style to each.

    The input is a recording in one style, the reference another recording in the other style, the target the input's
    recording in that style.

    Args:
        tools: of the controller.
        styles: the bank of styles.
        dry, reference: `[N, T, C]`, before any style.

    Returns:
        Scores, nan where undefined; and how many of the controller's renders failed.
    """
    rate, count = tools.controller.sample_rate, len(dry)
    inputs, references = (_apply(styles, clips, rate) for clips in (dry, reference))
    if not (np.isfinite(inputs).all() and np.isfinite(references).all()):
        raise UserError(f"a style failed to render at {rate} Hz: {'; '.join(map(str, styles.failures.last))}")
    size = len(styles.hosts)
    scores = {name: {m: np.full((size, size, count), np.nan) for m in SHOWN} for name in (NOTHING, CONTROLLER)}
    num_failed = 0
    for start, end in np.ndindex(size, size):
        settings = predict_clips(tools.controller, inputs[start], references[end]).unit_params
        outputs = tools.bank.render(inputs[start], np.zeros(count, int), settings, rate)
        num_failed += int((~np.isfinite(outputs).all(axis=(1, 2))).sum())
        for item in range(count):
            both = np.stack([inputs[start, item], outputs[item]])
            found = score_outputs(both, inputs[end, item], rate)
            for metric in SHOWN:
                for row, name in enumerate(scores):
                    scores[name][metric][start, end, item] = found[metric][row]
    return scores, num_failed


def matrix_table(results: dict[str, Any], metric: str) -> str:
    """One corpus's matrix of a metric: nothing → controller, means over pairs, in Markdown."""
    names, digits = list(results["styles"]), METRICS[metric].digits

    def entry(start: int, end: int) -> str:
        means = []
        for method in (NOTHING, CONTROLLER):
            values = [v for v in results["scores"][method][metric][start][end] if v is not None]
            means.append(tables.format_number(float(np.mean(values)), digits) if values else "–")
        return " → ".join(means)

    rows = [[f"**{name}**", *(entry(s, e) for e in range(len(names)))] for s, name in enumerate(names)]
    return tables.markdown_table(["from \\ to", *names], rows)


def summary_table(results: dict[str, Any]) -> str:
    """One corpus's cells in short, in Markdown: means over cells, off the diagonal and on it.

    Intervals are of the mean over pairs: a pair's score is its mean over the cells, since all cells share recordings.
    """

    def over_cells(values: np.ndarray, cells: np.ndarray) -> dict[str, Any] | None:
        mine = values[cells]  # [cells, N]
        items = mine[:, np.isfinite(mine).all(0)].mean(0)
        return bootstrap_interval(items)._asdict() if len(items) else None

    def ratio(ours: np.ndarray, nothing: np.ndarray) -> dict[str, Any] | None:
        both = np.isfinite(ours).all(0) & np.isfinite(nothing).all(0)  # of [cells, N]
        above, below = ours[:, both].mean(0), nothing[:, both].mean(0)
        return bootstrap_ratio(above, below)._asdict() if below.sum() > 0.0 else None

    rows = []
    for metric in SHOWN:
        nothing, ours = (np.asarray(results["scores"][m][metric], float) for m in (NOTHING, CONTROLLER))
        same = np.eye(len(ours), dtype=bool)
        digits = METRICS[metric].digits
        better = np.nanmean(ours, axis=-1)[~same] < np.nanmean(nothing, axis=-1)[~same]
        entries = ((nothing, ~same), (ours, ~same), (ours, same))
        unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
        row = [f"{metric}{unit}", *(tables.format_interval(over_cells(*entry), digits) for entry in entries)]
        improved = METRICS[metric].improved(ours, nothing)[~same]
        counts = f"{better.sum()} of {better.size}", tables.format_share(float(improved.mean()))
        rows.append([*row[:3], tables.format_interval(ratio(ours[~same], nothing[~same]), 2), *counts, row[3]])
    columns = ("", "nothing, another style", "controller, another style", "ratio", "cells better", "pairs improved")
    return tables.markdown_table([*columns, "controller, the style that it has (nothing: 0)"], rows)


def styles_markdown(results: dict[str, Any]) -> str:
    """`styles.md`."""
    parts = [
        f"# Five styles, each to each: {results['controller']}",
        f"`{results['effect']}`, {results['num_pairs']} pairs for each cell, clips of {results['clip_samples']} "
        f"samples at {results['sample_rate']} Hz, reference from {MODE}, seed {results['seed']}, dafxvae "
        f"{results['version']}. Each entry: doing nothing → the controller, means over pairs; 0 is the target. "
        f"Matched: input, output and target each at {MATCHED_LUFS:.0f} LUFS.",
        tables.markdown_table(("style", "chain"), [[name, f"`{chain}`"] for name, chain in results["styles"].items()]),
    ]
    for corpus in results["corpora"]:
        parts.append(f"## {corpus['corpus']}")
        undefined = sum(
            value is None
            for method in corpus["scores"].values()
            for metric in method.values()
            for row in metric
            for cell in row
            for value in cell
        )
        if corpus["num_failed"] or undefined:
            text = f"{corpus['num_failed']} renders failed; {undefined} scores are undefined and left out of the means."
            kept = num_level_kept(corpus["scores"], CONTROLLER)
            parts.append(f"{text} At matched loudness {kept} pairs have a sound that kept its level." if kept else text)
        parts.append(summary_table(results | corpus))
        for metric in SHOWN:
            unit = f" ({METRICS[metric].unit})" if METRICS[metric].unit else ""
            parts += [f"{metric}{unit}:", matrix_table(results | corpus, metric)]
    return "\n\n".join(parts) + "\n"


def _as_json(scores: Scores) -> dict[str, Any]:
    return {
        name: {metric: [list(map(numbers, row)) for row in v] for metric, v in by.items()}
        for name, by in scores.items()
    }


def run_styles(arguments: Namespace) -> None:
    """The case study of one controller on one or more corpora; writes `styles.json` and `styles.md`.

    Raises:
        UserError: bad input; the message says what to change.
    """
    messages, console = Console(stderr=True), Console()
    workers = num_workers(arguments.workers)
    plan = Plan(arguments.pairs, arguments.seed, arguments.clip_sec)
    path = find_controller(arguments.controller)
    controller = read_controller(path)
    name = path.parent.name if path.name == "controller.safetensors" else path.stem
    rate, clip_samples = controller.sample_rate, plan.clip_samples(controller.sample_rate)
    chains, corpora = load_styles(), []
    opened = [
        (place, open_held_out(place, controller.config)) for place in map(find_corpus, dict.fromkeys(arguments.corpus))
    ]
    for _, corpus in opened:
        long_enough(corpus, clip_samples, MODE)
    place = arguments.output / f"styles-{file_name(name)}"
    write_json(place / "chains.json", chains)  # says that the folder cannot be written before anything is rendered
    with ExitStack() as stack:
        tools = open_tools(controller, workers, plan.seed, stack)
        styles = stack.enter_context(open_bank(list(chains.values()), num_workers=workers))
        for held_out, corpus in opened:
            messages.print(f"{name}, {held_out.name}: {len(chains)} x {len(chains)} styles", highlight=False)
            dry, reference = draw_clips(corpus, clip_samples, plan.num_pairs, plan.seed)
            scores, num_failed = score_styles(tools, styles, dry, reference)
            corpora.append({"corpus": held_out.name, "num_failed": num_failed, "scores": _as_json(scores)})
    results = {
        "controller": name, "effect": controller.effect, "styles": chains, "num_pairs": plan.num_pairs,
        "seed": plan.seed, "version": __version__, "sample_rate": rate, "clip_samples": clip_samples,
        "corpora": corpora,
    }  # fmt: skip
    write_json(place / "styles.json", results)
    text = styles_markdown(results)
    write_text(place / "styles.md", text)
    console.print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)
