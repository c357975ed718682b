"""The rule-based baseline: a match equaliser, then a compressor; no learning, no settings of the effect."""

from typing import NamedTuple

import numpy as np
from scipy import signal

from dafxvae.audio.io import to_channels
from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.effects.host import EffectHost

COMPRESSOR = "Compressor(threshold_db, ratio=3, attack_ms=1, release_ms=50)"
THRESHOLD_STEP_DB, LOUDNESS_TOLERANCE = 0.5, 0.5
SPECTRUM_SIZE, NUM_TAPS = 4096, 1023
BANDS_PER_OCTAVE = 3
MAX_GAIN_DB = 24.0
POWER_FLOOR = 1e-12


class Matched(NamedTuple):
    """Both forms of the baseline."""

    to_reference: np.ndarray  # [B, T, C] with the reference's peak
    to_input: np.ndarray  # [B, T, C] the same sound, brought back to the loudness of the input


def smooth_spectrum(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Average power spectrum of the channels' mean in bands of a third of an octave.

    Args:
        audio: `[T, C]`.
        sample_rate: Hz.

    Returns:
        Frequencies in Hz `[F]` and power density `[F]` at the bins of an FFT of `SPECTRUM_SIZE`.
    """
    hz, power = signal.welch(to_channels(audio, 1)[:, 0], sample_rate, nperseg=min(SPECTRUM_SIZE, len(audio)))
    half = 2.0 ** (0.5 / BANDS_PER_OCTAVE)
    total = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    bins = np.arange(len(hz))
    low = np.minimum(np.floor(bins / half).astype(int), bins)
    high = np.minimum(np.ceil(bins * half).astype(int), len(hz) - 1)
    return hz, (total[high + 1] - total[low]) / (high + 1 - low)


def match_equaliser(audio: np.ndarray, reference: np.ndarray, sample_rate: int) -> np.ndarray:
    """The input through a linear-phase FIR with the square root of the ratio of the two average spectra.

    Args:
        audio, reference: `[T, C]`.
        sample_rate: Hz.

    Returns:
        float32 `[T, C]`, not delayed.
    """
    hz, ours = smooth_spectrum(audio, sample_rate)
    _, theirs = smooth_spectrum(reference, sample_rate)
    gain_db = 10.0 * np.log10((theirs + POWER_FLOOR) / (ours + POWER_FLOOR))
    gain = 10.0 ** (np.clip(gain_db, -MAX_GAIN_DB, MAX_GAIN_DB) / 20.0)
    taps = np.asarray(signal.firwin2(NUM_TAPS, hz, gain, fs=sample_rate))
    return signal.fftconvolve(audio, taps[:, None], mode="same", axes=0).astype(np.float32)


def _to_peak(audio: np.ndarray, peak: np.ndarray | float = 1.0) -> np.ndarray:
    """Clips `[B, T, C]` scaled to a peak (`[B]` or one for all); silent and failed ones as they are."""
    highest = np.abs(audio).max((1, 2))
    scale = np.where(highest > 0.0, peak / np.where(highest > 0.0, highest, 1.0), 1.0)
    return audio * scale.astype(np.float32)[:, None, None]


def _compress(audio: np.ndarray, steps: np.ndarray, host: EffectHost, sample_rate: int) -> np.ndarray:
    """Clips with a peak of 1 through the compressor with its threshold `steps` below 0 dB, back to a peak of 1."""
    unit = host.parameters.to_unit(-THRESHOLD_STEP_DB * steps[:, None].astype(np.float64))
    return _to_peak(host.render(audio, unit, sample_rate))


def rule_based(dry: np.ndarray, reference: np.ndarray, sample_rate: int, host: EffectHost) -> Matched:
    """DeepAFx-ST's rule-based baseline (Steinmetz et al. 2022, section 4.3), on signals that keep their levels.

    The equalised input is compressed (ratio 3, attack 1 ms, release 50 ms) with the highest threshold, in steps of
    .5 dB below its peak, that brings its loudness at equal peaks up to .5 LU below that of the reference or above; then
    it gets the reference's peak. The original lowers the threshold step by step; here the step is found by bisection,
    which gives the same where loudness at equal peaks rises with compression. The original normalises all sounds to
    one peak; as levels count here, the second form of the output keeps the loudness of the input.

    Args:
        dry, reference: float32 `[B, T, C]`.
        sample_rate: Hz.
        host: of `COMPRESSOR`.

    Returns:
        float32 `[B, T, C]` twice; nan where a render failed.
    """
    equalised = _to_peak(np.stack([match_equaliser(*clips, sample_rate) for clips in zip(dry, reference)]))
    wanted = loudness_lufs(_to_peak(reference), sample_rate) - LOUDNESS_TOLERANCE
    last = round(-host.parameters[0].minimum / THRESHOLD_STEP_DB)
    low, high = np.zeros(len(dry), int), np.full(len(dry), last)  # the first step that is loud enough lies within
    while (low < high).any():
        middle = (low + high) // 2
        enough = loudness_lufs(_compress(equalised, middle, host, sample_rate), sample_rate) >= wanted
        low, high = np.where(enough | (low >= high), low, middle + 1), np.where(enough, middle, high)
    out = _to_peak(_compress(equalised, high, host, sample_rate), np.abs(reference).max((1, 2)))
    return Matched(out, at_loudness(out, *(loudness_lufs(clips, sample_rate) for clips in (out, dry))))
