"""Curves that compare recordings: spectrum, loudness over time, stereo width."""

from collections.abc import Iterable

import numpy as np

from dafxvae.audio.loudness import DUAL_MONO_LU, HOP_SEC, HOPS_PER_BLOCK, OFFSET, LoudnessMeter

SPECTRUM_SIZE = 8192
FLOOR_DB = -100.0
NUM_CENTRES = 160
SMOOTHING_OCTAVES = 1 / 6
WIDTH_OCTAVES = 1 / 3
WIDTH_DB = (-40.0, 20.0)
AUDIBLE_DB = -60.0  # below the loudest frequency there is no width to speak of


def _power(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Mean power spectrum of parts `[T, C]`, `[C, F]`."""
    window, found = np.hanning(SPECTRUM_SIZE), []
    for audio in parts:
        padded = np.pad(audio, ((0, -len(audio) % SPECTRUM_SIZE), (0, 0)))
        frames = padded.T.reshape(audio.shape[1], -1, SPECTRUM_SIZE) * window
        found.append((np.abs(np.fft.rfft(frames)) ** 2).mean(axis=1))
    return np.mean(found, axis=0) * (2.0 / window.sum()) ** 2


def _smoothed(power: np.ndarray, sample_rate: int, octaves: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of a spectrum `[F]` around centres spaced evenly by ear: (Hz `[N]`, power `[N]`)."""
    bins = np.fft.rfftfreq(SPECTRUM_SIZE, 1.0 / sample_rate)
    centres = np.geomspace(30.0, min(20000.0, 0.49 * sample_rate), NUM_CENTRES)
    total = np.concatenate([[0.0], np.cumsum(power)])
    half = 2.0 ** (octaves / 2)
    low = np.searchsorted(bins, centres / half)
    high = np.maximum(np.searchsorted(bins, centres * half), low + 1).clip(max=len(power))
    low = np.minimum(low, high - 1)
    return centres, (total[high] - total[low]) / (high - low)


def average_spectrum(parts: Iterable[np.ndarray], sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean power spectrum, smoothed to sixths of an octave.

    Args:
        parts: of a recording, each `[T, C]`.
        sample_rate: Hz.

    Returns:
        (frequencies in Hz `[N]`, dB `[N]`).
    """
    centres, power = _smoothed(_power(parts).mean(axis=0), sample_rate, SMOOTHING_OCTAVES)
    return centres, 10.0 * np.log10(power + 10.0 ** (FLOOR_DB / 10.0))


def momentary_loudness(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Loudness of every 400 ms, ungated: (seconds at the middle `[N]`, LUFS `[N]`), of a clip `[T, C]`."""
    meter = LoudnessMeter(sample_rate, audio.shape[1])
    meter.feed(audio)
    levels = OFFSET + 10.0 * np.log10(np.maximum(meter.blocks(), 10.0 ** (FLOOR_DB / 10.0)))
    levels += DUAL_MONO_LU * (audio.shape[1] == 1)
    return (np.arange(len(levels)) + HOPS_PER_BLOCK / 2) * HOP_SEC, levels


def stereo_width(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Side over mid by frequency of a stereo clip `[T, 2]`: (Hz `[N]`, dB `[N]`), NaN where hardly anything sounds."""
    both = np.stack([audio[:, 0] + audio[:, 1], audio[:, 0] - audio[:, 1]], axis=1)
    mid_and_side = _power([both])
    centres, mid = _smoothed(mid_and_side[0], sample_rate, WIDTH_OCTAVES)
    _, side = _smoothed(mid_and_side[1], sample_rate, WIDTH_OCTAVES)
    total = mid + side
    width = 10.0 * np.log10(np.maximum(side, 1e-20) / np.maximum(mid, 1e-20))
    is_heard = total > max(float(total.max()) * 10.0 ** (AUDIBLE_DB / 10.0), 1e-15)
    return centres, np.where(is_heard, np.clip(width, *WIDTH_DB), np.nan)
