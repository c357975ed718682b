"""`Estimator`: the renders, perturbed settings and level of a gradient estimate."""

import numbers
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.core.choices import ESTIMATORS, LEVELS, Estimates, Level
from dafxvae.gradients import probes as draw
from dafxvae.gradients.discrete import Discrete, draw_discrete


@dataclass(frozen=True)
class Estimator:
    """How to estimate the gradient of an effect with respect to its settings.

    Attributes:
        name: "spsa" moves all parameters at once by random signs, two renders a probe; "spsa_one_sided" the same
            against the forward render, one render a probe; "orthogonal" random orthonormal directions and
            "finite_difference" single parameters, both against the forward render and exact to first order with one
            probe per parameter.
        num_probes: differences a step; for the last two at most K count, and 0 means K.
        step_size: how far a parameter moves, in units of its range, up to 1/2; one for all, or one per parameter (0
            holds a parameter still).
        level: "audio" multiplies the loss gradient with the difference of renders; "loss" takes differences of the
            per-example loss, which smooths over rough effects and needs a larger step there.
        two_sided: for the last two names: two renders a probe about the settings, so no second-order bias.
        blocks: for "orthogonal": numbers of parameters of the consecutive effects of a chain; a direction then moves
            one effect only, and the host renders what comes before it once. Empty: one block.
        discrete: switches, choices and stepped knobs among the parameters; they get probes of their own (level "loss"
            only: the loss is no straight line between two values). None: all parameters are continuous.
    """

    name: Estimates = "spsa"
    num_probes: int = 1
    step_size: float | tuple[float, ...] = 1e-3
    level: Level = "audio"
    two_sided: bool = False
    blocks: tuple[int, ...] = ()
    discrete: Discrete | None = None

    def __post_init__(self) -> None:
        try:
            steps = np.atleast_1d(np.asarray(self.step_size, np.float64))
        except (TypeError, ValueError) as error:
            raise ValueError(f"step_size {self.step_size!r}: give a number, or one for each parameter") from error
        if self.name not in ESTIMATORS or self.level not in LEVELS:
            raise ValueError(f"{self.name!r} at level {self.level!r}: choose from {ESTIMATORS}, {LEVELS}")
        least = 0 if self.name in ("orthogonal", "finite_difference") else 1
        if not isinstance(self.num_probes, numbers.Integral) or self.num_probes < least:
            raise ValueError(f"{self.name}: num_probes is {self.num_probes!r}, must be a whole number of at least 1")
        if steps.ndim > 1 or not ((steps >= 0) & (steps <= 0.5)).all() or not steps.any():
            raise ValueError(f"step_size {self.step_size}: must be in (0, 0.5] (0 holds a parameter still)")
        sizes = self.blocks if isinstance(self.blocks, tuple) else (0,)
        if not all(isinstance(size, numbers.Integral) and size > 0 for size in sizes):
            raise ValueError(f"blocks {self.blocks!r}: give numbers of parameters, such as (2, 5)")
        if not isinstance(self.discrete, Discrete | None):
            raise ValueError(f"discrete is {self.discrete!r}: give a Discrete, or None")
        if self.level == "audio" and self.discrete is not None and self.discrete.indices:
            raise ValueError('discrete parameters need level "loss": the loss is no straight line between two values')

    @property
    def is_two_sided(self) -> bool:
        """Whether a probe costs two renders."""
        return self.name == "spsa" or (self.two_sided and self.name != "spsa_one_sided")

    def steps(self, num_params: int) -> np.ndarray:
        """Step size of each parameter, 0 for the discrete ones; float32 `[K]`."""
        steps = np.asarray(self.step_size, np.float32)
        if steps.ndim and steps.shape != (num_params,):
            raise ValueError(f"step_size has {steps.size} entries for {num_params} parameters")
        steps = np.array(np.broadcast_to(steps, num_params))
        if self.discrete is not None:
            steps[[k for k, count in enumerate(self.discrete.num_values) if count]] = 0.0
        return steps

    def probe_count(self, num_params: int) -> int:
        """Number of differences a step that the continuous parameters take."""
        moving = int((self.steps(num_params) > 0).sum())
        if self.name in ("orthogonal", "finite_difference") or not moving:
            return min(self.num_probes or moving, moving)
        return self.num_probes

    def num_renders(self, num_params: int) -> int:
        """Renders an example and step, the forward one included."""
        others = self.discrete.num_renders if self.discrete is not None else 0
        return 1 + self.probe_count(num_params) * (2 if self.is_two_sided else 1) + others


def draw_probes(estimator: Estimator, unit_params: Array, keys: Array) -> draw.Probes:
    """Perturbed settings and weights of a batch; each example's depend on its own key and settings alone.

    Args:
        estimator: which.
        unit_params: `[B, K]`.
        keys: typed PRNG keys `[B]`.

    Returns:
        settings `[B, P, K]`, weights `[B, S, K]`: P - S two-sided probes (all plus, then
        all minus), then one-sided ones.
    """
    is_typed = jnp.issubdtype(getattr(keys, "dtype", np.float32), jax.dtypes.prng_key)
    if getattr(unit_params, "ndim", 0) != 2 or 0 in unit_params.shape or not is_typed or len(keys) != len(unit_params):
        raise ValueError(f"settings {np.shape(unit_params)}, keys {keys!r:.40}: give [B, K], and typed keys [B]")
    num_params = unit_params.shape[-1]
    steps = estimator.steps(num_params)
    moving = np.flatnonzero(steps)
    count = estimator.probe_count(num_params)
    blocks = np.repeat(np.arange(len(estimator.blocks)), estimator.blocks) if estimator.blocks else np.zeros(num_params)
    if len(blocks) != num_params:
        raise ValueError(f"blocks {estimator.blocks} hold {len(blocks)} parameters, the effect has {num_params}")
    same_block = jnp.asarray(blocks[moving][:, None] == blocks[moving][None, :])
    step = jnp.asarray(steps[moving])[None]

    def continuous(key: Array, settings: Array) -> draw.Probes:
        at = settings[moving][None]
        if estimator.name == "spsa":
            found = draw.simultaneous(key, at, step, count)
        elif estimator.name == "spsa_one_sided":
            found = draw.simultaneous_one_sided(key, at, step, count)
        elif estimator.name == "orthogonal":
            found = draw.orthogonal(key, at, step, count, same_block, estimator.two_sided)
        else:
            found = draw.coordinates(key, at, step, count, estimator.two_sided)
        rows = jnp.broadcast_to(settings, (found.settings.shape[0], num_params)).at[:, moving].set(found.settings)
        return draw.Probes(rows, jnp.zeros((count, num_params)).at[:, moving].set(found.weights))

    def one(key: Array, settings: Array) -> draw.Probes:
        found = [continuous(key, settings)] if count else []
        if estimator.discrete is not None and estimator.discrete.indices:
            found.append(draw_discrete(jax.random.fold_in(key, 1), settings, estimator.discrete))
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)

    centre = jnp.clip(jax.lax.stop_gradient(unit_params).astype(jnp.float32), 0.0, 1.0)
    return jax.tree.map(jax.lax.stop_gradient, jax.vmap(one)(keys, centre))
