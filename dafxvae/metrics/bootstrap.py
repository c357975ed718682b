"""Bootstrap intervals of means and of ratios of means."""

from typing import NamedTuple

import numpy as np

from dafxvae.core.rng import host_rng


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


def bootstrap_ratio(ours: np.ndarray, theirs: np.ndarray, *, seed: int = 0, num_resamples: int = 2000) -> Interval:
    """Ratio of two means over the same items, by the percentile bootstrap of items.

    Args:
        ours, theirs: `[B]`, finite, `theirs` with a mean above zero.
        seed: of the resampling.
        num_resamples: bootstrap samples; those in which `theirs` is all zero are left out.
    """
    if ours.shape != theirs.shape or not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        raise ValueError(f"bootstrap_ratio needs finite values of one shape, got {ours.shape} and {theirs.shape}")
    if not theirs.mean() > 0.0:
        raise ValueError(f"bootstrap_ratio: the mean of the lower part is {theirs.mean()}, not above zero")
    rows = host_rng(seed, "bootstrap").integers(0, len(ours), (num_resamples, len(ours)))
    above, below = ours[rows].mean(1), theirs[rows].mean(1)
    low, high = np.percentile(above[below > 0.0] / below[below > 0.0], (2.5, 97.5))
    return Interval(float(ours.mean() / theirs.mean()), float(low), float(high))
