"""Features of audio that nothing was trained for: what an encoding must beat before it is worth its name.

Each is a function of clips `[B, T, C]` to features `[B, D]`, as an encoder is. All are fitted on training clips alone,
and all get the very inputs that the encoders get (the reference alone, or input and reference).
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp
from dafxvae.audio.mel import FULL_HOP, FULL_SIZE, POWER_FLOOR, full_band_log_mel, mel_mean_and_deviation
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng

ClipFeature = Callable[[np.ndarray], np.ndarray]  # [B, T, C] -> [B, D]
RAW_SIZE, RAW_HOP = 1024, 512  # of the raw spectrogram of the PCA
NUM_COMPONENTS = 128
LEVEL_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
LEVEL_FRAME = 1024
COLUMN_BLOCK = 8192  # of the raw spectrogram at a time, to bound the memory of a product


@jax.jit
def raw_log_magnitude(audio: Array) -> Array:
    """Natural log power of the channels' mean, flattened; `[B, T, C] -> [B, N * (RAW_SIZE // 2 + 1)]` float16."""
    power = dsp.power_spectrogram(audio.mean(-1), RAW_SIZE, RAW_HOP) * (4.0 / RAW_SIZE) ** 2
    return jnp.log(power + POWER_FLOOR).reshape(len(audio), -1).astype(jnp.float16)


class PCA(NamedTuple):
    """Principal components of flattened raw spectrograms, as ND's baseline."""

    mean: np.ndarray  # [D]
    components: np.ndarray  # [D, P], of unit length

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """`[B, T, C] -> [B, P]`."""
        return (np.asarray(raw_log_magnitude(audio)).astype(np.float32) - self.mean) @ self.components


def fit_pca(clips: Iterable[np.ndarray], num_components: int = NUM_COMPONENTS) -> PCA:
    """Exact PCA by the Gram matrix of the clips (fewer clips than cells; Turk & Pentland 1991, section 2.3).

    Args:
        clips: batches `[B, T, C]` of training clips, more than `num_components` in all (fewer give fewer components).
        num_components: P.
    """
    raw = np.concatenate([np.asarray(raw_log_magnitude(batch)) for batch in clips])
    if len(raw) < 2:
        raise UserError(f"PCA of {len(raw)} clips: give at least two")
    mean = raw.mean(0, dtype=np.float32)
    blocks = [slice(start, start + COLUMN_BLOCK) for start in range(0, raw.shape[1], COLUMN_BLOCK)]
    gram = np.zeros((len(raw), len(raw)))
    for block in blocks:
        centred = raw[:, block].astype(np.float32) - mean[block]
        gram += centred @ centred.T
    values, vectors = np.linalg.eigh(gram)
    count = min(num_components, len(raw) - 1)
    order = np.argsort(values)[::-1][:count]
    scale = np.sqrt(np.maximum(values[order], 1e-6))
    coefficients = (vectors[:, order] / scale).astype(np.float32)
    components = np.concatenate([(raw[:, b].astype(np.float32) - mean[b]).T @ coefficients for b in blocks])
    return PCA(mean, components)


def random_mel(audio: np.ndarray, sample_rate: int, seed: int = 0) -> np.ndarray:
    """The flattened log-mel through a fixed Gaussian matrix, DST's baseline; `[B, T, C] -> [B, NUM_COMPONENTS]`."""
    cells = np.asarray(full_band_log_mel(audio, sample_rate)).reshape(len(audio), -1)
    return cells @ _gaussian_matrix(cells.shape[1], seed)


@lru_cache(maxsize=2)
def _gaussian_matrix(rows: int, seed: int) -> np.ndarray:
    matrix = host_rng(seed, "latent/random_mel").standard_normal((rows, NUM_COMPONENTS), np.float32)
    return matrix / np.sqrt(np.float32(rows))


def k_weighting_db(frequency_hz: np.ndarray) -> np.ndarray:
    """Gain of BS.1770's two filters, from their analogue forms: a 4 dB shelf above 1.7 kHz and a 38 Hz high-pass.

    A frequency response is all that is needed here; it agrees with the digital filters at 48 kHz within .3 dB below
    10 kHz.
    """
    s = 1j * np.maximum(frequency_hz, 1e-3)
    shelf_hz, shelf_q, gain = 1681.97, 0.7072, 10 ** (3.99984 / 20)
    ratio = s / shelf_hz
    shelf = (gain * ratio**2 + gain**0.4996 / shelf_q * ratio + 1) / (ratio**2 + ratio / shelf_q + 1)
    low_hz, low_q = 38.135, 0.5003
    ratio = s / low_hz
    high_pass = ratio**2 / (ratio**2 + ratio / low_q + 1)
    return 20.0 * np.log10(np.abs(shelf * high_pass))


@partial(jax.jit, static_argnums=1)
def _loudness(audio: Array, sample_rate: int) -> Array:
    power = dsp.power_spectrogram(audio.mean(-1), FULL_SIZE, FULL_HOP) * (4.0 / FULL_SIZE) ** 2
    weights = 10.0 ** (k_weighting_db(np.arange(FULL_SIZE // 2 + 1) * sample_rate / FULL_SIZE) / 10.0)
    loudness = 10.0 * jnp.log10((power @ jnp.asarray(weights, jnp.float32)) + POWER_FLOOR)
    samples = audio[:, : audio.shape[1] // LEVEL_FRAME * LEVEL_FRAME]
    frames = samples.reshape(len(audio), -1, LEVEL_FRAME * audio.shape[2])
    level = 10.0 * jnp.log10(jnp.mean(frames**2, -1) + POWER_FLOOR)
    crest = 20.0 * jnp.log10(jnp.max(jnp.abs(frames), -1) + 1e-5) - level
    columns = [
        jnp.stack([dsp.rms_db(audio), dsp.peak_db(audio), dsp.crest_db(audio)]),
        10.0 * jnp.log10(jnp.mean(10.0 ** (loudness / 10.0), -1))[None],
        jnp.std(loudness, -1)[None],
        jnp.quantile(level, jnp.asarray(LEVEL_QUANTILES), axis=-1),
        jnp.mean(crest, -1)[None],
        jnp.std(level, -1)[None],
        jnp.mean(jnp.abs(jnp.diff(level, axis=-1)), -1)[None],
    ]
    return jnp.concatenate(columns).T


def loudness(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level and dynamics alone, in dB; `[B, T, C] -> [B, 15]`.

    RMS, peak, crest factor, K-weighted loudness (ungated) and its deviation, quantiles of the frame levels, mean crest
    factor of frames, deviation and mean step of the frame levels.
    """
    return np.asarray(_loudness(audio, sample_rate))


def baselines(sample_rate: int, pca: PCA, seed: int = 0) -> dict[str, ClipFeature]:
    """Every baseline by name."""
    return {
        "PCA-128": pca,
        "random mel": lambda audio: random_mel(audio, sample_rate, seed),
        "loudness": lambda audio: loudness(audio, sample_rate),
        "mel statistics": lambda audio: mel_mean_and_deviation(audio, sample_rate),
    }
