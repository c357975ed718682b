"""The state of a training stage (arrays only), and its optimiser."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from dafxvae.config import Config, base_config


class TrainState(struct.PyTreeNode):
    """Step, parameters and optimiser state; what a checkpoint holds."""

    step: Array  # [] int32
    params: Any
    opt_state: optax.OptState


def is_decayed(params: Any) -> Any:
    """Which parameters weight decay draws to zero: matrices, and neither biases nor scales of a normalisation.

    Nor h's curves, which are fitted once and then constant.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf.ndim > 1 and jax.tree_util.DictKey("curves") not in path, params
    )


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """AdamW with a clipped global norm and a linear warm-up, then a cosine to zero.

    Args:
        config: a stage's part (`learning_rate`, `warmup_steps`, `num_steps`, `clip_norm`, `weight_decay`).
    """
    warmup = min(config.warmup_steps, config.num_steps // 2)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, config.num_steps)
    adam = optax.adamw(schedule, weight_decay=config.weight_decay, mask=is_decayed)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def lower_rate(config: Config, name: str) -> str:
    """What to try where the losses of a stage, `config[name]`, stop being finite."""
    usual: Config = base_config()
    rate = config[name].learning_rate
    lower = min(rate / 10, usual[name].learning_rate)
    return f"lower --config.{name}.learning_rate {rate:g}, for example to {lower:g}, and give another --workdir"


def create_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Step zero."""
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=jax.jit(optimizer.init)(params))


def example_keys(seed: int, stream: int, step: Array | int, items: Array) -> Array:
    """One typed key per step and example, from the example's global index: the same on any number of devices.

    An example that comes again gets fresh numbers; no key is ever stored.

    Args:
        seed: the run's.
        stream: number of the named stream (`dafxvae.core.rng.stream_id`).
        step: of the training, `[]`.
        items: int32 `[B]`.
    """
    root = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), stream), step)
    return jax.vmap(lambda item: jax.random.fold_in(root, item))(items)
