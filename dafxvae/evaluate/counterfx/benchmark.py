"""The command `dafxvae evaluate counterfx`: score the items of the protocol, and write tables."""

import json
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.differences import check_same
from dafxvae.core.errors import UserError
from dafxvae.core.files import check_output, read_json, stored_file, write_json, write_text
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import check_seed
from dafxvae.core.version import __version__
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import PcmCache, open_corpus
from dafxvae.evaluate.counterfx.items import Item, draw_item, find_items, read_item
from dafxvae.evaluate.counterfx.methods import AUTO, NOTHING, Studio, score_item
from dafxvae.evaluate.held_out import find_corpus
from dafxvae.evaluate.plan import MOST_PAIRS, num_workers
from dafxvae.evaluate.tables import format_interval, format_number, format_share, markdown_table
from dafxvae.metrics import bootstrap_interval, bootstrap_ratio
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_decoder import load_decoder, stored_decoder_path
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.palette import MOST_EFFORT
from dafxvae.studio.sound import SAMPLE_RATE

FORMAT = 1  # raise it when the same command would give other numbers
ITEMS, PLAN, RESULTS = "items", "counterfx.json", "results.json"
SOUNDS, SUBMISSION = "sounds", "submission.jsonl"
Scores = dict[str, dict[str, Any]]
NOTE = (
    "L_d to the target, lower is better, means with 95 % bootstrap intervals; the ratio is that of the means of the "
    "method and of the unprocessed source; better: the share of items nearer to the target than the source; F1 of sets "
    "of effects. Protocol: docs/evaluation.md."
)


def _items(arguments: Namespace, renderer: ChainRenderer) -> tuple[list[str], Callable[[int], Item], dict[str, Any]]:
    """Names of the items, how to make one by its place, and what they depend on."""
    if arguments.items is not None:
        stored = find_items(arguments.items)
        return [path.name for path in stored], lambda place: read_item(stored[place]), {"items": str(arguments.items)}
    places = [find_corpus(name) for name in dict.fromkeys(arguments.corpus or ())]
    if len(places) != 1 or places[0].folder is None:
        raise UserError("give one --corpus with music (a name in held_out or a folder), or --items DIR")
    form = {"sample_rate": SAMPLE_RATE, "num_channels": 2, "minutes": 0.0, "seed": 0}
    corpus, cache = open_corpus(folder=str(places[0].folder), **form), PcmCache()
    depends = {"corpus": places[0].name, "tracks": sorted(track.sha256[:16] for track in corpus.tracks)}
    names = [f"{place:04d}" for place in range(arguments.pairs)]
    return names, lambda place: draw_item(corpus, cache, renderer, arguments.seed, place), depends


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Writes the plan of a folder, or checks that the one there is the same; more items may join."""
    path = folder / PLAN
    if path.exists() and any((folder / ITEMS).glob("*.json")):
        fix = "give another folder with -o"
        with stored_file(path, fix):
            theirs = dict(read_json(path))
        check_same(plan, theirs, f"{folder} holds another benchmark", fix)
    write_json(path, plan)


def run_counterfx(arguments: Namespace) -> None:
    """Scores every item that is not stored yet, and writes results and tables.

    Raises:
        UserError: bad input, or a folder that holds another benchmark.
    """
    check_seed(arguments.seed)
    pools = _pools(arguments.candidates)
    if not 2 <= arguments.pairs <= MOST_PAIRS:
        raise UserError(f"--pairs {arguments.pairs}: give at least 2, or there is no interval, to {MOST_PAIRS}")
    check_output(arguments.output / PLAN, [])
    with ChainRenderer(num_workers(arguments.workers)) as renderer:
        names, make, depends = _items(arguments, renderer)
        decoder = load_decoder(arguments.decoder or stored_decoder_path())
        encoders = load_encoders(stored_encoders_path(SHIPPED))
        identity = {"decoder": fingerprint(decoder.params)[:16], "candidates": list(pools), "seed": arguments.seed}
        _claim(arguments.output, {"format": FORMAT, "version": __version__, **identity, **depends})
        studio = Studio(decoder, FeatureExtractor(encoders, encoders.metadata["sample_rate"]), renderer)
        scores: list[Scores] = []
        with progress_bar("items", len(names), True) as advance:
            for place, name in enumerate(names):
                path = arguments.output / ITEMS / f"{name}.json"
                if not path.exists():
                    sounds = None if arguments.items is None else arguments.output / SOUNDS
                    write_json(path, score_item(studio, make(place), pools, arguments.seed, sounds))
                scores.append(read_json(path))
                advance()
    if arguments.items is not None:
        write_text(arguments.output / SUBMISSION, submission(names, scores, f"{AUTO} {max(pools)}"))
    summary = summarise_methods(scores)
    write_json(arguments.output / RESULTS, {"methods": summary, "num_items": len(scores), **depends})
    table = methods_table(summary)
    write_text(arguments.output / "results.md", f"{table}\n\n{NOTE}\n")
    Console().print(table, soft_wrap=True, markup=False, highlight=False)
    Console(stderr=True).print(f"written: {arguments.output / RESULTS}, results.md")


def _pools(text: str) -> tuple[int, ...]:
    """The numbers of `--candidates`."""
    try:
        pools = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        pools = ()
    if not pools or not 1 <= min(pools) <= max(pools) <= MOST_EFFORT:
        raise UserError(f"--candidates {text!r}: give numbers of chains to {MOST_EFFORT}, for example 1,16")
    return pools


def submission(names: list[str], scores: list[Scores], method: str) -> str:
    """A method's outputs as the public evaluator takes them: a row of JSON an item."""
    rows = [
        {
            "item_id": name,
            "audio_path": f"{SOUNDS}/{name}.wav",
            "chain_order": [re.sub(r"(?<!^)(?=[A-Z])", "_", effect).lower() for effect in row[method]["effects"]],
        }
        for name, row in zip(names, scores, strict=True)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def summarise_methods(scores: list[Scores]) -> dict[str, dict[str, Any]]:
    """Method to its means over items, with intervals."""

    def column(method: str, key: str) -> np.ndarray:
        return np.array([np.nan if row[method][key] is None else row[method][key] for row in scores], float)

    nothing, found = column(NOTHING, "distance"), {}
    for method in scores[0]:
        ours, f1 = column(method, "distance"), column(method, "f1")
        found[method] = {
            "distance": bootstrap_interval(ours)._asdict(),
            "median": float(np.median(ours)),
            "ratio": bootstrap_ratio(ours, nothing)._asdict() if nothing.any() else None,
            "improved": float((ours < nothing).mean()),
            "f1": bootstrap_interval(f1)._asdict() if np.isfinite(f1).all() else None,
            "length": float(column(method, "length").mean()),
        }
    return found


def methods_table(summary: dict[str, dict[str, Any]]) -> str:
    """A row a method, in Markdown."""
    columns = ("method", "L_d", "median", "ratio", "better", "set F1", "effects")
    rows = [
        [
            method,
            format_interval(row["distance"], 3),
            format_number(row["median"], 2),
            format_interval(row["ratio"], 2),
            format_share(row["improved"]) if method != NOTHING else "–",
            format_interval(row["f1"], 2) if method != NOTHING else "–",
            f"{row['length']:.1f}",
        ]
        for method, row in summary.items()
    ]
    return markdown_table(columns, rows)
