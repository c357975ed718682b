"""Scores of finished sounds, with their uncertainty."""

from typing import NamedTuple

import jax
import numpy as np

from dafxvae import losses
from dafxvae.rng import host_rng

BATCH = 16
_jitted_mrstft = jax.jit(losses.multi_resolution_stft, static_argnums=2)  # one compilation for all methods of a table


def mrstft(output: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The field's multi-resolution STFT distance of each pair of clips; `[B, T, C] -> [B]`, in batches on the device.

    Resolutions whose reflected edges would not fit into the clip (size > 2 T) are left out.
    """
    sizes = tuple(size for size in losses.EVALUATION_SIZES if size // 2 < output.shape[1])
    parts = [
        np.asarray(_jitted_mrstft(output[start : start + BATCH], target[start : start + BATCH], sizes))
        for start in range(0, len(output), BATCH)
    ]
    return np.concatenate(parts)


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(values: np.ndarray, *, seed: int = 0, num_resamples: int = 2000) -> Interval:
    """Percentile bootstrap of the mean (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: `[B]`, finite, at least one.
        seed: of the resampling.
        num_resamples: bootstrap samples.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"bootstrap_interval needs finite values, got {values}")
    rows = host_rng(seed, "bootstrap").integers(0, len(values), (num_resamples, len(values)))
    low, high = np.percentile(values[rows].mean(1), (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))
