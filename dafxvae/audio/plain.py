"""Plain features of clips, which nothing was trained for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp

MEL_SIZE, MEL_HOP, NUM_MELS = 2048, 512, 128
FLOOR = 1e-9  # added to the power before the logarithm, as f does: -90 dB


@partial(jax.jit, static_argnums=1)
def log_mel(audio: Array, sample_rate: int) -> Array:
    """Natural log mel power of the channels' mean, full range; `[B, T, C] -> [B, N, NUM_MELS]`."""
    power = dsp.power_spectrogram(audio.mean(-1), MEL_SIZE, MEL_HOP) * (4.0 / MEL_SIZE) ** 2
    filters = dsp.mel_filterbank(sample_rate, MEL_SIZE, NUM_MELS, 20.0, sample_rate / 2)
    return jnp.log(power @ filters + FLOOR)


def mel_statistics(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean and deviation over time of each log-mel band: the timbre of a stretch of sound; `[B, 2 NUM_MELS]`."""
    frames = log_mel(audio, sample_rate)
    return np.concatenate([np.asarray(frames.mean(1)), np.asarray(frames.std(1))], axis=1)
