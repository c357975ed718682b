"""Features of clips without training of a network: the baselines of the probes.

Each maps clips `[B, T, C]` to features `[B, D]`, as an encoder does; PCA is fitted on training clips alone.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.signal import freqz_sos

from dafxvae.audio import dsp
from dafxvae.audio.loudness import k_weighting
from dafxvae.audio.mel import FULL_HOP, FULL_SIZE, POWER_FLOOR, full_band_log_mel, mean_power, mel_mean_and_deviation
from dafxvae.core import optional
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng

ClipFeature = Callable[[np.ndarray], np.ndarray]  # [B, T, C] -> [B, D]
RAW_SIZE, RAW_HOP = 1024, 512  # of the raw spectrogram of the PCA
NUM_COMPONENTS = 128
LEVEL_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
LEVEL_FRAME = 1024


@jax.jit
def raw_log_magnitude(audio: Array) -> Array:
    """Natural log power of the channels' mean, flattened; `[B, T, C] -> [B, N * (RAW_SIZE // 2 + 1)]` float16."""
    power = mean_power(audio, RAW_SIZE, RAW_HOP)
    return jnp.log(power + POWER_FLOOR).reshape(len(audio), -1).astype(jnp.float16)


def fit_pca(clips: Iterable[np.ndarray], num_components: int = NUM_COMPONENTS) -> Any:
    """`sklearn.decomposition.PCA` of the raw spectrograms of batches `[B, T, C]`; fewer clips give fewer components."""
    raw = np.concatenate([np.asarray(raw_log_magnitude(batch)) for batch in clips]).astype(np.float32)
    if len(raw) < 2:
        raise UserError(f"PCA of {len(raw)} clips: give at least two")
    count = min(num_components, len(raw) - 1)
    decomposition = optional.load_sklearn("decomposition", "latent")
    return decomposition.PCA(count, copy=False, svd_solver="arpack", random_state=0).fit(raw)


def random_mel(audio: np.ndarray, sample_rate: int, seed: int = 0) -> np.ndarray:
    """The flattened log-mel through a fixed Gaussian matrix, DST's baseline; `[B, T, C] -> [B, NUM_COMPONENTS]`."""
    cells = np.asarray(full_band_log_mel(audio, sample_rate)).reshape(len(audio), -1)
    return cells @ _gaussian_matrix(cells.shape[1], seed)


@lru_cache(maxsize=2)
def _gaussian_matrix(rows: int, seed: int) -> np.ndarray:
    matrix = host_rng(seed, "latent/random_mel").standard_normal((rows, NUM_COMPONENTS), np.float32)
    return matrix / np.sqrt(np.float32(rows))


def k_weighting_power(sample_rate: int) -> np.ndarray:
    """BS.1770's power gain at the bins of an FFT of `FULL_SIZE`; `[FULL_SIZE // 2 + 1]`."""
    response = np.asarray(freqz_sos(k_weighting(sample_rate), FULL_SIZE, whole=True)[1])
    return np.abs(response[: FULL_SIZE // 2 + 1]) ** 2


@partial(jax.jit, static_argnums=1)
def _loudness(audio: Array, sample_rate: int) -> Array:
    weighted = mean_power(audio, FULL_SIZE, FULL_HOP) @ jnp.asarray(k_weighting_power(sample_rate), jnp.float32)
    loudness = 10.0 * jnp.log10(weighted + POWER_FLOOR)
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


def baselines(sample_rate: int, pca: Any, seed: int = 0) -> dict[str, ClipFeature]:
    """Every baseline by name; `pca` is of `fit_pca`."""
    return {
        "PCA-128": lambda audio: pca.transform(np.asarray(raw_log_magnitude(audio), np.float32)),
        "random mel": lambda audio: random_mel(audio, sample_rate, seed),
        "loudness": lambda audio: loudness(audio, sample_rate),
        "mel statistics": lambda audio: mel_mean_and_deviation(audio, sample_rate),
    }
