"""The items of the protocol: drawn from any music, or the folders that the public benchmark's `prepare` writes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dafxvae.audio.io import read_audio
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.tracks import Corpus, PcmCache
from dafxvae.evaluate.counterfx.distance import counterfx_distance, magnitudes
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.pairs import long_tracks, read_at_loudness
from dafxvae.studio.palette import StudioChain, draw_chain
from dafxvae.studio.sound import SAMPLE_RATE

LENGTH_SEC = 10.0
LEAST_DISTANCE = 0.8  # of both windows to what the chain makes of them
MOST_DRAWS = 200


class Item(NamedTuple):
    """One task; the target and the chain are hidden from what is evaluated."""

    name: str
    source: np.ndarray  # float32 [T, 2]
    reference: np.ndarray
    target: np.ndarray
    chain: StudioChain | None  # None where nobody tells it


def draw_item(corpus: Corpus, cache: PcmCache, renderer: ChainRenderer, seed: int, index: int) -> Item:
    """The item at a place: two adjacent windows at -20 LUFS and a random chain, drawn until it is heard on both.

    Raises:
        UserError: no draw of many is: the recordings are too short, or silent.
    """
    frames = round(LENGTH_SEC * SAMPLE_RATE)
    tracks, shares = long_tracks(corpus, frames)
    if not tracks:
        raise UserError(f"no recording of {corpus.name} is longer than {2.2 * LENGTH_SEC:g} s: give longer ones")
    rng = host_rng(seed, "counterfx", index)
    for _ in range(MOST_DRAWS):
        track = tracks[rng.choice(len(tracks), p=shares)]
        start = int(rng.integers(0, track.frames - 2 * frames))
        chain = draw_chain(rng)
        found = [read_at_loudness(cache, track, each, frames) for each in (start, start + frames)]
        windows = [window for window in found if window is not None]
        if len(windows) < 2:
            continue
        rendered = [renderer.render(chain, window, SAMPLE_RATE) for window in windows]
        if max(np.abs(audio).max() for audio in (*windows, *rendered)) > 1.0:
            continue
        both = zip(windows, rendered, strict=True)
        if min(counterfx_distance(magnitudes(before), magnitudes(after)) for before, after in both) >= LEAST_DISTANCE:
            return Item(f"{index:04d}", windows[0], rendered[1], rendered[0], chain)
    raise UserError(f"{corpus.name}: none of {MOST_DRAWS} draws could be used: give music that is not silent")


def find_items(folder: Path) -> list[Path]:
    """The items of a prepared benchmark, by name: folders with `source.wav`, `reference.wav` and `target.wav`.

    Raises:
        UserError: there are none.
    """
    folders = sorted(path.parent for path in folder.glob("*/source.wav"))
    if len(folders) < 2:
        raise UserError(f"{folder} holds {len(folders)} items: give folders with source.wav, reference.wav, target.wav")
    return folders


def read_item(folder: Path) -> Item:
    """One prepared item; its chain is not known.

    Raises:
        UserError: a file cannot be read.
    """
    source, reference, target = (
        read_audio(folder / f"{name}.wav", SAMPLE_RATE, 2)[0] for name in ("source", "reference", "target")
    )
    return Item(folder.name, source, reference, target, None)
