"""Audio losses. Each takes output and target `[B, T, C]` and returns `[B]`; the caller reduces; 0 for equal sounds."""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp, features
from dafxvae.core.arguments import check_rate

EVALUATION_SIZES = (32, 128, 512, 2048, 8192, 32768)  # the field's MRSTFT (DeepAFx-ST, table 1)

AudioLoss = Callable[[Array, Array], Array]


def check_shapes(output: Array, target: Array) -> None:
    """Raises ValueError unless both are `[B, T, C]` of one shape: a loss never broadcasts."""
    if output.shape != target.shape or output.ndim != 3:
        raise ValueError(f"a loss needs two [B, T, C] of one shape, got {output.shape} and {target.shape}")


def mean_absolute_error(output: Array, target: Array) -> Array:
    """L1 over samples and channels; `[B]`."""
    check_shapes(output, target)
    return jnp.mean(jnp.abs(output - target), axis=(1, 2))


def multi_resolution_stft(output: Array, target: Array, sizes: Sequence[int] = EVALUATION_SIZES) -> Array:
    """Multi-resolution STFT distance, channels as further frames.

    Per resolution mean |log X - log Y| + mean |X - Y| with X = sqrt(max(|STFT|^2, 1e-8)), hop half of the size, Hann
    window of the full size; then the mean over resolutions. A size too long for the clip raises.

    Args:
        output, target: `[B, T, C]`.
        sizes: window lengths in samples.

    Returns:
        `[B]`, >= 0.

    References:
        Yamamoto et al. 2020 (Parallel WaveGAN), eq. 4-6, without the spectral convergence term; Steinmetz et al. 2022
        (DeepAFx-ST), section 4.
    """
    check_shapes(output, target)
    first, second = jnp.swapaxes(output, 1, 2), jnp.swapaxes(target, 1, 2)  # [B, C, T]
    total = jnp.zeros(output.shape[0], output.dtype)
    for size in sizes:
        x, y = (dsp.magnitude_spectrogram(signal, size, size // 2) for signal in (first, second))
        total += jnp.mean(jnp.abs(jnp.log(x) - jnp.log(y)) + jnp.abs(x - y), axis=(1, 2, 3))
    return total / len(sizes)


def feature_distance(feature: features.Feature, sample_rate: int, output: Array, target: Array) -> Array:
    """Distance of two sounds in a feature of `dafxvae.audio.features`; `[B]`."""
    check_shapes(output, target)
    return features.distance(feature(output, sample_rate), feature(target, sample_rate))


def make_audio_loss(
    weights: Mapping[str, float], stft_sizes: Sequence[int], sample_rate: int
) -> Callable[[Array, Array], tuple]:
    """Weighted sum of audio losses.

    Args:
        weights: name ("mrstft", "l1", or one of `features.FEATURES`) to weight; a zero weight leaves the loss out.
        stft_sizes: window lengths of "mrstft" in samples.
        sample_rate: in Hz.

    Returns:
        `(output, target) -> (total [B], {name: unweighted loss [B]})`.

    Raises:
        ValueError: an unknown name, a weight that is negative or none, or a size or rate that cannot be.
    """
    if not isinstance(weights, Mapping) or not all(
        isinstance(weight, numbers.Real) and 0 <= weight < math.inf for weight in weights.values()
    ):
        raise ValueError(f"weights {weights!r}: give a mapping of names to finite weights of at least 0")
    sizes = np.asarray(stft_sizes)
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind != "i" or sizes.min() < 2)):
        raise ValueError(f"stft_sizes {stft_sizes!r}: give window lengths in samples, such as (512, 2048)")
    check_rate(sample_rate)
    known: dict[str, AudioLoss] = {
        "mrstft": lambda output, target: multi_resolution_stft(output, target, stft_sizes),
        "l1": mean_absolute_error,
        **{name: partial(feature_distance, feature, sample_rate) for name, feature in features.FEATURES.items()},
    }
    unknown = sorted(set(weights) - set(known))
    if unknown:
        raise ValueError(f"unknown loss {unknown}: choose from {sorted(known)}")
    chosen = {name: weight for name, weight in weights.items() if weight}

    def loss(output: Array, target: Array) -> tuple[Array, dict[str, Array]]:
        terms = {name: known[name](output, target) for name in chosen}
        total = sum((chosen[name] * term for name, term in terms.items()), jnp.zeros(output.shape[0], output.dtype))
        return total, terms

    return loss
