"""Training pairs in two steps: draw clips, levels and settings, then render them. A draw can be stored."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.choices import MODES
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.tracks import Corpus, PcmCache
from dafxvae.data.pairs.bank import Bank
from dafxvae.data.pairs.clips import PEAK, Clip, ClipCutter
from dafxvae.data.pairs.neutral import change_db, neutral_table
from dafxvae.types import PairBatch

MASTERED_INPUTS = 0.25  # share of the inputs of mastered references that are mastered too, by a chain of their own


@dataclass(frozen=True)
class PairOptions:
    """How pairs are drawn, and which draws are drawn again."""

    untouched_share: float = 0.0  # of pairs whose reference no effect touched
    style_share: float = 0.0  # of pairs whose input went through other settings before (style to style)
    augment_share: float = 0.0  # of clips whose pitch and tempo are changed; costs .1 s a clip
    same_clip_share: float = 0.0  # of pairs whose reference is the very clip of the input, whatever the mode
    mastered_share: float = 0.0  # of pairs whose reference was mastered before the effect, some with their input too
    gain_db: tuple[float, float] = (-12.0, 6.0)  # random gain of each clip
    silence_db: float = -50.0  # RMS dBFS below which a stretch of a track is not used
    min_output_db: float = -65.0  # RMS dBFS below which a render counts as silent
    max_peak: float = 4.0  # above it a render counts as clipping (+12 dBFS)
    min_change_db: float = -30.0  # the target must differ from the input by this much, relative to the input
    max_attempts: int = 8  # draws for one pair; the last is kept whatever it is

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if name.endswith("_share") and not 0.0 <= value <= 1.0:
                raise UserError(f"{name} must be in [0, 1], got {value}")
        if self.max_attempts < 1:
            raise UserError(f"max_attempts must be at least 1, got {self.max_attempts}")


def make_cutter(corpus: Corpus, clip_samples: int, options: PairOptions, cache: PcmCache | None = None) -> ClipCutter:
    """A cutter of clips with the options of pairs."""
    return ClipCutter(
        corpus,
        clip_samples,
        gain_db=options.gain_db,
        silence_db=options.silence_db,
        augment_share=options.augment_share,
        cache=cache,
    )


class Draw(NamedTuple):
    """One pair before it is rendered."""

    dry: Clip
    reference: Clip
    effect: int
    unit_params: np.ndarray  # [K]
    mask: np.ndarray  # [K]
    style: tuple[int, np.ndarray] | None  # effect and settings [K] that the input went through before
    untouched: bool  # the reference is as recorded, and the settings are the effect's most neutral ones


class PairMaker:
    """Draws and renders pairs; a pure function of (seed, stream, item). Safe for threads."""

    def __init__(self, cutter: ClipCutter, bank: Bank, *, seed: int, stream: str, mode: str, options: PairOptions):
        if mode not in MODES:
            raise UserError(f"no pair mode '{mode}': use one of {', '.join(MODES)}")
        self.cutter, self.bank, self.options = cutter, bank, options
        self._seed, self._stream, self._mode = seed, stream, mode
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        corpus = cutter.corpus
        # known before the first pair, so that no order of pairs matters
        wanted = options.untouched_share > 0.0
        self._neutral = neutral_table(bank, corpus.sample_rate, corpus.num_channels) if wanted else []

    @property
    def counts(self) -> dict[str, int]:
        """Pairs made, draws drawn again by reason, pairs kept after the last attempt failed ("gave_up")."""
        with self._lock:
            return dict(self._counts)

    @property
    def description(self) -> dict[str, Any]:
        """Everything except corpus and bank that the pairs depend on, as plain JSON."""
        options = {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self.options).items()}
        return {"seed": self._seed, "stream": self._stream, "mode": self._mode, "options": options}

    def draw(self, item: int, attempt: int) -> Draw:
        """Draws pair `item`; `attempt` counts how often it was drawn before."""
        kind = host_rng(self._seed, f"pairs/{self._stream}/kind", item).random(4)  # the shares hold over redraws
        rng = host_rng(self._seed, f"pairs/{self._stream}", item, attempt)
        dry = self.cutter.draw(rng)
        mode = "same_clip" if kind[2] < self.options.same_clip_share else self._mode
        reference = self.cutter.draw_reference(rng, dry, mode)
        effect, unit_params, mask = (values[0] for values in self.bank.sample(rng, 1))
        style = None
        if kind[1] < self.options.style_share:
            other, settings, _ = self.bank.sample(rng, 1)
            style = (int(other[0]), settings[0])
        untouched = bool(kind[0] < self.options.untouched_share)
        if untouched:
            unit_params = self._neutral[effect]
        if kind[3] < self.options.mastered_share:
            seeds = [int(seed) for seed in rng.integers(1 << 31, size=2)]
            reference = reference._replace(mastering=seeds[0])
            if rng.random() < MASTERED_INPUTS:
                dry = dry._replace(mastering=seeds[1])
        return Draw(dry, reference, int(effect), unit_params, mask, style, untouched)

    def render(self, draws: Sequence[Draw], items: np.ndarray) -> PairBatch:
        """Renders pairs: the targets by the very call that the outputs take later.

        Args:
            draws: B of them.
            items: int64 `[B]`, their global indices.
        """
        count, corpus = len(draws), self.cutter.corpus
        sources = np.empty((2 * count, self.cutter.clip_samples, corpus.num_channels), np.float32)
        for b, draw in enumerate(draws):
            self.cutter.read(draw.dry, sources[b])
            self.cutter.read(draw.reference, sources[count + b])
        self._apply_styles(draws, sources)
        effect = np.asarray([draw.effect for draw in draws], np.int32)
        unit_params = np.stack([draw.unit_params for draw in draws]).astype(np.float32)
        # Untouched references are not rendered: they stay as they were recorded.
        rows = [*range(count), *(count + b for b, draw in enumerate(draws) if not draw.untouched)]
        pairs = np.asarray(rows) % count
        every = len(rows) == 2 * count
        rendered = self.bank.render(
            sources if every else sources[rows], effect[pairs], unit_params[pairs], corpus.sample_rate
        )
        target, reference = rendered[:count], rendered[count:]
        if not every:
            reference = sources[count:].copy()
            reference[[row - count for row in rows[count:]]] = rendered[count:]
        return PairBatch(
            dry=sources[:count],
            target=target,
            reference=reference,
            effect=effect,
            unit_params=unit_params,
            mask=np.stack([draw.mask for draw in draws]).astype(np.float32),
            touched=np.asarray([not draw.untouched for draw in draws], np.float32),
            valid=np.ones(count, np.float32),
            item=np.asarray(items, np.int64),
        )

    def make(self, items: np.ndarray) -> tuple[PairBatch, list[Draw]]:
        """Draws, renders and checks pairs; those that cannot be used are drawn again.

        Args:
            items: int64 `[B]`, global indices of the pairs.

        Returns:
            The batch (a pair whose every render failed has `valid` 0 and its input as target), and its draws.
        """
        draws = [self.draw(int(item), 0) for item in items]
        batch = self.render(draws, items)
        counts: Counter[str] = Counter(pairs=len(items))
        reasons = {b: self.reject(batch, b, draw) for b, draw in enumerate(draws)}
        for attempt in range(1, self.options.max_attempts):
            bad = [b for b, reason in reasons.items() if reason]
            if not bad:
                break
            counts.update(reasons[b] for b in bad)
            again = [self.draw(int(items[b]), attempt) for b in bad]
            part = self.render(again, items[bad])
            for place, b in enumerate(bad):
                draws[b] = again[place]
                reasons[b] = self.reject(part, place, again[place])
            for whole, new in zip(batch, part):
                whole[bad] = new
        counts["gave_up"] += sum(bool(reason) for reason in reasons.values())
        for b in (b for b, reason in reasons.items() if reason == "failed"):
            self.bank.failures.check()
            batch.valid[b] = 0.0
            for audio in (batch.dry, batch.target, batch.reference):
                np.nan_to_num(audio[b], copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        with self._lock:
            self._counts.update(counts)
        return batch, draws

    def reject(self, batch: PairBatch, b: int, draw: Draw) -> str:
        """Why pair `b` cannot be used: "failed", "clipped", "silent", "unchanged", or "" where it can."""
        options = self.options
        for audio in (batch.target[b], batch.reference[b]):
            samples = audio.ravel()
            power = float(np.dot(samples, samples)) / samples.size
            if not np.isfinite(power):
                return "failed"
            if max(float(samples.max()), -float(samples.min())) > options.max_peak:
                return "clipped"
            if power < 10.0 ** (options.min_output_db / 10.0):
                return "silent"
        if not draw.untouched and change_db(batch.dry[b], batch.target[b]) < options.min_change_db:
            return "unchanged"
        return ""

    def _apply_styles(self, draws: Sequence[Draw], sources: np.ndarray) -> None:
        """Puts the inputs of style-to-style pairs through their earlier settings, in place; they stay within ±1."""
        rows = [b for b, draw in enumerate(draws) if draw.style is not None]
        if not rows:
            return
        styles = [draw.style for draw in draws if draw.style is not None]
        effect = np.asarray([style[0] for style in styles], np.int32)
        settings = np.stack([style[1] for style in styles]).astype(np.float32)
        rendered = self.bank.render(sources[rows], effect, settings, self.cutter.corpus.sample_rate)
        peaks = np.abs(rendered).max(axis=(1, 2), keepdims=True)
        sources[rows] = rendered * np.minimum(1.0, PEAK / np.maximum(peaks, 1e-9))
