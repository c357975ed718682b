"""The command `dafxvae studio train`: render pairs, and train the decoder on them."""

import re
from argparse import Namespace

from rich.console import Console

from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.files import check_output
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.rng import check_seed
from dafxvae.core.version import __version__
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.decoder_training import train_decoder
from dafxvae.studio.pairs import (
    ELSEWHERE_SHARE,
    EMPTY_SHARE,
    PART,
    SAME_SHARE,
    StudioPairMaker,
    make_studio_pairs,
)
from dafxvae.studio.sound import SAMPLE_RATE

SHORTEST_SEC, LONGEST_SEC = 1.0, 60.0
MOST = 10**8  # pairs, steps


def run_training(arguments: Namespace) -> None:
    """Renders pairs of a folder, or reads those that are there, and trains a decoder on them.

    Raises:
        UserError: bad input.
    """
    console = Console(stderr=True)
    places = _places(arguments.pairs)
    _check(arguments)
    path = arguments.workdir / "studio.safetensors"
    check_output(path, [])
    corpus = open_corpus(folder=arguments.folder, sample_rate=SAMPLE_RATE, num_channels=2, minutes=0.0, seed=0)
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    extractor = FeatureExtractor(encoders, encoders.metadata["sample_rate"])
    share = corpus.split("train")
    recipe = {
        "tracks": sorted(track.sha256 for track in share.tracks),
        "encoders": fingerprint(encoders.variables),
        "seed": arguments.seed,
        "length_sec": arguments.length_sec,
        "shares": [ELSEWHERE_SHARE, SAME_SHARE, EMPTY_SHARE],
    }
    with ChainRenderer() as renderer:
        maker = StudioPairMaker(share, extractor, renderer, seed=arguments.seed, length_sec=arguments.length_sec)
        pairs = make_studio_pairs(maker, places, arguments.workdir / "pairs", recipe)
    if not arguments.steps:
        return

    def report(step: int, parts: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
        console.print(f"step {step} of {arguments.steps}: {shown}")

    decoder = train_decoder(pairs, arguments.steps, seed=arguments.seed, report=report)
    decoder.save(path, {"version": __version__, "pairs": arguments.pairs, "steps": arguments.steps} | recipe)
    console.print(f"decoder: {path}", markup=False, highlight=False, soft_wrap=True)


def _places(text: str) -> list[range]:
    """Places of pairs: `16384`, or `0-8192,32768-40960`.

    Raises:
        UserError: no places, or places that do not begin where a stored part does.
    """
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(?:(\d+)\s*-)?\s*(\d+)\s*", part)
        places = range(int(match[1] or 0), int(match[2])) if match else range(0)
        if not places or places.stop > MOST:
            raise UserError(f"--pairs {text!r}: give a number to {MOST}, or ranges such as 0-8192,32768-40960")
        if places.start % PART or any(places.start < other.stop and other.start < places.stop for other in found):
            raise UserError(f"--pairs {text!r}: begin each range at a multiple of {PART}, and let none overlap")
        found.append(places)
    return found


def _check(arguments: Namespace) -> None:
    """Raises UserError for numbers that no training has."""
    check_seed(arguments.seed)
    if not 0 <= arguments.steps <= MOST:
        raise UserError(f"--steps {arguments.steps}: give 0, to render pairs alone, to {MOST}")
    if not SHORTEST_SEC <= arguments.length_sec <= LONGEST_SEC:
        raise UserError(f"--length-sec {arguments.length_sec:g}: give {SHORTEST_SEC:g} to {LONGEST_SEC:g} seconds")
