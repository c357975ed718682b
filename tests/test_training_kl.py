from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from tiny import tiny_config

from dafxvae.core.choices import SCHEDULES
from dafxvae.training import parallel
from dafxvae.training.kl import ACTIVE_NATS, make_kl_penalty
from dafxvae.training.stage import ACTIVE, KL, to_scalars
from dafxvae.training.state import create_state
from dafxvae.training.steps import ObjectiveOutput, make_eval_step

NUM_STEPS = 100
NATS = jnp.asarray([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])  # [B, Z]


def penalty(step, kl=NATS, **changes):
    config = ConfigDict(tiny_config().g.kl.to_dict() | {"beta": 2.0} | changes)
    return np.asarray(make_kl_penalty(config, NUM_STEPS)(kl, jnp.asarray(step)))


def test_a_constant_beta_weighs_the_sum_over_dimensions_and_frames():
    np.testing.assert_allclose(penalty(0, schedule="constant"), [7.0, 6.0])
    frames = jnp.stack([NATS, NATS], axis=1)  # [B, N, Z]
    np.testing.assert_allclose(penalty(50, frames, schedule="constant"), [14.0, 12.0])


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (10, 0.25), (20, 0.5), (40, 1.0), (99, 1.0)])
def test_linear_rises_once(step, share):
    np.testing.assert_allclose(penalty(step, schedule="linear", warmup_share=0.4), share * np.array([7.0, 6.0]))


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (5, 0.5), (10, 1.0), (24, 1.0), (25, 0.0), (30, 0.5), (99, 1.0)])
def test_cyclic_starts_each_cycle_from_nothing(step, share):
    found = penalty(step, schedule="cyclic", warmup_share=0.4, cycles=4)
    np.testing.assert_allclose(found, share * np.array([7.0, 6.0]), atol=1e-5)


def test_capacity_holds_the_kl_at_a_growing_target():
    options = {"schedule": "capacity", "capacity_nats": 3.25, "warmup_share": 0.5}
    np.testing.assert_allclose(penalty(0, **options), [7.0, 6.0])
    np.testing.assert_allclose(penalty(25, **options), 2.0 * np.abs(np.array([3.5, 3.0]) - 1.625))
    np.testing.assert_allclose(penalty(80, **options), [0.5, 0.5])  # above and below it alike


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("cycles", [1, 3, 4])
def test_after_the_last_step_the_weight_is_the_final_one(schedule, cycles):
    final = penalty(0, schedule="constant") if schedule != "capacity" else 2.0 * np.abs(np.array([3.5, 3.0]) - 25.0)
    np.testing.assert_allclose(penalty(NUM_STEPS, schedule=schedule, cycles=cycles), final)


def test_evaluations_before_and_after_compare():
    """A state that does not change is validated with the same loss at every step, though its weight is annealed."""
    annealed = make_kl_penalty(ConfigDict(tiny_config().g.kl.to_dict() | {"schedule": "cyclic"}), NUM_STEPS)

    def objective(params, frozen, batch, keys, step):
        return ObjectiveOutput(annealed(params["kl"], step), jnp.ones(2), {})

    devices = parallel.local_devices(1)
    evaluate = parallel.compile_step(make_eval_step(objective, 0, "test"), devices)
    state = create_state({"kl": NATS}, optax.sgd(0.1))
    states = [parallel.replicate(state.replace(step=jnp.asarray(step)), devices) for step in (0, 60, 100)]
    batch = parallel.shard(Items(np.arange(2)), devices)
    losses = [float(evaluate(each, {}, batch)["loss"][0]) for each in states]
    assert losses[0] == losses[1] == losses[2] > 0


class Items(NamedTuple):
    item: Any


def test_free_nats_are_not_paid_for():
    np.testing.assert_allclose(penalty(0, schedule="constant", free_nats=1.0), [2 * 4.0, 2 * 5.0])


@pytest.mark.parametrize(
    "changes", [{"schedule": "sawtooth"}, {"beta": -1.0}, {"warmup_share": 0.0}, {"cycles": 0}, {"free_nats": -0.1}]
)
def test_bad_values_are_named(changes):
    with pytest.raises(ValueError, match=str(next(iter(changes.values())))):
        penalty(0, **changes)


def test_dimensions_that_carry_nothing_are_not_counted_as_active():
    values = to_scalars({"loss": np.array(1.0, np.float32), KL: np.array([2.0, ACTIVE_NATS / 2, 0.0, 0.5])})
    assert values == {"loss": 1.0, ACTIVE: 2.0}
