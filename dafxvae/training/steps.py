"""One train step and one evaluation step, for every stage: undecorated pure functions of state, frozen nets and batch.

A stage differs by its `Objective` alone. Steps run inside `parallel.compile_step`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array

from dafxvae.core.rng import stream_id
from dafxvae.training import parallel
from dafxvae.training.state import TrainState, example_keys
from dafxvae.types import Batch

Metrics = dict[str, Array]
NUM_VALID = "num_valid"  # examples that a mean is of
LAST_STEP = 2**31 - 1  # when every schedule has ended


class ObjectiveOutput(NamedTuple):
    """Loss and metrics of each example."""

    loss: Array  # [B]
    valid: Array  # [B] 1, or 0 where a render failed: neither counted nor learnt from
    metrics: Metrics  # each [B] or [B, n]


class Objective(Protocol):
    """The loss of a stage; differentiable with respect to `params`."""

    def __call__(self, params: Any, frozen: Any, batch: Any, keys: Array, step: Array) -> ObjectiveOutput: ...


def _masked_means(output: ObjectiveOutput) -> Metrics:
    """Means over the valid examples of all devices; every value is the same on each."""
    count = jnp.maximum(parallel.sum_over_devices(output.valid.sum()), 1.0)
    values = {"loss": output.loss, **output.metrics}

    def masked_sum(value: Array) -> Array:
        return jnp.where(output.valid.reshape(-1, *[1] * (value.ndim - 1)) > 0, value, 0.0).sum(axis=0)

    sums = {name: masked_sum(value) for name, value in values.items()}
    return {name: value / count for name, value in parallel.sum_over_devices(sums).items()}


def _accumulated(gradient: Callable, params: Any, examples: Any, parts: int) -> tuple[Any, ObjectiveOutput]:
    """Gradients summed, and outputs joined, over equal parts of the examples; `parts` 1 is one call."""
    if parts == 1:
        return gradient(params, *examples)

    def add(total: Any, part: Any) -> tuple[Any, ObjectiveOutput]:
        grads, output = gradient(params, *part)
        return jax.tree.map(jnp.add, total, grads), output

    split = jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), examples)
    grads, outputs = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), split)
    return grads, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)


def make_train_step(
    objective: Objective, optimizer: optax.GradientTransformation, seed: int, stream: str, accumulate: int = 1
) -> Callable[[TrainState, Any, Batch], tuple[TrainState, Metrics]]:
    """One step of gradient descent on the mean over the valid examples of the global batch.

    Args:
        objective: of the stage.
        optimizer: of `create_state`.
        seed: the run's.
        stream: name of the stream of random numbers.
        accumulate: parts that each device works its examples through in, one after another, adding up the gradients:
            the same step in less memory (an objective that compares examples compares those of a part).

    Returns:
        `(state, frozen, batch) -> (state, metrics)`; metrics hold the loss and the objective's metrics, the norms of
        gradient and update, and `failed`, the number of examples masked out.
    """
    stream_number = stream_id(stream)

    def train_step(state: TrainState, frozen: Any, batch: Batch) -> tuple[TrainState, Metrics]:
        keys = example_keys(seed, stream_number, state.step, batch.item)

        def total(params: Any, part: Batch, part_keys: Array) -> tuple[Array, ObjectiveOutput]:
            output = objective(params, frozen, part, part_keys, state.step)
            return jnp.where(output.valid > 0, output.loss, 0.0).sum(), output

        grads, output = _accumulated(jax.grad(total, has_aux=True), state.params, (batch, keys), accumulate)
        count = jnp.maximum(parallel.sum_over_devices(output.valid.sum()), 1.0)
        grads = jax.tree.map(lambda grad: grad / count, parallel.sum_over_devices(grads))
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        metrics = _masked_means(output) | {
            "gradient_norm": optax.tree.norm(grads),
            "update_norm": optax.tree.norm(updates),
            "failed": parallel.sum_over_devices((1.0 - output.valid).sum()),
        }
        params = optax.apply_updates(state.params, updates)
        return TrainState(step=state.step + 1, params=params, opt_state=opt_state), metrics

    return train_step


def make_eval_step(objective: Objective, seed: int, stream: str) -> Callable[[TrainState, Any, Batch], Metrics]:
    """The same means without a gradient, and of how many examples: an effect is rendered once and never perturbed.

    A loss that is annealed is evaluated as it is in the end, whenever that is, so that evaluations compare.
    """
    stream_number = stream_id(stream)

    def eval_step(state: TrainState, frozen: Any, batch: Batch) -> Metrics:
        keys = example_keys(seed, stream_number, 0, batch.item)  # every evaluation alike
        output = objective(state.params, frozen, batch, keys, jnp.asarray(LAST_STEP))
        return _masked_means(output) | {NUM_VALID: parallel.sum_over_devices(output.valid.sum())}

    return eval_step
