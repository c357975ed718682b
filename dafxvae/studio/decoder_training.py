"""Training of the studio's decoder: presence, order, settings of the chain that was at work, and what it changed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from dafxvae.core.rng import host_rng
from dafxvae.studio.chain_decoder import LEVELS, Decoder, DecoderOutput, Scaling, StudioDecoder, change_of, features_of
from dafxvae.studio.pairs import StudioPairs
from dafxvae.studio.palette import OWNER

BATCH, LEARNING_RATE, WARMUP_STEPS, WEIGHT_DECAY = 128, 1e-3, 200, 0.3
LABEL_WIDTH = 0.03  # deviation of the smoothed label of a setting
ORDER_WEIGHT, SETTINGS_WEIGHT = 0.1, 0.5
Batch = tuple[Array, Array, Array, Array, Array]  # features, change, is_on, order, unit_params


def losses(output: DecoderOutput, batch: Batch) -> dict[str, Array]:
    """Each part of the loss, a mean over the batch: of presence, order, change and settings."""
    _, change, is_on, order, unit_params = batch
    presence = optax.sigmoid_binary_cross_entropy(output.is_on, is_on).mean()
    orders = optax.softmax_cross_entropy_with_integer_labels(output.order, order)
    error = jnp.square(output.change - change)
    likelihood = 0.5 * (error * jnp.exp(-output.change_log_variance) + output.change_log_variance)
    away = jnp.asarray(LEVELS, jnp.float32)[None, None] - unit_params[..., None]  # [B, K, NUM_LEVELS]
    labels = jnp.exp(-0.5 * jnp.square(away / LABEL_WIDTH))
    labels = labels / labels.sum(-1, keepdims=True)
    is_played = is_on[:, OWNER]  # [B, K]
    settings = (optax.softmax_cross_entropy(output.settings, labels) * is_played).sum()
    return {
        "presence": presence,
        "order": ORDER_WEIGHT * (orders * (is_on.sum(-1) > 0)).mean(),
        "change": likelihood.mean() + 0.5 * error.mean(),  # the second keeps early steps from giving up hard columns
        "settings": SETTINGS_WEIGHT * settings / jnp.maximum(is_played.sum(), 1.0),
    }


def train_decoder(
    pairs: StudioPairs,
    num_steps: int,
    *,
    width: int = 768,
    seed: int = 0,
    report: Callable[[int, dict[str, float]], Any] | None = None,
) -> Decoder:
    """Fit the decoder to pairs by AdamW with a warm-up and a cosine decay.

    Args:
        pairs: N of them, all in memory.
        num_steps: batches of 128.
        width: of the network's hidden layers.
        seed: of weights, batches and dropout.
        report: called every hundredth of the steps with the step and the losses of its batch.
    """
    features, change = features_of(pairs.source, pairs.reference), change_of(pairs.source, pairs.target)
    scaling = Scaling.of(features, change)
    features, change = scaling.features(features), scaling.change(change)
    arrays = (features, change, pairs.is_on.astype(np.float32), pairs.order, pairs.unit_params)
    network = StudioDecoder(change.shape[1], width)
    first: Any = tuple(array[:2] for array in arrays)
    params = network.init(jax.random.key(seed), first[0], first[2], first[3], is_training=False)
    schedule = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, WARMUP_STEPS, max(num_steps, WARMUP_STEPS + 1))
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=WEIGHT_DECAY))

    def loss(params: Any, batch: Batch, key: Array) -> tuple[Array, dict[str, Array]]:
        output = network.apply(params, batch[0], batch[2], batch[3], is_training=True, rngs={"dropout": key})
        parts = losses(output, batch)  # type: ignore[arg-type]
        return sum(parts.values(), jnp.zeros(())), parts

    @jax.jit
    def step(params: Any, state: Any, batch: Batch, key: Array) -> tuple[Any, Any, dict[str, Array]]:
        gradient, parts = jax.grad(loss, has_aux=True)(params, batch, key)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, parts

    state, rng, key = optimiser.init(params), host_rng(seed, "studio/batches"), jax.random.key(seed + 1)
    for i in range(num_steps):
        chosen = rng.integers(0, len(features), BATCH)
        batch: Any = tuple(array[chosen] for array in arrays)
        params, state, parts = step(params, state, batch, jax.random.fold_in(key, i))
        if report and i % max(1, num_steps // 100) == 0:
            report(i, {name: float(value) for name, value in parts.items()})
    return Decoder(network, jax.device_get(params), scaling)
