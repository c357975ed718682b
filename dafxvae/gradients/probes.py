"""Perturbed settings of each estimator, and the weights that turn differences into a gradient.

Every estimator here is linear in the differences that it takes: `gradient[k] = sum_s weights[s, k] * difference[s]`,
where a difference is between the two renders of a probe (two-sided) or between a probe and the forward render.
All functions work on one example: `settings` and `step` are rows `[1, K]`; K counts the parameters that move.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Probes(NamedTuple):
    """Perturbed settings that a step renders besides the forward ones, and the weights of their differences."""

    settings: Array  # [P, K] perturbed settings in [0, 1]; both ends of two-sided probes: all plus, then all minus
    weights: Array  # [S, K] of the S differences


def safe_inverse(x: Array) -> Array:
    """1 / x, and 0 where x is 0 (a parameter that did not move gets no weight)."""
    return jnp.where(x == 0, 0.0, 1.0 / jnp.where(x == 0, 1.0, x))


def both_sides(settings: Array, step: Array, directions: Array) -> tuple[Array, Array]:
    """Two renders a probe, about a centre that keeps both of them inside [0, 1].

    Near a bound the centre moves inwards by at most one step, so every displacement keeps its full length and sign:
    no probe is clipped, and no parameter's noise is amplified.

    Args:
        settings: `[1, K]` in [0, 1].
        step: `[1, K]`, at most 1/2.
        directions: `[S, K]`, entries in [-1, 1].

    Returns:
        the rows of all plus, then of all minus `[2 S, K]`, and the displacements `[S, K]` as rounding left them.
    """
    centre = jnp.clip(settings, step, 1.0 - step)
    plus, minus = centre + step * directions, centre - step * directions
    return jnp.concatenate([plus, minus]), plus - minus


def near_bound(settings: Array, step: Array) -> Array:
    """True where a step would leave [0, 1] on one of the sides; `[1, K]`."""
    return (settings - step < 0) | (settings + step > 1)


def inward(settings: Array) -> Array:
    """The sign that leads away from the nearer bound; `[1, K]`."""
    return jnp.where(settings > 0.5, -1.0, 1.0)


def simultaneous(key: Array, settings: Array, step: Array, num_probes: int) -> Probes:
    """SPSA: every parameter moves at once by a random sign, both ways.

    References:
        Spall 1992, "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation".
    """
    signs = jax.random.rademacher(key, (num_probes, settings.shape[1]), jnp.float32)
    rows, taken = both_sides(settings, step, signs)
    return Probes(rows, safe_inverse(taken) / num_probes)


def simultaneous_one_sided(key: Array, settings: Array, step: Array, num_probes: int) -> Probes:
    """SPSA from the forward render: one render a probe.

    A parameter within a step of a bound cannot take a random sign; were it always moved inwards, two such parameters
    would add each other's slope to their own. It moves inwards or stays, at random, and its weight is the deviation
    from its mean displacement over the variance of the displacement: unbiased to first order everywhere.
    """
    signs = jax.random.rademacher(key, (num_probes, settings.shape[1]), jnp.float32)
    at_bound = near_bound(settings, step)
    towards = inward(settings) * signs / 2  # mean 0, variance 1/4, in steps
    displacement = jnp.where(at_bound, towards + inward(settings) / 2, signs) * step
    weights = jnp.where(at_bound, 4.0 * towards, signs) * safe_inverse(step) / num_probes
    return Probes(settings + displacement, weights)


def orthogonal(key: Array, settings: Array, step: Array, num_probes: int, same_block: Array, two_sided: bool) -> Probes:
    """`num_probes` <= K random orthonormal directions: exact to first order when there are K of them.

    Directions have unit length in steps, so no parameter moves further than its step. A parameter near a bound gets a
    direction of its own, inwards, so one-sided probes stay in range and orthogonal.

    Args:
        key: a PRNG key.
        settings: `[1, K]` in [0, 1].
        step: `[1, K]`.
        num_probes: S.
        same_block: bool `[K, K]`; only parameters of the same block share a direction.
        two_sided: two renders a probe instead of one.

    References:
        Berahas et al. 2022, "A theoretical and empirical comparison of gradient approximations in derivative-free
        optimization"; Choromanski et al. 2018, "Structured evolution with compact architectures".
    """
    size = settings.shape[1]
    key_normal, key_order = jax.random.split(key)
    alone = jnp.zeros((1, size), bool) if two_sided else near_bound(settings, step)
    shared = (same_block & ~alone & ~alone.T) | jnp.eye(size, dtype=bool)
    normal = jax.random.normal(key_normal, (size, size), jnp.float32)
    columns, _ = jnp.linalg.qr(jnp.where(shared, normal, 0.0))  # QR keeps the groups apart
    directions = jax.random.permutation(key_order, jnp.where(shared, columns, 0.0).T, axis=0)[:num_probes]
    scale = size / num_probes
    if two_sided:
        rows, _ = both_sides(settings, step, directions)
        return Probes(rows, scale / 2 * directions * safe_inverse(step))
    directions = jnp.where(alone, jnp.abs(directions) * inward(settings), directions)
    return Probes(settings + step * directions, scale * directions * safe_inverse(step))


def coordinates(key: Array, settings: Array, step: Array, num_probes: int, two_sided: bool) -> Probes:
    """One parameter a probe, away from the nearer bound; `num_probes` < K of them drawn without replacement."""
    size = settings.shape[1]
    chosen = jax.random.permutation(key, size)[:num_probes]
    directions = jax.nn.one_hot(chosen, size, dtype=jnp.float32)
    if two_sided:
        rows, taken = both_sides(settings, step, directions)
        # the centre of an unmoved parameter is its setting: a coordinate's probe must not shift the others
        rows = jnp.where(jnp.concatenate([directions, directions]) == 0, settings, rows)
    else:
        rows = settings + step * directions * inward(settings)
        taken = rows - settings
    return Probes(rows, size / num_probes * jnp.where(directions == 0, 0.0, safe_inverse(taken)))
