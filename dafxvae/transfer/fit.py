"""How well a transfer fits: distances to the reference, of the take before and of the output after."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from dafxvae.effects import kinds
from dafxvae.effects.chain import Chain
from dafxvae.effects.units import BuiltinUnit
from dafxvae.transfer.confidence import UNKNOWN, Confidence
from dafxvae.transfer.recordings import Recording
from dafxvae.transfer.rendering import Rendered
from dafxvae.transfer.windows import MAX_WINDOWS

WINDOW_SEC = 3.0  # read at a time
ACTIVE_DB = -40.0  # windows quieter than the loudest by more are pauses
HOP_SEC = 0.04  # of frames, which are two hops long
BANDS_HZ = 1000.0 * 2.0 ** (np.arange(-13, 13) / 3)  # centres of third octaves, 50 Hz to 16 kHz
OCTAVE = 3  # bands
FLOOR_DB = -60.0  # below the loudest band nothing counts in a spectrum
LEVEL_FLOOR_DB = -50.0  # frames quieter than their mean by more are pauses
AUDIBLE_DB = -40.0  # octaves that are quieter than the loudest by more count for neither space nor modulation
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)  # of the levels of frames
LAGS = (2, 3, 5, 8, 12, 18, 25)  # frames within which a level falls: .08 to 1 s
HIGH_DB = 20.0  # of a window: from these levels down to its highest one falls are looked for
FALL_QUANTILE = 0.9
FALLING_BANDS = 3  # those that fall furthest: steady noise in the others says nothing of the room
RATE_EDGES_HZ = 0.5 * 2.0 ** (np.arange(-0.5, 5.0))  # octaves of modulation around .5 to 8 Hz
SWING_FLOOR = 0.1**2  # dB^2 of modulation
WIDTH_DB = (-40.0, 20.0)
TOLERANCE_DB = 0.5  # a distance that changes by less is as before

SPECTRUM, DYNAMICS, SPACE, MODULATION, WIDTH = ASPECTS = ("spectrum", "dynamics", "space", "modulation", "width")
PURPOSES = {  # what effects of a kind are there to change
    kinds.SPECTRUM: (SPECTRUM,),
    kinds.DYNAMICS: (DYNAMICS,),
    kinds.SPACE: (SPACE,),
    kinds.MODULATION: (MODULATION,),
    kinds.DISTORTION: (SPECTRUM, DYNAMICS),
    kinds.PITCH: ASPECTS,
    kinds.LEVEL: (),
}


class Profile(NamedTuple):
    """Measures of a recording that are compared, dB; NaN where it cannot be measured. A gain changes nothing."""

    spectrum: np.ndarray  # of third octaves, long-term
    dynamics: np.ndarray  # crest factor; quantiles of the level over its mean
    space: np.ndarray  # how far octaves fall within each lag where they fall far: little in a reverberant recording
    modulation: np.ndarray  # power of the swing of octaves' levels, by rate
    width: np.ndarray  # side over mid


def _band_powers(powers: np.ndarray, sample_rate: int) -> np.ndarray:
    """Power in third octaves of spectra `[N, F]`, to fractions of a bin: `[N, B]`; NaN for bands above it."""
    nyquist, last = sample_rate / 2, powers.shape[1] - 1
    summed = np.pad(powers, ((0, 0), (1, 0))).cumsum(axis=1, dtype=float)  # no matrix product: its threads cost more
    edges = BANDS_HZ[0] * 2.0 ** ((np.arange(len(BANDS_HZ) + 1) - 0.5) / 3)
    places = np.minimum(edges / nyquist * last + 0.5, last)
    whole = places.astype(int)
    found = summed[:, whole] + (places - whole) * (summed[:, whole + 1] - summed[:, whole])
    return np.where(edges[1:] < 0.96 * nyquist, np.diff(found, axis=1), np.nan)


def _decibels(power: np.ndarray, floor: Any) -> np.ndarray:
    return 10.0 * np.log10(np.maximum(power, np.maximum(floor, 1e-20)))


def measure_profile(source: Recording | Rendered, frames: int | None = None) -> Profile:
    """Measures windows spread over a recording.

    Args:
        source: at least two frames (.08 s) long.
        frames: samples of the beginning that count; None for all.
    """
    rate, total = source.sample_rate, source.frames if frames is None else min(frames, source.frames)
    hop = round(HOP_SEC * rate)
    count = min(round(WINDOW_SEC / HOP_SEC), total // hop)  # hops in a window
    last = total - count * hop
    starts = np.unique(np.linspace(0, last, min(MAX_WINDOWS, 1 + -(-last // (count * hop)))).astype(int))
    taper = np.hanning(2 * hop).astype(np.float32)
    powers, crests, sides = [], [], np.zeros(2)
    for start in starts:
        audio = np.ascontiguousarray(source.read(int(start), count * hop).T)
        hops = audio.reshape(len(audio), count, hop)
        framed = np.concatenate([hops[:, :-1] * taper[:hop], hops[:, 1:] * taper[hop:]], axis=2)
        spectra: np.ndarray = np.asarray(scipy.fft.rfft(framed))
        powers.append(_band_powers((np.real(spectra) ** 2 + np.imag(spectra) ** 2).mean(axis=0), rate))
        level = np.einsum("ct,ct->", audio, audio) / audio.size
        crests.append((level, float(np.abs(audio).max()) ** 2))
        if len(audio) == 2:
            both = np.array([audio[0] + audio[1], audio[0] - audio[1]])
            sides += np.einsum("ct,ct->c", both, both)
    return _profile(np.array(powers), np.array(crests, float), sides)


def _profile(powers: np.ndarray, crests: np.ndarray, sides: np.ndarray) -> Profile:
    """A profile of band powers `[W, N, B]`, mean and peak power `[W, 2]`, and the energies of mid and side."""
    is_active = crests[:, 0] >= crests[:, 0].max() * 10.0 ** (ACTIVE_DB / 10.0)
    powers, crests = powers[is_active], crests[is_active]
    mean = powers.mean(axis=(0, 1))
    spectrum = _decibels(mean, np.nanmax(mean) * 10.0 ** (FLOOR_DB / 10.0))
    levels = np.nansum(powers, axis=2)
    heard = levels[levels >= levels.mean() * 10.0 ** (LEVEL_FLOOR_DB / 10.0)]  # without pauses
    relative = _decibels(heard / max(heard.mean(), 1e-20), 1e-20)
    crest = _decibels(crests[:, 1] / np.maximum(crests[:, 0], 1e-20), 1.0).mean()
    bands = np.nan_to_num(powers[..., : len(BANDS_HZ) // OCTAVE * OCTAVE])
    octaves = bands.reshape(*powers.shape[:2], -1, OCTAVE).sum(axis=3)
    means = octaves.mean(axis=(0, 1))
    is_audible = means >= means.max() * 10.0 ** (AUDIBLE_DB / 10.0)
    swings = _decibels(octaves, means * 10.0 ** (LEVEL_FLOOR_DB / 10.0))[..., is_audible]
    width = np.clip(_decibels(sides[1:] / max(sides[0], 1e-20), 1e-20), *WIDTH_DB) if sides.any() else [np.nan]
    return Profile(
        spectrum,
        np.array([crest, *np.quantile(relative, QUANTILES)]),
        _falls(swings),
        _modulation(swings),
        np.array(width),
    )


def _falls(levels: np.ndarray) -> np.ndarray:
    """How far levels in dB `[W, N, B]` fall within each lag: a high quantile, of the bands that fall furthest."""
    is_high = levels >= levels.max(axis=1, keepdims=True) - HIGH_DB
    found = np.full((len(LAGS), levels.shape[2]), np.nan)
    for (i, lag), band in itertools.product(enumerate(LAGS), range(levels.shape[2])):
        falls = (levels[:, :-lag, band] - levels[:, lag:, band])[is_high[:, :-lag, band]]
        if len(falls):
            found[i, band] = np.quantile(falls, FALL_QUANTILE)
    return np.sort(found, axis=1)[:, -FALLING_BANDS:].mean(axis=1)


def _modulation(levels: np.ndarray) -> np.ndarray:
    """Variance of levels in dB `[W, N, B]` by rate, in dB; NaN for rates that a window is too short to show."""
    count = levels.shape[1]
    taper = np.hanning(count + 2)[1:-1]
    swing = (levels - levels.mean(axis=1, keepdims=True)) * taper[:, None]
    power = (np.abs(np.fft.rfft(swing, axis=1)) ** 2).mean(axis=(0, 2)) * 2.0 / (count * (taper**2).sum())
    rates = np.fft.rfftfreq(count, HOP_SEC)
    octave = np.digitize(rates, RATE_EDGES_HZ)
    variances = [power[octave == i].sum() if (octave == i).any() else np.nan for i in range(1, len(RATE_EDGES_HZ))]
    return _decibels(np.array(variances), SWING_FLOOR)


def profile_distances(first: Profile, second: Profile) -> dict[str, float]:
    """Mean absolute difference in dB of each aspect that both have; of spectra at the gain that brings them closest."""
    distances = {}
    for aspect, one, other in zip(ASPECTS, first, second):
        difference = (one - other)[np.isfinite(one - other)]
        if aspect == SPECTRUM and len(difference):
            difference = difference - np.median(difference)
        if len(difference):
            distances[aspect] = float(np.abs(difference).mean())
    return distances


def purpose(chain: Chain) -> tuple[str, ...]:
    """The aspects that a chain is there to change; all of them where it holds a plugin."""
    found = [PURPOSES[kinds.unit_kind(u)] if isinstance(u, BuiltinUnit) else ASPECTS for u in chain.units]
    return tuple(aspect for aspect in ASPECTS if any(aspect in aspects for aspects in found))


@dataclass(frozen=True)
class Fit:
    """Distances to the reference in dB, by aspect; see `Profile`. An aspect that cannot be compared is left out."""

    before: Mapping[str, float]  # of the take
    after: Mapping[str, float]  # of its render
    purpose: tuple[str, ...]  # aspects that the effect is there to change
    confidence: Confidence = UNKNOWN  # in the prediction

    def change(self, aspect: str) -> str:
        """ "closer", "further", or "as before" within `TOLERANCE_DB`."""
        gained = self.before[aspect] - self.after[aspect]
        return "as before" if abs(gained) < TOLERANCE_DB else "closer" if gained > 0 else "further"

    def aspects(self, change: str) -> list[str]:
        """The aspects in which this happened."""
        return [aspect for aspect in self.before if self.change(aspect) == change]

    @property
    def worse(self) -> list[str]:
        """The aspects of the effect's purpose in which the render is further from the reference than the take."""
        return [aspect for aspect in self.aspects("further") if aspect in self.purpose]

    @property
    def sentence(self) -> str:
        """The changes in plain English: "closer in spectrum and dynamics, further in space"."""
        parts = [(change, self.aspects(change)) for change in ("closer", "further", "as before")]
        return ", ".join(f"{change} in {listed(found)}" for change, found in parts if found)

    def notes(self, keeps_take: bool) -> list[str]:
        """In what the render is worse, whether the take is kept, and how reliable the prediction is."""
        return [*self._worse_notes(keeps_take), *self.confidence.notes]

    def _worse_notes(self, keeps_take: bool) -> list[str]:
        if not self.worse:
            return []
        moves = listed([f"{name} ({self.before[name]:.1f} → {self.after[name]:.1f} dB)" for name in self.worse])
        if keeps_take:
            return [f"the take is kept as it is: its render is further from the reference in {moves}"]
        return [
            f"the output is further from the reference than the take in {moves}, which the effect is there to change "
            "(--only-if-better keeps the take)"
        ]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        distances = {
            aspect: {"before_db": self.before[aspect], "after_db": self.after[aspect], "change": self.change(aspect)}
            for aspect in self.before
        }
        return {
            "sentence": self.sentence,
            "purpose": list(self.purpose),
            "distances": distances,
            "prediction": {"sentence": self.confidence.sentence, **self.confidence._asdict()},
        }


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: "a, b and c"."""
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + list(words[-1:]))


def measure_fit(
    source: Recording,
    references: Sequence[Recording],
    rendered: Rendered,
    chain: Chain,
    confidence: Confidence = UNKNOWN,
    counted: Callable[[Sequence[Any], str], Sequence[Any]] = lambda found, aspect: found,
) -> Fit:
    """Compares a take and its render, without the tail, with references, whose distances are averaged.

    Args:
        source, references, rendered: recordings.
        chain: the effects.
        confidence: in their settings.
        counted: takes what belongs to each reference, and an aspect; gives what counts there, as often as it does.
    """
    profiles = [measure_profile(one) for one in references]
    pairs = measure_profile(source), measure_profile(rendered, source.frames)
    found = [[profile_distances(one, other) for other in profiles] for one in pairs]
    means = [
        {aspect: float(np.mean([d.get(aspect, np.nan) for d in counted(own, aspect)])) for aspect in ASPECTS}
        for own in found
    ]
    known = [aspect for aspect in ASPECTS if np.isfinite([own[aspect] for own in means]).all()]
    before, after = ({aspect: own[aspect] for aspect in known} for own in means)
    return Fit(before, after, purpose(chain), confidence)
