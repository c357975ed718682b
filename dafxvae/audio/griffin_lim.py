"""Fast Griffin-Lim: audio from magnitude spectrograms, by estimating their phases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp
from dafxvae.core.arguments import check_number
from dafxvae.core.errors import UserError

TINY = 1e-16  # added to a modulus before it divides; the phase of a bin that is exactly zero stays zero


def _zero_phases(magnitude: Array) -> Array:
    return jnp.ones_like(magnitude, dtype=jnp.complex64)


def _random_phases(magnitude: Array, keys: Array) -> Array:
    """Phases uniform on the circle, from each example's own key, so that the batch's layout does not matter."""
    turns = jax.vmap(lambda key: jax.random.uniform(key, magnitude.shape[1:]))(keys)
    return jnp.exp(2j * jnp.pi * turns).astype(jnp.complex64)


@partial(jax.jit, static_argnames=("hop", "num_samples", "num_iterations", "momentum"))
def griffin_lim(
    magnitude: Array,
    keys: Array | None = None,
    *,
    hop: int,
    num_samples: int,
    num_iterations: int = 32,
    momentum: float = 0.99,
) -> Array:
    """A signal whose `dsp.stft` has nearly the given magnitudes, by fast Griffin-Lim.

    Args:
        magnitude: |STFT| `[B, N, F]`, not negative, of a window of 2 (F - 1) samples.
        keys: typed PRNG keys `[B]` of random initial phases; None starts at phase zero.
        hop: in samples, divides the window into two parts or more.
        num_samples: T, with N = 1 + T // hop.
        num_iterations: projections onto the consistent spectrograms.
        momentum: alpha in [0, 1); 0 is Griffin & Lim's own algorithm, above it the iterations overshoot and get there
            sooner.

    Returns:
        float32 `[B, T]`, at the level of the magnitudes.

    Raises:
        UserError: a magnitude of another shape, or a number out of range.
        ValueError: sizes that do not belong together (see `dsp.istft`).

    References:
        Griffin & Lim, Signal estimation from modified short-time Fourier transform, 1984.
        Perraudin, Balazs & Søndergaard, A fast Griffin-Lim algorithm, 2013, algorithm 2.
    """
    if getattr(magnitude, "ndim", 0) != 3 or 0 in magnitude.shape or magnitude.shape[-1] < 2:
        raise UserError(f"the magnitude is {np.shape(magnitude)}: give an array [B, N, F]")
    for name, value, least in (("hop", hop, 1), ("num_samples", num_samples, 1), ("num_iterations", num_iterations, 0)):
        check_number(value, name, least)
    check_number(momentum, "momentum, which is less than 1,", 0.0, 1.0 - 1e-9, whole=False)
    size = 2 * (magnitude.shape[-1] - 1)
    # angle(c_n + alpha (c_n - c_{n-1})) = angle(c_n - alpha / (1 + alpha) c_{n-1}): one product less an iteration.
    overshoot = momentum / (1.0 + momentum)
    phases = _zero_phases(magnitude) if keys is None else _random_phases(magnitude, keys)

    def iterate(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        phases, previous = state
        consistent = dsp.stft(dsp.istft(magnitude * phases, hop, num_samples), size, hop)
        moved = consistent - overshoot * previous
        return moved / (jnp.abs(moved) + TINY), consistent

    phases, _ = jax.lax.fori_loop(0, num_iterations, iterate, (phases, jnp.zeros_like(phases)))
    return dsp.istft(magnitude * phases, hop, num_samples)


def spectral_convergence(magnitude: Array, target: Array) -> Array:
    """||magnitude - target|| / ||target|| over frames and bins, `[B]`; 0 is perfect, 20 log10 of it is in dB.

    Args:
        magnitude: `[B, N, F]`.
        target: `[B, N, F]`, not silent.

    Raises:
        ValueError: mismatched shapes.

    References:
        Sturmel & Daudet, Signal reconstruction from STFT magnitude: a state of the art, 2011.
    """
    if magnitude.shape != target.shape:
        raise ValueError(f"spectral_convergence: shapes {magnitude.shape} and {target.shape} differ")
    error = jnp.sqrt(jnp.sum((magnitude - target) ** 2, axis=(-2, -1)))
    return error / jnp.sqrt(jnp.sum(target**2, axis=(-2, -1)))
