"""Distances between spectra: MRSTFT, MSD and SCE, on the device. See docs/evaluation.md for sources and differences."""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp, losses

BATCH = 16
MEL_SIZE, NUM_MELS = 65536, 128  # of the MSD; the hop is the window
CENTROID_SIZE, CENTROID_HOP = 2048, 512
_jitted_mrstft = jax.jit(losses.multi_resolution_stft, static_argnums=2)  # one compilation for all methods of a table


def fitting_sizes(num_samples: int) -> tuple[int, ...]:
    """The resolutions of the MRSTFT whose reflected edges fit into a clip (size < 2 T)."""
    return tuple(size for size in losses.EVALUATION_SIZES if size // 2 < num_samples)


def mrstft(output: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The field's multi-resolution STFT distance of each pair of clips; `[B, T, C] -> [B]`, in batches on the device.

    Resolutions whose reflected edges would not fit into the clip (size > 2 T) are left out.
    """
    sizes = fitting_sizes(output.shape[1])
    parts = [
        np.asarray(_jitted_mrstft(output[start : start + BATCH], target[start : start + BATCH], sizes))
        for start in range(0, len(output), BATCH)
    ]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def slaney_filterbank(sample_rate: int, size: int, num_mels: int) -> np.ndarray:
    """Slaney's mel filters of unit area from 0 Hz to half the rate, as librosa's and auraloss's default.

    Linear below 1 kHz, logarithmic above (Slaney 1998, Auditory Toolbox).

    Returns:
        float32 `[size // 2 + 1, num_mels]`.
    """
    step_hz, corner_hz, log_step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    corner = corner_hz / step_hz
    top = corner + np.log(sample_rate / 2.0 / corner_hz) / log_step
    mels = np.linspace(0.0, top, num_mels + 2)
    edges_hz = np.where(mels < corner, mels * step_hz, corner_hz * np.exp(log_step * (mels - corner)))
    bins_hz = np.arange(size // 2 + 1)[:, None] * sample_rate / size
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area).astype(np.float32)


class _Spectra(NamedTuple):
    """What is compared of one clip."""

    magnitudes: list[Array]  # [C, N, F] of each resolution
    mel: Array  # [C, N, F]; nan where the clip is too short
    centroid_hz: Array  # []


def _centroid_hz(signal: Array, sample_rate: int) -> Array:
    """Mean over the sounding frames of the spectral centroid; `[C, T] -> []`, nan where no frame sounds."""
    if signal.shape[1] <= CENTROID_SIZE // 2:
        return jnp.asarray(jnp.nan)
    magnitude = jnp.sqrt(dsp.power_spectrogram(signal, CENTROID_SIZE, CENTROID_HOP))
    bins_hz = jnp.arange(CENTROID_SIZE // 2 + 1) * (sample_rate / CENTROID_SIZE)
    total = magnitude.sum(-1)  # [C, N]
    sounding = total > 0.0
    centroid = (magnitude @ bins_hz) / jnp.where(sounding, total, 1.0)
    return jnp.where(sounding, centroid, 0.0).sum() / sounding.sum()


def _log_linear(x: Array) -> Array:
    """Mean |log X - log Y| + mean |X - Y| of each of `[M, ...]` against the last one; `[M - 1]`."""
    logs = jnp.log(x)
    difference = jnp.abs(logs[:-1] - logs[-1:]) + jnp.abs(x[:-1] - x[-1:])
    return difference.reshape(len(difference), -1).mean(-1)


@partial(jax.jit, static_argnums=2)
def _distances(clips: Array, filters: Array, sample_rate: int) -> tuple[Array, Array, Array]:
    """MRSTFT, MSD and SCE of `[M + 1, T, C]` against the last one; `[M]` each."""
    sizes = fitting_sizes(clips.shape[1])

    def describe(signal: Array) -> _Spectra:  # of a clip alone: products of matrices round by the row that they are in
        mel = jnp.asarray(jnp.nan)
        if signal.shape[1] > MEL_SIZE // 2:
            mel = dsp.magnitude_spectrogram(signal, MEL_SIZE, MEL_SIZE) @ filters
        magnitudes = [dsp.magnitude_spectrogram(signal, size, size // 2) for size in sizes]
        return _Spectra(magnitudes, mel, _centroid_hz(signal, sample_rate))

    found = jax.lax.map(describe, jnp.swapaxes(clips, 1, 2))
    resolutions = jnp.stack([_log_linear(magnitude) for magnitude in found.magnitudes])
    return resolutions.mean(0), _log_linear(found.mel), jnp.abs(found.centroid_hz[:-1] - found.centroid_hz[-1])


def spectral_scores(outputs: np.ndarray, target: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
    """Spectral distances of several outputs to one target, whose spectra are computed once.

    MRSTFT is `losses.multi_resolution_stft`. MSD is mean |log X - log Y| + mean |X - Y| of mel magnitudes (window and
    hop 65536, 128 Slaney bands); nan for clips up to 32768 samples. SCE is the absolute difference of the two mean
    spectral centroids in Hz (window 2048, hop 512); nan where one of the two is silent throughout.

    Args:
        outputs: float32 `[M, T, C]`, finite.
        target: float32 `[T, C]`.
        sample_rate: Hz.

    Returns:
        "MRSTFT", "MSD" and "SCE", each float64 `[M]`; exactly 0 for equal sounds.

    References:
        Steinmetz, Bryan & Reiss 2022 (DeepAFx-ST), section 4.
    """
    if outputs.shape[1:] != target.shape or target.ndim != 2:
        raise ValueError(f"scores need [M, T, C] and [T, C], got {outputs.shape} and {target.shape}")
    clips = np.concatenate([outputs, target[None]])
    filters = slaney_filterbank(sample_rate, MEL_SIZE, NUM_MELS)
    values = _distances(clips, filters, sample_rate)
    return {name: np.asarray(value, np.float64) for name, value in zip(("MRSTFT", "MSD", "SCE"), values)}
