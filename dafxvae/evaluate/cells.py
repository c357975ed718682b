"""The cells of an evaluation, chunk by chunk: what is finished lies in a file and is never computed again."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.audio.io import write_audio
from dafxvae.core.files import read_json, stored_file, write_json
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.data.pairs.draws import PairMaker, PairOptions, make_cutter
from dafxvae.evaluate.held_out import long_enough
from dafxvae.evaluate.methods import CONTROLLER, MethodOutputs, Tools, run_methods
from dafxvae.evaluate.plan import PARTS, Cell, Plan
from dafxvae.metrics import METRICS, score_outputs
from dafxvae.transfer.prediction import predict_clips
from dafxvae.types import PairBatch

CHUNK = 8  # pairs rendered, scored and stored at once
Advance = Callable[[int], None]


def make_maker(plan: Plan, cell: Cell, corpus: Corpus, tools: Tools) -> PairMaker:
    """What draws and renders a cell's pairs; no reference is unprocessed, and no clip augmented."""
    options = PairOptions(style_share=float(cell.input == "styled"))
    clip_samples = plan.clip_samples(corpus.sample_rate)
    cutter = make_cutter(long_enough(corpus, clip_samples, cell.mode), clip_samples, options)
    return PairMaker(cutter, tools.bank, seed=plan.seed, stream="evaluate", mode=cell.mode, options=options)


def numbers(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON: None for nan."""
    return [None if np.isnan(value) else float(value) for value in values]


def score_pairs(
    pairs: PairBatch, made: MethodOutputs, sample_rate: int, num_pesq: int
) -> dict[str, dict[str, list[float | None]]]:
    """Method to metric to a score for each pair (None: undefined or failed); PESQ for the first `num_pesq` only."""
    scores = {name: {m: np.full(len(out), np.nan) for m in METRICS} for name, out in made.outputs.items()}
    for b in range(len(pairs.dry)):
        if not pairs.valid[b]:
            continue
        names = [name for name, outputs in made.outputs.items() if b < len(outputs)]
        stacked = np.stack([made.outputs[name][b] for name in names])
        for metric, values in score_outputs(stacked, pairs.target[b], sample_rate, pesq=b < num_pesq).items():
            for name, value in zip(names, values):
                scores[name][metric][b] = value
    return {name: {metric: numbers(values) for metric, values in by.items()} for name, by in scores.items()}


def run_chunk(plan: Plan, tools: Tools, maker: PairMaker, items: np.ndarray, is_speech: bool) -> dict[str, Any]:
    """Make, process and score some pairs; plain JSON."""
    pairs, _ = maker.make(items)
    count, first = len(items), int(items[0])
    made = run_methods(tools, pairs, plan.seed, min(count, max(0, plan.search_pairs - first)))
    num_pesq = min(count, max(0, plan.pesq_pairs - first)) if is_speech else 0
    return {
        "items": items.tolist(),
        "valid": [bool(valid) for valid in pairs.valid],
        "num_pesq": num_pesq,
        "num_search_failures": made.num_search_failures,
        "scores": score_pairs(pairs, made, tools.controller.sample_rate, num_pesq),
        "failed": {name: (~np.isfinite(outputs).all(axis=(1, 2))).tolist() for name, outputs in made.outputs.items()},
        "settings": {name: np.asarray(values, np.float64).tolist() for name, values in made.settings.items()},
    }


def chunk_paths(folder: Path, cell: Cell, plan: Plan) -> dict[int, Path]:
    """First item of each chunk of a cell to its file."""
    place = folder / PARTS / cell.folder
    return {first: place / f"{first:06d}.json" for first in range(0, plan.num_pairs, CHUNK)}


def run_cell(
    folder: Path, plan: Plan, cell: Cell, corpus: Corpus, tools: Tools, is_speech: bool, advance: Advance
) -> float:
    """Computes what is missing of a cell.

    Args:
        folder: of the results.
        plan: the shared numbers.
        cell: which one.
        corpus: its recordings.
        tools: of its controller.
        is_speech: whether PESQ is measured.
        advance: called with the number of pairs done, stored ones included.

    Returns:
        Seconds that the missing chunks took.
    """
    maker, seconds = make_maker(plan, cell, corpus, tools), 0.0
    for first, path in chunk_paths(folder, cell, plan).items():
        items = np.arange(first, min(first + CHUNK, plan.num_pairs), dtype=np.int64)
        if not path.exists():
            started = time.monotonic()
            write_json(path, run_chunk(plan, tools, maker, items, is_speech))
            seconds += time.monotonic() - started
        advance(len(items))
    return seconds


def read_cell(folder: Path, plan: Plan, cell: Cell) -> dict[str, Any] | None:
    """The chunks of a cell joined in order, or None where some are missing.

    Raises:
        UserError: a damaged chunk.
    """
    joined: dict[str, Any] = {"items": [], "valid": [], "num_pesq": 0, "num_search_failures": 0}
    tables: dict[str, dict[str, Any]] = {"scores": {}, "failed": {}, "settings": {}}
    for path in chunk_paths(folder, cell, plan).values():
        if not path.exists():
            return None
        with stored_file(path, "delete it, and the same command makes it"):
            chunk = read_json(path)
            for key, value in joined.items():
                joined[key] = value + chunk[key]
            for name, metrics in chunk["scores"].items():
                for metric, values in metrics.items():
                    tables["scores"].setdefault(name, {}).setdefault(metric, []).extend(values)
            for key in ("failed", "settings"):
                for name, values in chunk[key].items():
                    tables[key].setdefault(name, []).extend(values)
    return joined | tables


def store_sounds(folder: Path, plan: Plan, cell: Cell, corpus: Corpus, tools: Tools, item: int) -> None:
    """Input, reference, output and target of one pair as FLAC files, where they are not there yet."""
    place = folder / "sounds" / cell.folder
    if (place / "target.flac").exists():
        return
    pairs, _ = make_maker(plan, cell, corpus, tools).make(np.asarray([item]))
    rate = corpus.sample_rate
    settings = predict_clips(tools.controller, pairs.dry, pairs.reference).unit_params
    output = tools.bank.render(pairs.dry, pairs.effect, settings, rate)
    clips = {"input": pairs.dry, "reference": pairs.reference, CONTROLLER: output, "target": pairs.target}
    place.mkdir(parents=True, exist_ok=True)
    peak = max(float(np.abs(np.nan_to_num(clip)).max()) for clip in clips.values())
    for name, clip in clips.items():  # one scale for all: their levels can be compared
        write_audio(place / f"{name}.flac", np.nan_to_num(clip[0]) / max(1.0, peak), rate)
