"""Common parts of the beta-VAEs: posterior, sample and divergence, in one consistent unit.

All terms are in nats per example: the likelihood summed over the data dimensions, the KL divergence over the latent
ones. `beta = 1` is then the ELBO, and a beta found at one size of spectrogram means the same at another.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Posterior(NamedTuple):
    """Diagonal Gaussian q(z|x)."""

    mean: Array  # [..., Z]
    log_variance: Array  # [..., Z]


def sample(posterior: Posterior, keys: Array) -> Array:
    """One reparameterised draw per example, from the example's own key (the batch's layout does not matter).

    Args:
        posterior: `[B, ..., Z]`.
        keys: typed PRNG keys `[B]`.
    """
    noise = jax.vmap(lambda key: jax.random.normal(key, posterior.mean.shape[1:], posterior.mean.dtype))(keys)
    return posterior.mean + jnp.exp(0.5 * posterior.log_variance) * noise


def kl_per_dimension(posterior: Posterior) -> Array:
    """KL(q(z|x) || N(0, 1)) of each latent dimension in nats, `[..., Z]` (Kingma & Welling 2014, appendix B)."""
    mean, log_variance = posterior
    return 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1.0)


def sum_per_example(values: Array) -> Array:
    """Sum over every axis but the first, `[B]`."""
    return jnp.sum(values, axis=tuple(range(1, values.ndim)))


def gaussian_nll(data: Array, reconstruction: Array) -> Array:
    """-log N(data; reconstruction, 1) without its constant, summed over the data dimensions, `[B]`.

    The data are standardised, so a unit variance of the observation noise is the scale at which beta counts.
    """
    return 0.5 * sum_per_example((data - reconstruction) ** 2)
