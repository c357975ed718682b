"""Mel bands: their centres and filters. Free of jax, so that what measures sound on the host starts without it."""

from functools import lru_cache

import numpy as np


def hz_to_mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """HTK mel scale, 2595 log10(1 + f / 700)."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency_hz) / 700.0)


def _edges_hz(num_mels: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Where the bands begin, have their centres and end; `[num_mels + 2]`."""
    edges_mel = np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), num_mels + 2)
    return 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)


def mel_centres_hz(num_mels: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Centres of the bands of `mel_filterbank`; `[num_mels]`."""
    return _edges_hz(num_mels, low_hz, high_hz)[1:-1]


@lru_cache(maxsize=32)
def mel_filterbank(sample_rate: int, size: int, num_mels: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Triangular HTK mel filters, each of unit sum, so that a band is the mean power of its bins at any sample rate.

    Args:
        sample_rate: in Hz; `high_hz` must not exceed half of it.
        size: FFT length in samples.
        num_mels: number of bands F.
        low_hz, high_hz: outer edges of the first and last band.

    Returns:
        float32 `[size // 2 + 1, num_mels]`, the same array every time: read-only.

    Raises:
        ValueError: `high_hz` above the Nyquist frequency.
    """
    if high_hz > sample_rate / 2:
        raise ValueError(f"mel_filterbank: high_hz {high_hz} is above half of the sample rate {sample_rate}")
    edges_hz = _edges_hz(num_mels, low_hz, high_hz)
    bins_hz = np.arange(size // 2 + 1) * sample_rate / size
    # A low band may be narrower than one bin: it is widened to two bins, so that none is empty.
    bin_hz = sample_rate / size
    lower = np.minimum(edges_hz[:-2], edges_hz[1:-1] - bin_hz)
    upper = np.maximum(edges_hz[2:], edges_hz[1:-1] + bin_hz)
    rising = (bins_hz[:, None] - lower) / (edges_hz[1:-1] - lower)
    falling = (upper - bins_hz[:, None]) / (upper - edges_hz[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    filters = (weights / weights.sum(0)).astype(np.float32)
    filters.setflags(write=False)
    return filters


def sum_into_bands(power: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """`power @ filters`, `[..., bins]` with `[bins, bands]`, of filters that are narrow: no product with zeros.

    A product of matrices takes BLAS, whose threads wait for each other where the cores have other work.
    """
    found = np.empty((*power.shape[:-1], filters.shape[1]), np.float32)
    for band, weights in enumerate(filters.T):
        own = np.flatnonzero(weights)
        place = slice(own[0], own[-1] + 1)
        found[..., band] = np.einsum("...f,f->...", power[..., place], weights[place])
    return found
