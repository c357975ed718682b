"""The KL term of a beta-VAE and its schedules."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from dafxvae.config import Config
from dafxvae.core.choices import SCHEDULES

ACTIVE_NATS = 0.01  # mean KL above which a dimension carries anything (the threshold of Burda et al. 2016, in nats)
KlPenalty = Callable[[Array, Any], Array]


def make_kl_penalty(config: Config, num_steps: int) -> KlPenalty:
    """The weighted KL term of an objective.

    Units: nats per example. The KL is summed over the latent dimensions (and frames) of an example and averaged over
    the batch, as the likelihood is summed over the data dimensions: `beta = 1` is the ELBO.

    Args:
        config: `schedule`, one of
            "constant": beta at every step (Higgins et al. 2017, eq. 4);
            "linear": from 0 to beta over `warmup_share` of the steps (Bowman et al. 2016);
            "cyclic": `cycles` times, from 0 to beta over `warmup_share` of a cycle, then constant (Fu et al. 2019,
                eq. 6-7: from low up);
            "capacity": beta |KL - C|, with C from 0 to `capacity_nats` over `warmup_share` of the steps (Burgess et al.
                2018, eq. 8);
            `beta`, >= 0; `free_nats`, >= 0: a dimension pays only for what it carries beyond them, on the example
            (Kingma et al. 2016, free bits; 0 for none).
        num_steps: of the training.

    Returns:
        `(kl [B, ..., Z] in nats, step) -> penalty [B]`.

    Raises:
        ValueError: an unknown schedule, or a number out of range.
    """
    if config.schedule not in SCHEDULES:
        raise ValueError(f"KL schedule {config.schedule!r}: choose from {', '.join(SCHEDULES)}")
    if min(config.beta, config.free_nats, config.capacity_nats) < 0 or not 0 < config.warmup_share <= 1:
        raise ValueError(f"{config}: beta, free_nats and capacity_nats are >= 0, warmup_share in (0, 1]")
    if config.cycles < 1:
        raise ValueError(f"cycles is {config.cycles}: give at least 1")

    def progress(step: Any) -> Array:
        """Of the warm-up, from 0 to 1; after the last step it is over."""
        length = num_steps / (config.cycles if config.schedule == "cyclic" else 1)
        share = (jnp.asarray(step, jnp.float32) % length) / (config.warmup_share * length)
        return jnp.where(jnp.asarray(step) >= num_steps, 1.0, jnp.minimum(share, 1.0))

    def penalty(kl: Array, step: Any) -> Array:
        total = jnp.maximum(kl, config.free_nats).reshape(kl.shape[0], -1).sum(axis=1)
        if config.schedule == "constant":
            return config.beta * total
        if config.schedule == "capacity":
            return config.beta * jnp.abs(total - config.capacity_nats * progress(step))
        return config.beta * progress(step) * total

    return penalty
