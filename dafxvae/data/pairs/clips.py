"""Clips cut from tracks: the two recordings of a pair and their levels."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.data.corpora.tracks import Corpus, PcmCache
from dafxvae.data.pairs.augment import MAX_SEMITONES, MAX_TEMPO_CHANGE, change_pitch_and_tempo, source_frames
from dafxvae.data.pairs.mastering import master

MAX_CUTS = 16  # tries at a clip that is not silent
PEAK = 0.99


class Clip(NamedTuple):
    """Where a clip is cut, and the gain that it is given."""

    track: int  # index into the corpus's tracks
    start: int  # first sample in the track
    gain: float  # linear, applied to the samples
    semitones: float = 0.0  # pitch shift
    tempo: float = 1.0  # above 1 is faster
    mastering: int | None = None  # seed of the release chain that it went through


class ClipCutter:
    """Cuts random clips that are not silent; every draw is a function of the generator it is given."""

    def __init__(
        self,
        corpus: Corpus,
        clip_samples: int,
        *,
        gain_db: tuple[float, float],
        silence_db: float,
        augment_share: float = 0.0,
        cache: PcmCache | None = None,
    ):
        """
        Args:
            corpus: where the clips come from.
            clip_samples: T.
            gain_db: lowest and highest random gain; a clip never leaves ±0.99.
            silence_db: RMS dBFS below which a stretch counts as silent.
            augment_share: of the clips, whose pitch and tempo are changed.
            cache: decoded files, to be shared by several cutters.
        """
        if not corpus.tracks:
            raise UserError(f"corpus '{corpus.name}' has no tracks: use another split, or more audio")
        if clip_samples < 1:
            raise UserError(f"clip_samples must be positive, got {clip_samples}")
        self.corpus, self.clip_samples = corpus, clip_samples
        self._gain_db, self._silence_db, self._augment_share = gain_db, silence_db, augment_share
        self._cache = cache or PcmCache()
        ends = np.cumsum([track.frames for track in corpus.tracks], dtype=np.float64)
        self._ends = ends / ends[-1]  # tracks are drawn by their length

    def read(self, clip: Clip, out: np.ndarray) -> None:
        """Writes a clip's samples to `out`, float32 `[T, C]`; zeros beyond the end of a short track."""
        self._cut(clip, out)
        if clip.mastering is not None:
            out[:] = master(out, clip.mastering, self.corpus.sample_rate)

    def _cut(self, clip: Clip, out: np.ndarray) -> None:
        frames = source_frames(self.clip_samples, clip.tempo)
        pcm = self._cache.read(self.corpus.tracks[clip.track], clip.start, frames)
        scale = np.float32(clip.gain / 32768.0)
        if clip.semitones == 0.0 and clip.tempo == 1.0:
            np.multiply(pcm, scale, out=out[: len(pcm)], dtype=np.float32)
            out[len(pcm) :] = 0.0
            return
        audio = pcm.astype(np.float32) * scale
        rate = self.corpus.sample_rate
        audio = change_pitch_and_tempo(audio, self.clip_samples, rate, clip.semitones, clip.tempo)
        np.multiply(audio, np.float32(min(1.0, PEAK / max(float(np.abs(audio).max()), 1e-9))), out=out)

    def draw(self, rng: np.random.Generator) -> Clip:
        """A clip from anywhere in the corpus."""
        return self._audible(rng, lambda: self._anywhere(rng))

    def draw_reference(self, rng: np.random.Generator, dry: Clip, mode: str) -> Clip:
        """The clip of a pair's reference.

        Args:
            rng: of this draw.
            dry: the clip of the pair's input.
            mode: "same_clip" (the very same samples and level), "other_section" of the same track (apart from the
                input where the track is long enough), "other_file" (another track; another section of the only one), or
                "mixed" (either of the last two, by the toss of a coin).
        """
        if mode == "mixed":
            mode = "other_file" if rng.random() < 0.5 else "other_section"
        if mode == "same_clip":
            return dry
        if mode == "other_file" and len(self.corpus.tracks) > 1:
            return self._audible(rng, lambda: self._other_track(rng, dry.track))
        return self._audible(rng, lambda: self._other_section(rng, dry))

    def _anywhere(self, rng: np.random.Generator) -> tuple[int, int]:
        track = min(int(np.searchsorted(self._ends, rng.random(), side="right")), len(self._ends) - 1)
        return track, self._start(rng, track)

    def _other_track(self, rng: np.random.Generator, not_this: int) -> tuple[int, int]:
        low = self._ends[not_this - 1] if not_this else 0.0
        high = self._ends[not_this]
        position = rng.random() * (1.0 - (high - low))  # the axis of all tracks with this one's stretch cut out
        track = int(np.searchsorted(self._ends, position if position < low else position + (high - low), side="right"))
        track = min(track, len(self._ends) - 1)
        if track == not_this:  # rounding at its edge
            track = (not_this + 1) % len(self._ends)
        return track, self._start(rng, track)

    def _other_section(self, rng: np.random.Generator, dry: Clip) -> tuple[int, int]:
        before = max(dry.start - self.clip_samples + 1, 0)  # possible starts that end before the input begins
        last = self.corpus.tracks[dry.track].frames - self.clip_samples
        after = max(last - (dry.start + self.clip_samples) + 1, 0)
        if before + after == 0:
            return dry.track, self._start(rng, dry.track)
        place = int(rng.integers(before + after))
        return dry.track, place if place < before else dry.start + self.clip_samples + place - before

    def _start(self, rng: np.random.Generator, track: int) -> int:
        return int(rng.integers(max(self.corpus.tracks[track].frames - self.clip_samples, 0) + 1))

    def _audible(self, rng: np.random.Generator, place: Callable[[], tuple[int, int]]) -> Clip:
        """The first drawn place that is not silent (else the loudest one drawn), with a random gain."""
        best: tuple[float, int, int, float] | None = None
        for _ in range(MAX_CUTS):
            track, start = place()
            pcm = self._cache.read(self.corpus.tracks[track], start, self.clip_samples)
            level_db, peak = _level(pcm)
            if best is None or level_db > best[0]:
                best = (level_db, track, start, peak)
            if level_db >= self._silence_db:
                break
        assert best is not None
        _, track, start, peak = best
        gain = 10.0 ** (rng.uniform(*self._gain_db) / 20.0)
        gain = float(min(gain, PEAK / peak) if peak > 0.0 else gain)
        if self._augment_share > 0.0 and rng.random() < self._augment_share:
            semitones = rng.uniform(-MAX_SEMITONES, MAX_SEMITONES)
            return Clip(track, start, gain, semitones, 1.0 + rng.uniform(-MAX_TEMPO_CHANGE, MAX_TEMPO_CHANGE))
        return Clip(track, start, gain)


def _level(pcm: np.ndarray) -> tuple[float, float]:
    """RMS in dBFS and peak of int16 samples."""
    if pcm.size == 0:
        return -120.0, 0.0
    samples = pcm.astype(np.float32).ravel()
    power = float(np.dot(samples, samples)) / samples.size / 32768.0**2
    return 10.0 * float(np.log10(power + 1e-12)), float(max(samples.max(), -samples.min())) / 32768.0
