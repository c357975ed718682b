"""Evaluation with finished records as references, as users have them, and dry takes as inputs."""

import os
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from dafxvae.audio.true_peak import true_peak
from dafxvae.controllers.controller import read_controller
from dafxvae.core.differences import check_same
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, stored_file, write_json, write_text
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import host_rng
from dafxvae.core.version import __version__
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.pairs.draws import PairOptions, make_cutter
from dafxvae.data.pairs.neutral import change_db
from dafxvae.evaluate import tables
from dafxvae.evaluate.commands import find_controllers, identify
from dafxvae.evaluate.held_out import find_corpus, held_out_of_kind, long_enough
from dafxvae.evaluate.plan import Plan
from dafxvae.metrics import MATCHED, bootstrap_ratio, score_outputs
from dafxvae.transfer.api import StyleTransfer
from dafxvae.transfer.fit import SPECTRUM, Fit, measure_fit
from dafxvae.transfer.recordings import ArrayRecording
from dafxvae.transfer.rendering import Rendered
from dafxvae.transfer.results import Options, Outcome

RATE = 44100  # Hz, of takes and records, as people have them
CEILING_DBTP = -1.0
OTHER_FOLDER = "give another folder with -o"
COLUMNS = (
    *("controller", "highest peak", "spectrum further", "unsaid", "further by the truth", "spread of settings"),
    *("MRSTFT ratio", "matched"),
)
EXPLANATION = (
    "Highest peak: dBTP of all outputs. Spectrum further: the share of those whose long-term spectrum (third octaves) "
    "is further from the record than the take's is. Unsaid: how many of those beyond the tolerance the transfer does "
    "not call further. Further by the truth: the same share where the record went through the effect after its "
    "mastering, with the settings of that. Spread: the standard deviation of the settings over the pairs, in units of "
    "the range (uniform ones have .29). Ratio: as in the other tables, on those pairs with a truth."
)


class Pair(NamedTuple):
    """A take and a section of a record."""

    take: ArrayRecording  # mono
    master: ArrayRecording  # stereo


def open_corpora(names: Sequence[str], channels: int) -> list[Corpus]:
    """Corpora by name at `RATE`."""
    form: dict[str, Any] = {"sample_rate": RATE, "num_channels": channels, "minutes": 40.0, "seed": 0}
    corpora = []
    for place in map(find_corpus, names):
        corpus = open_corpus(folder=str(place.folder) if place.folder else None, **form)
        corpora.append(corpus if place.folder else corpus.split("test"))
    return corpora


def draw_pairs(
    takes: Sequence[Corpus], masters: Sequence[Corpus], clip_samples: int, count: int, seed: int
) -> list[Pair]:
    """Takes and records of all corpora in turn, at the levels that they were recorded at."""
    options = PairOptions(gain_db=(0.0, 0.0))

    def clips(corpora: Sequence[Corpus], stream: str, name: str) -> list[ArrayRecording]:
        cutters = [make_cutter(long_enough(c, clip_samples, "any"), clip_samples, options) for c in corpora]
        found = []
        for item in range(count):
            cutter = cutters[item % len(cutters)]
            clip = np.empty((clip_samples, cutter.corpus.num_channels), np.float32)
            cutter.read(cutter.draw(host_rng(seed, f"evaluate/masters/{stream}", item)), clip)
            found.append(ArrayRecording(clip, RATE, name))
        return found

    return list(map(Pair, clips(takes, "takes", "the take"), clips(masters, "masters", "the record")))


def _render(transfer: StyleTransfer, audio: ArrayRecording, unit_params: np.ndarray) -> np.ndarray:
    with closing(transfer.play(audio, unit_params, 0.0)) as rendered:
        return rendered.read(0, audio.frames)


def draw_truth(
    transfer: StyleTransfer, pair: Pair, seed: int, item: int
) -> tuple[np.ndarray, np.ndarray, ArrayRecording]:
    """Settings `[K]` that change the take audibly, the take through them, and the record through them."""
    options, rng, space = PairOptions(), host_rng(seed, "evaluate/masters/settings", item), transfer.host.parameters
    attempts = 0
    while True:
        settings, attempts = space.quantise(rng.random(len(space)).astype(np.float32)), attempts + 1
        target, record = (_render(transfer, audio, settings) for audio in pair)
        peak = max(float(np.abs(audio).max()) for audio in (target, record))
        can_teach = peak <= options.max_peak and change_db(pair.take.audio, target) >= options.min_change_db
        if can_teach or attempts == options.max_attempts:
            return settings, target, ArrayRecording(record, RATE, "the record through the effect")


def _is_further(fit: Fit) -> bool:
    return fit.after[SPECTRUM] > fit.before[SPECTRUM]


def _leveled_peak_db(outcome: Outcome, rendered: Rendered) -> float:
    def read(start: int, frames: int) -> np.ndarray:
        return rendered.read(start, frames) * outcome.level.factor

    return 20.0 * float(np.log10(true_peak(read, rendered.frames, RATE) + 1e-12))


def measure_pair(transfer: StyleTransfer, pair: Pair, seed: int, item: int) -> dict[str, Any]:
    """One take with a record, and with the record through known settings; plain JSON."""
    outcome = transfer.run(pair.take, [pair.master], Options())
    with closing(outcome.rendered) as rendered:
        peak_dbtp = _leveled_peak_db(outcome, rendered)
    settings, target, record = draw_truth(transfer, pair, seed, item)
    known = transfer.run(pair.take, [record], Options())
    with closing(known.rendered) as rendered:
        output = rendered.read(0, pair.take.frames)
    scores = score_outputs(np.stack([output, pair.take.audio]), target, RATE)
    with closing(transfer.play(pair.take, settings, 0.0)) as rendered:
        true_fit = measure_fit(pair.take, [record], rendered, transfer.host.chain)
    return {
        "peak_dbtp": peak_dbtp,
        "before": dict(outcome.fit.before),
        "after": dict(outcome.fit.after),
        "further": _is_further(outcome.fit),
        "further_beyond_tolerance": outcome.fit.change(SPECTRUM) == "further",
        "said": SPECTRUM in outcome.fit.aspects("further"),
        "notes": list(outcome.notes),
        "settings": outcome.match.unit_params.tolist(),
        "true_settings": settings.tolist(),
        "known_settings": known.match.unit_params.tolist(),
        "known_further": _is_further(known.fit),
        "true_further": _is_further(true_fit),
        "scores": {name: scores[name].tolist() for name in ("MRSTFT", MATCHED)},
    }


def summarise_pairs(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of one controller."""

    def share(key: str) -> float:
        return float(np.mean([pair[key] for pair in pairs]))

    ratios = {}
    for name in ("MRSTFT", MATCHED):
        ours, nothing = np.asarray([pair["scores"][name] for pair in pairs], float).T
        both = np.isfinite(ours) & np.isfinite(nothing)
        ratios[name] = bootstrap_ratio(ours[both], nothing[both])._asdict() if both.any() else None
    peaks = [pair["peak_dbtp"] for pair in pairs]
    return {
        "num_pairs": len(pairs),
        "highest_peak_dbtp": max(peaks),
        "above_ceiling": int(np.sum(np.asarray(peaks) > CEILING_DBTP)),
        "further": share("further"),
        "further_beyond_tolerance": share("further_beyond_tolerance"),
        "unsaid": sum(pair["further_beyond_tolerance"] and not pair["said"] for pair in pairs),
        "known_further": share("known_further"),
        "true_further": share("true_further"),
        "spread": float(np.std([pair["settings"] for pair in pairs], axis=0).mean()),
        "ratios": ratios,
    }


def masters_table(results: dict[str, Any]) -> str:
    """All controllers, in Markdown."""
    number = tables.format_number
    rows = [
        [
            name,
            number(found["highest_peak_dbtp"], 2),
            f"{found['further']:.0%} ({found['further_beyond_tolerance']:.0%} by more than .5 dB)",
            str(found["unsaid"]),
            tables.format_share(found["true_further"]),
            number(found["spread"], 3),
            *(tables.format_interval(found["ratios"][metric], 2) for metric in ("MRSTFT", MATCHED)),
        ]
        for name, found in results["controllers"].items()
    ]
    return tables.markdown_table(COLUMNS, rows) + f"\n\n{EXPLANATION}\n"


def _finished(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The controllers that an earlier run of the same evaluation has finished.

    Raises:
        UserError: it cannot be read, or is of another evaluation.
    """
    if not os.path.exists(path):
        return {}
    with stored_file(path, OTHER_FOLDER):
        stored = read_json(path)
        found, theirs = dict(stored.pop("controllers")), dict(stored)
    check_same(identity, theirs, f"{path} holds another evaluation", OTHER_FOLDER)
    return found


def run_masters(arguments: Namespace) -> None:
    """Transfers from records to takes with every controller; writes `masters.json` and `masters.md`.

    Raises:
        UserError: bad input; the message says what to change.
    """
    messages, console = Console(stderr=True), Console()
    plan = Plan(arguments.pairs, arguments.seed, arguments.clip_sec)
    names = arguments.masters or held_out_of_kind("masters")
    if not names:
        raise UserError("no records: fetch some (`dafxvae data fetch held_out`), or name them with --masters")
    controllers = {name: read_controller(place) for name, place in find_controllers(arguments.controllers).items()}
    takes, masters = open_corpora(arguments.corpus, 1), open_corpora(names, 2)
    pairs = draw_pairs(takes, masters, plan.clip_samples(RATE), plan.num_pairs, plan.seed)
    identity = {"version": __version__, "takes": arguments.corpus, "masters": names, "pairs": plan.num_pairs}
    identity |= {"seed": plan.seed, "clip_sec": arguments.clip_sec}
    path = arguments.output / "masters.json"
    results = {**identity, "controllers": _finished(path, identity)}
    write_json(path, results)  # says that the folder cannot be written before anything is rendered
    for name, controller in controllers.items():
        fingerprint = identify(controller)
        if results["controllers"].get(name, {}).get("fingerprint") == fingerprint:
            continue
        messages.print(name, markup=False, highlight=False)
        with (
            closing(StyleTransfer(controller.effect, controller.encoders, controller)) as transfer,
            progress_bar("transferring", len(pairs), True) as advance,
        ):
            found = []
            for item, pair in enumerate(pairs):
                found.append(measure_pair(transfer, pair, plan.seed, item))
                advance()
        results["controllers"][name] = {"fingerprint": fingerprint, **summarise_pairs(found), "pairs": found}
        write_json(path, results)
    write_text(arguments.output / "masters.md", masters_table(results))
    console.print(masters_table(results), markup=False, highlight=False, soft_wrap=True, emoji=False)
