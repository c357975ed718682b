"""Measures of a recording: f's encoding, and statistics of its spectrum up to 20 kHz and of its width.

f covers one channel up to 11 kHz. What lies above, and between the channels, is measured here.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft

from dafxvae.audio.bands import mel_filterbank, sum_into_bands
from dafxvae.audio.io import resample, to_channels
from dafxvae.models.extractor import FeatureExtractor

SAMPLE_RATE = 44100  # Hz, of everything that is measured here
LOUDNESS_LUFS = -20.0  # of both recordings before they are compared: thresholds of dynamics are learnt at this level
NUM_BANDS, LOW_HZ, HIGH_HZ = 64, 40.0, 20000.0
WINDOW, HOP = 2048, 1024  # samples
FLOOR = 1e-10  # added to power, re a full-scale sine
UNIT_DB = 10.0
NUM_STATISTICS = 8 * NUM_BANDS


class MeasuredSound(NamedTuple):
    """One recording as the studio compares it."""

    encoding: np.ndarray  # float32 [E] of f
    statistics: np.ndarray  # float32 [NUM_STATISTICS]


def measure_sound(audio: np.ndarray, extractor: FeatureExtractor) -> MeasuredSound:
    """Measure a recording; float32 `[T, C]` at `SAMPLE_RATE`."""
    low = resample(to_channels(audio, 1), SAMPLE_RATE, extractor.sample_rate)
    return MeasuredSound(extractor.encode(low[None], is_reference=False)[0], spectral_statistics(audio))


def spectral_statistics(audio: np.ndarray) -> np.ndarray:
    """Statistics over time of the levels of mel bands, in units of 10 dB.

    Args:
        audio: float32 `[T, C]` at `SAMPLE_RATE`, at least a window.

    Returns:
        float32 `[NUM_STATISTICS]`: of the middle signal mean, deviation, 10 %, 50 % and 90 % quantiles, level of the
        mean power and mean step from frame to frame; and level of the side signal over it. Bands side by side.
    """
    middle, side = _band_levels_db(audio)
    power_db, side_db = (10.0 * np.log10((10.0 ** (levels / 10.0)).mean(0)) for levels in (middle, side))
    parts = [
        middle.mean(0),
        middle.std(0),
        *np.quantile(middle, (0.1, 0.5, 0.9), axis=0),
        power_db,
        np.abs(np.diff(middle, axis=0)).mean(0),
        side_db - power_db,
    ]
    return (np.concatenate(parts) / UNIT_DB).astype(np.float32)


def _band_levels_db(audio: np.ndarray) -> np.ndarray:
    """Levels of the bands of middle and side; `[T, C] -> [2, N, NUM_BANDS]`."""
    left, right = (audio[:, channel] for channel in (0, -1))
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    both = np.stack([(left + right) / 2, (left - right) / 2]).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(both, WINDOW, axis=1)[:, ::HOP] * window
    spectrum = np.asarray(scipy.fft.rfft(frames, axis=-1))  # in single precision, unlike numpy's
    power = np.square(np.abs(spectrum)) * (4.0 / window.sum() ** 2)
    filters = mel_filterbank(SAMPLE_RATE, WINDOW, NUM_BANDS, LOW_HZ, HIGH_HZ)
    return 10.0 * np.log10(sum_into_bands(power, filters) + FLOOR)
