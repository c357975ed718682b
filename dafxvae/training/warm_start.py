"""h before it hears anything: the known settings of self-made pairs, read off their latents in seconds."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from dafxvae.config import Config
from dafxvae.descriptors import curves
from dafxvae.models.controller import ControllerDecoder, Experts
from dafxvae.training.state import is_decayed
from dafxvae.types import ExactReadings

NEAR = 0.05  # of the range: an error of as much and more is a miss, a smaller one a part of it


class Known(NamedTuple):
    """Latents with their settings."""

    z: Any  # [N, Z]
    unit_params: Any  # [N, K]
    valid: Any  # [N]


class WarmStart(NamedTuple):
    """What the regression found."""

    params: Any  # of h, at the step whose validation error was smallest
    errors: Array  # [evaluations] mean squared error of the validation settings
    step: Array  # [] at which the smallest was reached


def squared_error(h: ControllerDecoder, params: Any, known: Known) -> Array:
    """Mean over the valid pairs and K of the squared error of the settings; `[]`."""
    unit_params = cast(Array, h.apply({"params": params}, known.z))
    each = jnp.mean((unit_params - known.unit_params) ** 2, axis=-1)
    return jnp.sum(each * known.valid) / jnp.maximum(known.valid.sum(), 1.0)


def expected_error(h: ControllerDecoder, params: Any, known: Known, margin: float) -> Array:
    """What is learnt by: the guess's squared error, and how often the experts miss, as h trusts them; `[]`.

    The guess learns from every pair, so that it does not fall behind where a reading was preferred early. Trust goes by
    misses (`NEAR`): by squared errors a time about right is preferred to one that is exact nine times in ten. A reading
    must hit more often than the guess by `margin`, or curves of traces that tell nothing are read by chance.
    """
    found = cast(Experts, h.apply({"params": params}, known.z, method=ControllerDecoder.experts))
    errors = found.settings - known.unit_params[..., None]
    misses = jnp.clip(jnp.abs(errors) / NEAR, 0.0, 1.0).at[..., 1:].add(margin)
    trusted = jnp.sum(found.trust * jax.lax.stop_gradient(misses), axis=-1)
    each = jnp.mean(errors[..., 0] ** 2 + trusted, axis=-1)
    return jnp.sum(each * known.valid) / jnp.maximum(known.valid.sum(), 1.0)


def _fit_curves(h: ControllerDecoder, train: Known, exact: ExactReadings) -> Array:
    """The curves of h, `[J, K, NUM_KNOTS]`: those that are known, the others fitted.

    Where few pairs are right a fitted curve goes wherever the wrong ones are: those of an LFO's rate were bent above
    4 Hz, and there no rate was read any more.
    """
    found = curves.fit(np.asarray(train.z)[:, list(h.readings)], train.unit_params, train.valid)
    for place, settings_at in exact.items():
        found[place] = settings_at(curves.KNOTS)
    return jnp.asarray(found)


def fit_settings(
    h: ControllerDecoder,
    params: Any,
    train: Known,
    valid: Known,
    config: Config,
    key: Array,
    blurred: np.ndarray | None = None,
    exact: ExactReadings | None = None,
) -> WarmStart:
    """Regression of the settings on the latents, stopped where held-out recordings are predicted best.

    A pure function of its arguments, so that a resumed run needs no checkpoint of it. Noise keeps h from learning
    recordings by heart (there are many more pairs than recordings). Curves are fitted first, and then stay.

    Args:
        h: the network.
        params: of h, as initialised.
        train: pairs of the training recordings.
        valid: pairs of other recordings.
        config: the part `h.warm_start`.
        key: of batches and noise.
        blurred: columns of z that get noise (`networks.blurred_columns`), so that what is exact stays so; the latent
            where it is None.
        exact: settings that follow from a reading by what is known of the effect; the others' curves are fitted.
    """
    columns = np.arange(train.z.shape[1] - h.num_traces) if blurred is None else blurred
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.num_steps)
    optimizer = optax.adamw(schedule, weight_decay=config.weight_decay, mask=is_decayed)
    if h.readings:
        params = params | {"curves": _fit_curves(h, train, exact or {})}
    every = max(1, config.num_steps // config.evaluations)

    @jax.jit
    def run(params: Any, train: Known, valid: Known) -> WarmStart:
        def step(carry: tuple, number: Array) -> tuple:
            params, state = carry
            rows_key, noise_key = jax.random.split(jax.random.fold_in(key, number))
            rows = jax.random.randint(rows_key, (config.batch_size,), 0, len(train.z))
            batch = jax.tree.map(lambda leaf: leaf[rows], train)
            noise = config.noise * jax.random.normal(noise_key, (len(rows), len(columns)))
            batch = batch._replace(z=batch.z.at[:, columns].add(noise))
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
