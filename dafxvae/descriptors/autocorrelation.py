"""Autocorrelation of a compressed spectrum, in which echoes and combs stand out; shared by several descriptors.

References:
    Bogert, Healy & Tukey 1963 (echoes in a compressed spectrum); Lim 1979 (root instead of logarithm).
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

LAG_RATE = 24000  # Hz, rate at which lags are sampled at any sample rate; frequencies above half of it are not used
ROOT = 1 / 12  # of the power: flat enough that an echo's comb outweighs formants, without a logarithm's noise in gaps
SHORT_SEC = (0.001, 0.035)  # combs of choruses and flangers


def root_autocorrelation(power: Array, sample_rate: int, num_lags: int) -> Array:
    """Autocorrelation of the signal whose power spectrum is power**`ROOT`; `[..., F] -> [..., num_lags]`.

    It is 1 at lag 0 and does not depend on the gain. Lags at `LAG_RATE`; 0 for silence and beyond the longest lag.
    """
    num_bins = round((power.shape[-1] - 1) * LAG_RATE / sample_rate) + 1
    power = power[..., :num_bins]
    power = jnp.pad(power, [(0, 0)] * (power.ndim - 1) + [(0, num_bins - power.shape[-1])])
    relative = power / (power.mean(-1, keepdims=True) + 1e-12)  # the epsilon keeps silence finite
    lags = jnp.fft.irfft((relative + 1e-6) ** ROOT)
    lags = lags[..., : min(num_lags, lags.shape[-1] // 2)] / lags[..., :1]
    return jnp.pad(lags, [(0, 0)] * (lags.ndim - 1) + [(0, num_lags - lags.shape[-1])])


def short_lags(power: Array, sample_rate: int) -> Array:
    """Root autocorrelation of every frame over `SHORT_SEC`; `[B, N, F] -> [B, N, L]`."""
    first, last = lag_edges(SHORT_SEC, 1)
    return root_autocorrelation(power, sample_rate, int(last))[..., first:]


def lag_edges(range_sec: tuple[float, float], count: int) -> np.ndarray:
    """`count + 1` edges in lags, spaced by a constant ratio."""
    return np.round(np.geomspace(*range_sec, count + 1) * LAG_RATE).astype(int)


def lag_bands(edges: np.ndarray, num_lags: int) -> np.ndarray:
    """Which lags lie between neighbouring edges; bool `[len(edges) - 1, num_lags]`."""
    places = np.arange(num_lags)[None]
    return (places >= edges[:-1, None]) & (places < edges[1:, None])


def strongest(lags: Array, edges: np.ndarray) -> Array:
    """Greatest magnitude between neighbouring edges; `[B, L] -> [B, len(edges) - 1]`."""
    inside = jnp.asarray(lag_bands(edges, lags.shape[-1]))
    return jnp.max(jnp.where(inside[None], jnp.abs(lags)[:, None], 0.0), -1)
