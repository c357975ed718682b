"""How often is the right controller ranked first, and how often is a reference taken for strange or untouched?

    python -m benchmarks.studies.controller_choice store [--pairs 400]
    python -m benchmarks.studies.controller_choice report [--split held_out] [--pairs 48]

`store` writes what the package's controllers have met (`dafxvae.controllers.experience`) into the files that lack it,
and `dafxvae/pretrained/familiar.safetensors`, from pairs of the training recordings; the reach of the latter is set on
as many pairs of the validation recordings as an eighth of them. `report` ranks all controllers for pairs made by each
one's effect at random settings, on clips of 131072 samples: `first` and `among_three` are the shares of pairs whose own
controller is there; `superset` also counts a first one whose chain holds every effect of the own one. `confusion` has a
row for each effect; `familiar` is the share of the references within reach, `untouched` how often a reference is called
so that was processed, and that was not.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import make_parser, print_json
from dafxvae.controllers.controller import Controller
from dafxvae.controllers.experience import measure_experience, store_experience
from dafxvae.controllers.familiar import (
    PASSING,
    Familiar,
    familiar_of,
    nearest_distances,
    standardised,
    store_familiar,
)
from dafxvae.controllers.names import open_controller, shipped_folder
from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import data_dir, shipped_path
from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.data.pairs.stream import PairOptions, make_pairs
from dafxvae.effects.bank import open_bank
from dafxvae.evaluate.held_out import find_corpus, long_enough, open_held_out
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.runs.build import build_corpus
from dafxvae.transfer.prediction import pair_features
from dafxvae.transfer.ranking import WINDOW, rank_latent
from dafxvae.transfer.windows import WindowFormat, clip_windows
from dafxvae.types import PairBatch

NUM_KNOWN = 1000
CLIP = 2 * WINDOW  # samples of the pairs that are ranked
HELD_OUT = ("asterisk-core-sounds-it-g722", "fretsonfire-songs-sectoid")
BATCH = 16


def read_controllers() -> dict[str, Controller]:
    """The package's."""
    return {path.stem: open_controller(path) for path in sorted(shipped_folder().glob("*.safetensors"))}


def pairs_of(controller: Controller, corpora: Sequence[Corpus], samples: int, count: int) -> Iterator[PairBatch]:
    """Pairs whose references were all processed, as many of each corpus."""
    with open_bank([controller.effect], num_workers=1) as bank:
        for corpus in corpora:
            how = {"clip_samples": samples, "batch_size": BATCH, "mode": "mixed", "options": PairOptions()}
            pairs = make_pairs(corpus, bank, seed=0, stream="controller_choice", **how)
            yield from (pairs[step] for step in range(-(-count // BATCH // len(corpora))))


def hear(controller: Controller, batch: PairBatch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each pair: g's latent, the reference's encodings, and g's latent with the next input as reference."""
    extractor = FeatureExtractor(controller.encoders, controller.sample_rate)
    form = WindowFormat(WINDOW, controller.sample_rate, 1)
    dry, reference = ([clip_windows(clip, form) for clip in clips] for clips in (batch.dry, batch.reference))
    heard = []
    for i in np.flatnonzero(batch.valid):
        made, plain = (
            pair_features(extractor, lambda rows: rows.mean(axis=-2), dry[i], [other])
            for other in (reference[i], dry[i - 1])
        )
        heard.append((made.combined, made.encodings, plain.combined))
    return heard


def store(count: int) -> dict[str, Any]:
    """Writes the files; see the module."""
    controllers = read_controllers()
    corpus = build_corpus(next(iter(controllers.values())).config)
    plain, encodings, checked = [], [], []
    for controller in controllers.values():
        for batch in pairs_of(controller, [corpus.split("train")], WINDOW, count):
            for _, encoding, untouched in hear(controller, batch):
                encodings.append(encoding)
                plain.append(untouched)
        for batch in pairs_of(controller, [corpus.split("valid")], CLIP, count // 8):
            checked += [encoding for _, encoding, _ in hear(controller, batch)]
    for name, controller in controllers.items():
        if controller.experience is None:
            samples = controller.clip_samples
            batches = list(pairs_of(controller, [corpus.split("train")], samples, count))
            seen = np.concatenate([controller.features(b.dry, b.reference)[b.valid > 0] for b in batches])
            latents = seen[:, : controller.encoders.g.latent_dim]
            path = shipped_folder() / f"{name}.safetensors"
            store_experience(path, measure_experience(controller.settings(seen)[0], latents))
    encoders = next(iter(controllers.values())).encoders
    known = standardised(encoders, np.concatenate(encodings))
    known = known[host_rng(0, "controller_choice/encodings").permutation(len(known))[:NUM_KNOWN]]
    distances = [nearest_distances(standardised(encoders, each), known).mean() for each in checked]
    reach, latents = np.quantile(distances, PASSING, keepdims=True), np.array(plain, np.float64)
    parts = known, reach, latents.mean(axis=0), np.cov(latents, rowvar=False)
    found = Familiar(*(part.astype(np.float32) for part in parts))
    store_familiar(shipped_path("familiar.safetensors"), found, encoders)
    return {"known": len(known), "reach": float(reach[0])}


def report(split: str, count: int) -> dict[str, Any]:
    """See the module."""
    controllers = read_controllers()
    experiences = {name: each.experience for name, each in controllers.items() if each.experience is not None}
    any_one = next(iter(controllers.values()))
    familiar = familiar_of(any_one.encoders)
    assert familiar is not None
    if split == "held_out":
        found = [open_held_out(find_corpus(name), any_one.config) for name in HELD_OUT]
        corpora = [long_enough(corpus, CLIP, "other_file") for corpus in found]
    else:
        corpora = [build_corpus(any_one.config).split(split)]
    effects = {
        name: {part.split("(")[0].strip() for part in each.effect.split("|")} for name, each in controllers.items()
    }
    confusion = {name: dict.fromkeys(experiences, 0) for name in experiences}
    rows: dict[str, list[Any]] = {name: [] for name in experiences}
    for name, controller in controllers.items():
        for batch in pairs_of(controller, corpora, CLIP, count):
            for latent, encodings, plain in hear(controller, batch):
                shares, untouched = rank_latent(latent, experiences, familiar)
                place = list(shares).index(name)
                best = next(iter(shares))
                confusion[name][best] += 1
                is_near = familiar.strangeness(standardised(controller.encoders, encodings)) <= 1.0
                unprocessed = rank_latent(plain, experiences, familiar)[1] > 0.5
                row = place == 0, place < 3, effects[best] >= effects[name], is_near, untouched > 0.5, unprocessed
                rows[name].append(row)
    columns = "first", "among_three", "superset", "familiar", "untouched_processed", "untouched_unprocessed"
    means = {name: np.mean(found, axis=0) for name, found in rows.items()}
    every = np.mean(list(means.values()), axis=0)
    named = {name: dict(zip(columns, row.tolist())) for name, row in (means | {"all": every}).items()}
    return {"split": split, "pairs": {name: len(found) for name, found in rows.items()}} | {
        "shares": named, "confusion": confusion,
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = make_parser(__doc__)
    parser.add_argument("what", choices=("store", "report"))
    parser.add_argument("--split", choices=("valid", "test", "held_out"), default="held_out")
    parser.add_argument("--pairs", type=int, help="of each controller's effect (400, and 48 to report)")
    arguments = parser.parse_args(argv)
    Console(stderr=True).print(f"recordings: {data_dir()}", highlight=False)
    if arguments.what == "store":
        print_json(store(arguments.pairs or 400))
    else:
        print_json(report(arguments.split, arguments.pairs or 48))


if __name__ == "__main__":
    run_cli(main)
