"""Movement: rates at which the sound of a recording repeats, from the similarity of its frames.

References:
    Foote & Uchihashi 2001 (periodicity of a self-similarity: the beat spectrum).
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.descriptors.autocorrelation import short_lags
from dafxvae.descriptors.combs import FRAME_STEP
from dafxvae.descriptors.descriptor import Descriptor, Recordings

RATES_HZ = np.geomspace(0.2, 9.0, 24)
LONGEST_SEC = 2.2  # of the periods
STILL_SEC = 0.085  # frames that are nearer overlap, and resemble each other anyway


def measure_movement(recordings: Recordings) -> Array:
    """`similarity_by_rate` of the short lags and of the spectrum's shape; `[B, 2 len(RATES_HZ)]`."""
    lags = short_lags(recordings.power[:, ::FRAME_STEP], recordings.sample_rate)
    spectrum = recordings.log_mel - recordings.log_mel.mean(-1, keepdims=True)
    hop_sec = recordings.hop_sec
    parts = similarity_by_rate(lags, FRAME_STEP * hop_sec), similarity_by_rate(spectrum, hop_sec)
    return jnp.concatenate(parts, axis=-1)


def similarity_by_rate(frames: Array, hop_sec: float) -> Array:
    """How similar frames one period apart are, by the rate of the period; `[B, N, D] -> [B, len(RATES_HZ)]`.

    The cosine similarity of all pairs of frames without their mean over time, averaged by distance and Fourier
    transformed.
    """
    moving = frames - frames.mean(1, keepdims=True)
    moving = moving / (jnp.linalg.norm(moving, axis=-1, keepdims=True) + 1e-6)
    num_frames, longest = frames.shape[1], round(LONGEST_SEC / hop_sec)
    spectrum = jnp.fft.rfft(moving, 2 * num_frames, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(-1)
    similarity = jnp.fft.irfft(power, 2 * num_frames)[:, :num_frames] / np.arange(num_frames, 0, -1)[None]
    similarity = jnp.pad(similarity, ((0, 0), (0, max(longest - num_frames, 0))))[:, :longest]
    apart_sec = np.arange(longest) * hop_sec
    apart = apart_sec >= STILL_SEC
    window = apart * np.hanning(2 * longest + 1)[longest:-1]
    waves = 10.0 / longest * window[:, None] * np.cos(2.0 * np.pi * apart_sec[:, None] * RATES_HZ[None])
    return (similarity - similarity[:, apart].mean(-1, keepdims=True)) @ jnp.asarray(waves, jnp.float32)


MOVEMENT = Descriptor("movement", lambda _: 2 * len(RATES_HZ), measure_movement, in_encoding=True)
