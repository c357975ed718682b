"""Warm start of h: regression of the known settings of training pairs on their input features, in seconds."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from dafxvae.config import Config
from dafxvae.descriptors import curves
from dafxvae.models.controller_decoder import Candidates, ControllerDecoder
from dafxvae.training.state import is_decayed
from dafxvae.types import KnownCurves

NEAR = 0.05  # of the range: an error as large or larger is a miss, a smaller one a share of a miss


class KnownPairs(NamedTuple):
    """Input features of h with the settings that belong to them."""

    features: Any  # [N, Z + S]
    unit_params: Any  # [N, K]
    valid: Any  # [N]


class WarmStart(NamedTuple):
    """Result of the regression."""

    params: Any  # of h, at the step whose validation error was smallest
    errors: Array  # [evaluations] mean squared error of the validation settings
    step: Array  # [] at which the smallest was reached


def squared_error(h: ControllerDecoder, params: Any, known: KnownPairs) -> Array:
    """Mean over the valid pairs and K of the squared error of the settings; `[]`."""
    unit_params = cast(Array, h.apply({"params": params}, known.features))
    each = jnp.mean((unit_params - known.unit_params) ** 2, axis=-1)
    return jnp.sum(each * known.valid) / jnp.maximum(known.valid.sum(), 1.0)


def expected_error(h: ControllerDecoder, params: Any, known: KnownPairs, margin: float) -> Array:
    """The regression's loss: the network's squared error, and the weighted misses of all candidates; `[]`.

    The network's prediction learns from every pair, so that it does not fall behind where a direct estimate got most of
    the weight early. Weights are learnt from misses (`NEAR`): by squared errors a prediction that is always roughly
    right would be preferred to an estimate that is exact nine times in ten. A direct estimate must hit more often than
    the network by `margin`, or descriptors that show nothing are chosen by chance.
    """
    found = cast(Candidates, h.apply({"params": params}, known.features, method=ControllerDecoder.candidates))
    errors = found.settings - known.unit_params[..., None]
    misses = jnp.clip(jnp.abs(errors) / NEAR, 0.0, 1.0).at[..., 1:].add(margin)
    missed = jnp.sum(found.weights * jax.lax.stop_gradient(misses), axis=-1)
    each = jnp.mean(errors[..., 0] ** 2 + missed, axis=-1)
    return jnp.sum(each * known.valid) / jnp.maximum(known.valid.sum(), 1.0)


def _make_curves(h: ControllerDecoder, train: KnownPairs, known: KnownCurves) -> Array:
    """The curves of h, `[J, K, NUM_KNOTS]`: the known ones, the others fitted.

    A fitted curve bends to the wrong estimates where few are right, as at fast rates of an LFO.
    """
    found = curves.fit_curves(np.asarray(train.features)[:, list(h.direct)], train.unit_params, train.valid)
    for place, settings_at in known.items():
        found[place] = settings_at(curves.KNOTS)
    return jnp.asarray(found)


def fit_settings(
    h: ControllerDecoder,
    params: Any,
    train: KnownPairs,
    valid: KnownPairs,
    config: Config,
    key: Array,
    uncertain: np.ndarray | None = None,
    known_curves: KnownCurves | None = None,
) -> WarmStart:
    """Regress the settings on the input features, stopped where other recordings are predicted best.

    A pure function of its arguments, so that a resumed run needs no checkpoint of it. Noise keeps h from memorising
    recordings (there are many more pairs than recordings). Curves are made first, and then stay.

    Args:
        h: the network.
        params: of h, as initialised.
        train: pairs of the training recordings.
        valid: pairs of other recordings.
        config: the part `h.warm_start`.
        key: of batches and noise.
        uncertain: columns of the features that get noise (`catalog.uncertain_columns`); the latent where it is None.
        known_curves: curves that follow from what is known of the effect; the others are fitted.
    """
    columns = np.arange(train.features.shape[1] - h.num_descriptors) if uncertain is None else uncertain
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.num_steps)
    optimizer = optax.adamw(schedule, weight_decay=config.weight_decay, mask=is_decayed)
    if h.direct:
        params = params | {"curves": _make_curves(h, train, known_curves or {})}
    every = max(1, config.num_steps // config.evaluations)

    @jax.jit
    def run(params: Any, train: KnownPairs, valid: KnownPairs) -> WarmStart:
        def step(carry: tuple, number: Array) -> tuple:
            params, state = carry
            rows_key, noise_key = jax.random.split(jax.random.fold_in(key, number))
            rows = jax.random.randint(rows_key, (config.batch_size,), 0, len(train.features))
            batch = jax.tree.map(lambda leaf: leaf[rows], train)
            noise = config.noise * jax.random.normal(noise_key, (len(rows), len(columns)))
            batch = batch._replace(features=batch.features.at[:, columns].add(noise))
            gradient = jax.grad(lambda params: expected_error(h, params, batch, config.margin))(params)
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        def stretch(carry: tuple, number: Array) -> tuple:
            trained, best, least = carry
            trained, _ = jax.lax.scan(step, trained, number * every + jnp.arange(every))
            error = squared_error(h, trained[0], valid)
            best = jax.tree.map(lambda new, old: jnp.where(error < least, new, old), trained[0], best)
            return (trained, best, jnp.minimum(error, least)), error

        begin = (params, optimizer.init(params)), params, squared_error(h, params, valid)
        (_, best, _), errors = jax.lax.scan(stretch, begin, jnp.arange(config.evaluations))
        return WarmStart(best, errors, (jnp.argmin(errors) + 1) * every)

    return run(params, *(jax.tree.map(jnp.asarray, known) for known in (train, valid)))
