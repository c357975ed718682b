"""Log-mel spectrograms: the one definition that networks, descriptors, losses and measures share."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp
from dafxvae.audio.bands import mel_filterbank

POWER_FLOOR = 1e-9  # added before the logarithm: -90 dB re a full-scale sine
FULL_SIZE, FULL_HOP, FULL_MELS = 2048, 512, 128  # of `full_band_log_mel`, in samples and bands


def scaled_power(signal: Array, size: int, hop: int) -> Array:
    """Power spectrogram in which a full-scale sine has 1 in its bin, at any window; `[..., T] -> [..., N, F]`."""
    return dsp.power_spectrogram(signal, size, hop) * (4.0 / size) ** 2


def mean_power(audio: Array, size: int, hop: int) -> Array:
    """`scaled_power`, mean over channels, which channels that cancel do not change; `[B, T, C] -> [B, N, F]`."""
    return scaled_power(jnp.swapaxes(audio, 1, 2), size, hop).mean(1)


def log_mel(power: Array, sample_rate: int, num_mels: int, low_hz: float, high_hz: float) -> Array:
    """Natural logarithm of mel power; `[..., N, F] -> [..., N, num_mels]`.

    Args:
        power: of `scaled_power`.
        sample_rate: in Hz.
        num_mels: number of bands.
        low_hz, high_hz: outer edges of the first and last band.
    """
    filters = mel_filterbank(sample_rate, 2 * (power.shape[-1] - 1), num_mels, low_hz, high_hz)
    return jnp.log(power @ filters + POWER_FLOOR)


@partial(jax.jit, static_argnums=1)
def full_band_log_mel(audio: Array, sample_rate: int) -> Array:
    """Log-mel of the channels' mean power up to half of the sample rate; `[B, T, C] -> [B, N, FULL_MELS]`."""
    return log_mel(mean_power(audio, FULL_SIZE, FULL_HOP), sample_rate, FULL_MELS, 20.0, sample_rate / 2)


def mel_mean_and_deviation(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean and deviation over time of each band of `full_band_log_mel`, a plain timbre; `[B, 2 FULL_MELS]`."""
    frames = full_band_log_mel(audio, sample_rate)
    return np.concatenate([np.asarray(frames.mean(1)), np.asarray(frames.std(1))], axis=1)
