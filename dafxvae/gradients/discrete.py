"""Gradients for switches, choices and stepped knobs, which no small step can move.

A discrete parameter with V values sits on the grid j / (V - 1). Its normalised setting u stands for a distribution
p_j(u) over the values, and the gradient is that of the expected loss, `sum_j p_j'(u) loss_j`, with differences against
the forward render (the value nearest to u) as the baseline: `sum_j p_j' = 0`.

- ordered (switches, stepped knobs): linear interpolation between the two values around u; of a switch, u is the
  probability of "on";
- unordered (choices): a Gaussian kernel as wide as the grid's spacing, so that every value is seen from everywhere.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from dafxvae.gradients.probes import Probes

Method = Literal["exhaustive", "score_function"]
EXPLORATION = 0.2  # share of the draws that ignore u, so that no importance weight exceeds V / EXPLORATION


@dataclass(frozen=True)
class Discrete:
    """Which parameters are discrete, and how to estimate their gradients.

    Attributes:
        num_values: one entry per parameter: how many values it takes, 0 for a continuous one.
        unordered: one entry per parameter: True for a choice whose values have no order; empty: none.
        method: "exhaustive" renders the neighbouring value of every ordered parameter and all other values of every
            unordered one; "score_function" draws values of all parameters at once and weighs them by p'/q, where q
            is p mixed with a uniform distribution.
        num_samples: draws of "score_function".
    """

    num_values: tuple[int, ...]
    unordered: tuple[bool, ...] = ()
    method: Method = "exhaustive"
    num_samples: int = 4

    def __post_init__(self) -> None:
        if self.method not in get_args(Method) or self.num_samples < 1:
            raise ValueError(f"{self.method!r} with {self.num_samples} samples: choose from {get_args(Method)}, >= 1")
        if self.unordered and len(self.unordered) != len(self.num_values):
            raise ValueError(f"unordered has {len(self.unordered)} entries for {len(self.num_values)} parameters")

    @property
    def indices(self) -> tuple[int, ...]:
        """Of the discrete parameters; one with a single value is a constant."""
        return tuple(k for k, count in enumerate(self.num_values) if count > 1)

    def is_unordered(self, k: int) -> bool:
        """Whether parameter `k` is a choice (of two values, both relaxations would do: it counts as a switch)."""
        return bool(self.unordered) and self.unordered[k] and self.num_values[k] > 2

    @property
    def num_renders(self) -> int:
        """Renders an example and step, besides the forward one."""
        if self.method == "score_function":
            return self.num_samples if self.indices else 0
        return sum(self.num_values[k] - 1 if self.is_unordered(k) else 1 for k in self.indices)


def probabilities(u: Array, num_values: int, unordered: bool) -> Array:
    """p_j(u) of the values of one parameter; scalar -> `[V]`."""
    grid = jnp.arange(num_values, dtype=jnp.float32)
    distance = u * (num_values - 1) - grid
    if unordered:
        return jax.nn.softmax(-0.5 * distance**2)
    return jnp.maximum(0.0, 1.0 - jnp.abs(distance))


def choice_slopes(u: Array, num_values: int, unordered: bool) -> Array:
    """p_j'(u); scalar -> `[V]`. At a value of an ordered parameter, the slope towards the next one above."""
    last = num_values - 1
    if unordered:
        return jax.jacfwd(lambda at: probabilities(at, num_values, True))(u)
    low = jnp.clip(jnp.floor(u * last), 0, last - 1).astype(jnp.int32)
    return float(last) * (jax.nn.one_hot(low + 1, num_values) - jax.nn.one_hot(low, num_values))


def nearest(u: Array, num_values: int) -> Array:
    """Index of the value that the host renders; int32."""
    return jnp.floor(jnp.clip(u, 0.0, 1.0) * (num_values - 1) + 0.5).astype(jnp.int32)


def draw_discrete(key: Array, settings: Array, discrete: Discrete) -> Probes:
    """What to render besides the forward settings, for one example.

    Args:
        key: a PRNG key; only the score function draws.
        settings: `[K]` in [0, 1].
        discrete: the description.

    Returns:
        settings `[P, K]` and weights `[P, K]` of the differences to the forward render.
    """
    size = settings.shape[0]
    if len(discrete.num_values) != size:
        raise ValueError(f"num_values has {len(discrete.num_values)} entries for {size} parameters")
    if discrete.method == "score_function":
        return _score_function(key, settings, discrete)
    rows, weights = [], []
    for k in discrete.indices:
        count = discrete.num_values[k]
        slope, here = choice_slopes(settings[k], count, discrete.is_unordered(k)), nearest(settings[k], count)
        if discrete.is_unordered(k):
            others = (here + 1 + jnp.arange(count - 1)) % count
        else:
            low = jnp.clip(jnp.floor(settings[k] * (count - 1)), 0, count - 2).astype(jnp.int32)
            others = (2 * low + 1 - here)[None]  # the other end of the interval around u
        repeated = jnp.broadcast_to(settings, (others.shape[0], size))
        rows.append(repeated.at[:, k].set(others / (count - 1)))
        weights.append(jnp.zeros_like(repeated).at[:, k].set(slope[others]))
    return Probes(jnp.concatenate(rows), jnp.concatenate(weights))


def _score_function(key: Array, settings: Array, discrete: Discrete) -> Probes:
    samples = discrete.num_samples
    rows = jnp.broadcast_to(settings, (samples, settings.shape[0]))
    weights = jnp.zeros_like(rows)
    for k, subkey in zip(discrete.indices, jax.random.split(key, len(discrete.indices))):
        count = discrete.num_values[k]
        slope = choice_slopes(settings[k], count, discrete.is_unordered(k))
        support = (slope != 0).astype(jnp.float32)
        p = probabilities(settings[k], count, discrete.is_unordered(k))
        q = (1 - EXPLORATION) * p + EXPLORATION * support / support.sum()
        drawn = jax.random.categorical(subkey, jnp.log(q), shape=(samples,))
        rows = rows.at[:, k].set(drawn / (count - 1))
        weights = weights.at[:, k].set(slope[drawn] / q[drawn] / samples)
    return Probes(rows, weights)
