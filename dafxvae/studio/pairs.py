"""Pairs that the studio's decoder learns from: a recording, another one with a random chain on it, and the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import host_rng
from dafxvae.core.store import computed_once
from dafxvae.core.threads import map_in_threads
from dafxvae.data.corpora.tracks import Corpus, PcmCache, Track
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.palette import StudioChain, draw_chain
from dafxvae.studio.sound import LOUDNESS_LUFS, SAMPLE_RATE, MeasuredSound, measure_sound

QUIETEST_LUFS = -45.0  # a window below is drawn again
LONGEST_SHARE_SEC = 300.0  # of a track that counts for how often it is drawn
ELSEWHERE_SHARE, SAME_SHARE, EMPTY_SHARE = 0.3, 0.07, 0.15  # reference from anywhere, the very window, no effect
PART = 256
LEAST_CHANGE = 0.04  # mean change of the statistics, 10 dB, below which a chain is drawn again


class StudioPairs(NamedTuple):
    """N pairs, measured."""

    input_encoding: np.ndarray  # [N, E]
    input_statistics: np.ndarray  # [N, S]
    reference_encoding: np.ndarray  # [N, E]
    reference_statistics: np.ndarray  # [N, S]
    target_encoding: np.ndarray  # [N, E] of the input with the same chain on it
    target_statistics: np.ndarray  # [N, S]
    is_on: np.ndarray  # bool [N, 8]
    order: np.ndarray  # int [N]
    unit_params: np.ndarray  # [N, K]

    @property
    def source(self) -> MeasuredSound:
        return MeasuredSound(self.input_encoding, self.input_statistics)

    @property
    def reference(self) -> MeasuredSound:
        return MeasuredSound(self.reference_encoding, self.reference_statistics)

    @property
    def target(self) -> MeasuredSound:
        return MeasuredSound(self.target_encoding, self.target_statistics)


def read_at_loudness(cache: PcmCache, track: Track, start: int, frames: int) -> np.ndarray | None:
    """A window of a track in stereo at the studio's loudness, float32 `[T, 2]`; None where it is (nearly) silent."""
    audio = cache.read(track, start, frames).astype(np.float32)[None] / 32768.0
    if audio.shape[2] == 1:
        audio = np.repeat(audio, 2, axis=2)
    loudness = loudness_lufs(audio, SAMPLE_RATE)
    if not loudness[0] > QUIETEST_LUFS:
        return None
    return at_loudness(audio, loudness, LOUDNESS_LUFS)[0]


def long_tracks(corpus: Corpus, frames: int) -> tuple[list[Track], np.ndarray]:
    """Tracks that hold two windows, and how often each is drawn: long ones more often, but not by their length."""
    tracks = [track for track in corpus.tracks if track.frames > 2.2 * frames]
    lengths = np.array([min(track.frames, LONGEST_SHARE_SEC * SAMPLE_RATE) for track in tracks])
    return tracks, lengths**0.7 / (lengths**0.7).sum()


class StudioPairMaker:
    """Draws, renders and measures pairs; each depends on the corpus, the seed and its place alone."""

    def __init__(
        self, corpus: Corpus, extractor: FeatureExtractor, renderer: ChainRenderer, *, seed: int, length_sec: float
    ) -> None:
        """Computes nothing yet.

        Args:
            corpus: at `SAMPLE_RATE`.
            extractor: f and g.
            renderer: of the chains.
            seed: of all draws.
            length_sec: of each window.
        """
        self.extractor, self.renderer, self.seed = extractor, renderer, seed
        self.frames = round(length_sec * SAMPLE_RATE)
        self._tracks, self._shares = long_tracks(corpus, self.frames)
        self._cache = PcmCache()

    def make(self, index: int) -> StudioPairs:
        """The pair at a place; arrays without the axis N."""
        rng = host_rng(self.seed, "studio/pairs", index)
        while True:
            dry, other = self._windows(rng)
            chain = draw_chain(rng)
            if rng.random() < EMPTY_SHARE:
                chain = StudioChain.empty()
            target, reference = (self.renderer.render(chain, audio, SAMPLE_RATE) for audio in (dry, other))
            before, after = measure_sound(dry, self.extractor), measure_sound(target, self.extractor)
            change = np.abs(after.statistics - before.statistics).mean()
            if change >= LEAST_CHANGE or not chain.places:
                break
        processed = measure_sound(reference, self.extractor)
        return StudioPairs(*before, *processed, *after, chain.is_on, np.asarray(chain.order), chain.unit_params)

    def _windows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        while True:
            track = self._tracks[rng.choice(len(self._tracks), p=self._shares)]
            start = int(rng.integers(0, track.frames - 2 * self.frames))
            starts, kind = [start, start + self.frames], rng.random()
            if kind < ELSEWHERE_SHARE:
                starts[1] = int(rng.integers(0, track.frames - self.frames))
            elif kind < ELSEWHERE_SHARE + SAME_SHARE:
                starts[1] = start
            if rng.random() < 0.5:
                starts.reverse()
            found = [read_at_loudness(self._cache, track, each, self.frames) for each in starts]
            if found[0] is not None and found[1] is not None:
                return found[0], found[1]


def make_studio_pairs(maker: StudioPairMaker, places: Sequence[range], folder: Path, recipe: Any) -> StudioPairs:
    """Pairs in parts of `PART`, each stored as it is finished, so that a run that was stopped goes on.

    Args:
        maker: of single pairs.
        places: of the pairs, each range from a multiple of `PART`.
        folder: for the parts.
        recipe: everything that the pairs depend on, as JSON.
    """
    parts = []
    starts = [(start, one.stop) for one in places for start in range(one.start, one.stop, PART)]
    with progress_bar("pairs", sum(map(len, places)), True) as advance:
        for start, stop in starts:
            rows = range(start, min(start + PART, stop))

            def compute(rows: range = rows) -> dict[str, np.ndarray]:
                found = []
                for row in map_in_threads(maker.make, rows):
                    found.append(row)
                    advance()
                return {name: np.stack(column) for name, column in zip(StudioPairs._fields, zip(*found))}

            stored = computed_once(folder / f"part-{start:07d}.npz", [recipe, rows.start, rows.stop], compute)
            parts.append(StudioPairs(**stored))
    return StudioPairs(*(np.concatenate(column) for column in zip(*parts)))
