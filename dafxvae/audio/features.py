"""Features of a sound that losses and searches compare by their mean absolute difference; pure jnp, safe at silence.

A feature is `(audio [B, T, C], sample_rate) -> tuple of arrays [B, C, ...]`. Times are in seconds, so that a sample
rate only changes the sampling.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp, mel

Features = tuple[Array, ...]
Feature = Callable[[Array, int], Features]

HOP_SEC = 512 / 24000
LOW_HZ, HIGH_HZ = 20.0, 11000.0
ENVELOPE_FLOOR = 1e-8  # -80 dBFS
SMOOTHING_SEC = 1.0  # length of the Hann window
MODULATION_HZ = 0.5 * 2.0 ** (np.arange(16) / 3)  # .5 to 16 Hz in third octaves
MODULATION_FLOOR = 1e-3  # of the squared swing of a band's log power
MAX_LAG_SEC = 1.0


def _scaled_power(audio: Array, sample_rate: int, hops: int) -> tuple[Array, int]:
    """`mel.scaled_power` of each channel with a window of `hops` hops; `[B, C, N, F]`, and the window in samples."""
    hop = round(HOP_SEC * sample_rate)
    window = hops * hop
    return mel.scaled_power(jnp.swapaxes(audio, 1, 2), window, hop), window


def channel_log_mel(audio: Array, sample_rate: int, num_mels: int = 64) -> Array:
    """Log-mel of each channel, 43 ms windows; `[B, T, C] -> [B, C, N, num_mels]`."""
    power, _ = _scaled_power(audio, sample_rate, 2)
    return mel.log_mel(power, sample_rate, num_mels, LOW_HZ, min(HIGH_HZ, sample_rate / 2))


def smoothing_matrix(num_frames: int, width_frames: int) -> np.ndarray:
    """Rows of unit sum that are Hann windows at every quarter of their width, cut at the edges; float32 `[M, N]`."""
    centres = np.arange(0, num_frames, max(1, width_frames // 4))[:, None]
    position = (np.arange(num_frames) - centres) / max(1, width_frames)
    window = np.where(np.abs(position) < 0.5, 0.5 + 0.5 * np.cos(2.0 * np.pi * position), 0.0)
    return (window / window.sum(1, keepdims=True)).astype(np.float32)


def smoothed_mel(audio: Array, sample_rate: int) -> Features:
    """Log-mel averaged over about a second."""
    frames = channel_log_mel(audio, sample_rate)
    return (jnp.asarray(smoothing_matrix(frames.shape[2], round(SMOOTHING_SEC / HOP_SEC))) @ frames,)


def mel_statistics(audio: Array, sample_rate: int) -> Features:
    """Mean and deviation of log-mel over time."""
    frames = channel_log_mel(audio, sample_rate)
    return frames.mean(2), jnp.sqrt(jnp.var(frames, axis=2) + 1e-6)


def envelope(audio: Array, sample_rate: int) -> Features:
    """Level in dB over blocks of 10 ms and over 100 ms.

    Raises:
        ValueError: the clip is shorter than 100 ms.
    """
    block = round(0.01 * sample_rate)
    num_blocks = audio.shape[1] // block
    signal = jnp.swapaxes(audio, 1, 2)[..., : num_blocks * block]
    power = jnp.mean(signal.reshape(*signal.shape[:2], num_blocks, block) ** 2, axis=-1)
    slow = dsp.frame(power, 10, 5).mean(-1)
    return tuple(10.0 * jnp.log10(part + ENVELOPE_FLOOR) for part in (power, slow))


def modulation_bands(num_frames: int, frame_rate_hz: float) -> np.ndarray:
    """Triangular third-octave filters of unit sum, at least two bins wide each; float32 `[num_frames // 2 + 1, M]`."""
    bins_hz = np.arange(num_frames // 2 + 1) * frame_rate_hz / num_frames
    width_hz = np.maximum(MODULATION_HZ * (2.0 ** (1 / 3) - 1.0), bins_hz[1])
    weights = np.maximum(0.0, 1.0 - np.abs(bins_hz[:, None] - MODULATION_HZ) / width_hz)
    weights[0] = 0.0  # the mean is no modulation
    return (weights / np.maximum(weights.sum(0), 1e-6)).astype(np.float32)


def modulation(audio: Array, sample_rate: int) -> Features:
    """Logarithm of the power with which log-mel bands swing, by rate; a gain does not change it."""
    frames = channel_log_mel(audio, sample_rate, num_mels=32)
    window = np.hanning(frames.shape[2] + 2)[1:-1].astype(np.float32)
    swing = (frames - frames.mean(2, keepdims=True)) * window[None, None, :, None]
    spectrum = jnp.fft.rfft(jnp.swapaxes(swing, 2, 3))  # [B, C, F, rates]
    power = (spectrum.real**2 + spectrum.imag**2) * (2.0 / window.sum()) ** 2
    return (jnp.log(power @ modulation_bands(frames.shape[2], 1.0 / HOP_SEC) + MODULATION_FLOOR),)


def autocorrelation(audio: Array, sample_rate: int) -> Features:
    """Autocorrelation of the compressed spectrum |X|^(2/3) up to a second, 1 at lag 0; a gain does not change it.

    References:
        Tolonen & Karjalainen 2000, section II-B.
    """
    num_samples = audio.shape[1]
    spectrum = jnp.fft.rfft(jnp.swapaxes(audio, 1, 2), 2 * num_samples)
    power = spectrum.real**2 + spectrum.imag**2
    relative = power / (power.mean(-1, keepdims=True) + 1e-6)
    correlation = jnp.fft.irfft(jnp.cbrt(relative + 1e-6))[..., : min(num_samples, round(MAX_LAG_SEC * sample_rate))]
    return (correlation / correlation[..., :1],)


def cepstrum(audio: Array, sample_rate: int) -> Features:
    """Cepstrum of the log spectrum's mean over time, 85 ms windows, scaled so that its energy is the spectrum's."""
    power, window = _scaled_power(audio, sample_rate, 4)
    mean = jnp.log(power + mel.POWER_FLOOR).mean(2)
    return (jnp.fft.irfft(mean, norm="ortho")[..., : window // 2 + 1],)


FEATURES: Mapping[str, Feature] = {
    "smoothed_mel": smoothed_mel,
    "mel_statistics": mel_statistics,
    "envelope": envelope,
    "modulation": modulation,
    "autocorrelation": autocorrelation,
    "cepstrum": cepstrum,
}


def distance(first: Features, second: Features) -> Array:
    """Mean over the parts of the mean absolute difference; `[B]`."""
    parts = [jnp.mean(jnp.abs(a - b), axis=tuple(range(1, a.ndim))) for a, b in zip(first, second, strict=True)]
    return sum(parts[1:], parts[0]) / len(parts)
