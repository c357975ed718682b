"""A stage on toy numbers: when it is evaluated, and which of its states is the result."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_config

from dafxvae.core.errors import UserError
from dafxvae.runs.stage_pairs import whole_batches
from dafxvae.training import parallel
from dafxvae.training.clock import Clock
from dafxvae.training.session import Cadence, Session
from dafxvae.training.stage import Stage, evaluate, run_stage
from dafxvae.training.state import create_state, lower_rate
from dafxvae.training.steps import ObjectiveOutput, make_eval_step, make_train_step
from dafxvae.training.writer import MetricWriter


class Items(NamedTuple):
    item: Any


class Curve:
    """A sink that keeps the validation losses by step."""

    def __init__(self):
        self.losses = {}

    def scalars(self, step, values):
        if "toy/valid_loss" in values:
            self.losses[step] = values["toy/valid_loss"]

    def text(self, step, name, text):
        pass

    def close(self):
        pass


def objective_towards(goal):
    def objective(params, frozen, batch, keys, step):
        return ObjectiveOutput(jnp.full(2, (params["x"] - goal) ** 2), jnp.ones(2), {})

    return objective


def run(folder, num_steps, trained_goal, evaluate_every=250, learning_rate=0.05):
    """Trains a number from 0 towards `trained_goal`, by a tenth a step, and validates how near it is to 1."""
    optimizer, batch, curve = optax.sgd(learning_rate), Items(np.arange(2)), Curve()

    def batches(start):
        while True:
            yield batch

    stage = Stage(
        name="toy",
        state=create_state({"x": jnp.zeros(())}, optimizer),
        frozen={},
        train_step=make_train_step(objective_towards(trained_goal), optimizer, 0, "toy/train"),
        eval_step=make_eval_step(objective_towards(1.0), 0, "toy/valid"),
        batches=batches,  # type: ignore[arg-type]
        valid=[batch],  # type: ignore[list-item]
        num_steps=num_steps,
        open_writer=lambda directory: MetricWriter(curve),  # type: ignore[arg-type]
    )
    best = run_stage(stage, folder, Session(Cadence(1, evaluate_every, 1000), parallel.local_devices(1)), Clock())
    return int(best.step), curve.losses


def test_a_short_stage_is_evaluated_as_it_begins_and_four_times_more(tmp_path):
    best, losses = run(tmp_path, 20, trained_goal=1.0)
    assert list(losses) == [0, 5, 10, 15, 20]
    assert best == 20


def test_what_a_stage_begins_with_is_a_candidate(tmp_path):
    best, losses = run(tmp_path, 20, trained_goal=-1.0)
    assert best == 0
    assert losses[0] == pytest.approx(1.0)


def test_a_long_stage_keeps_its_cadence(tmp_path):
    assert list(run(tmp_path, 20, trained_goal=1.0, evaluate_every=4)[1]) == [0, 4, 8, 12, 16, 20]


@pytest.mark.parametrize("num_steps", [1, 3])
def test_a_stage_of_hardly_any_steps_is_evaluated_at_each(tmp_path, num_steps):
    assert list(run(tmp_path, num_steps, trained_goal=1.0)[1]) == list(range(num_steps + 1))


@pytest.mark.parametrize(
    ("changes", "words", "kept"),
    [
        ({"learning_rate": 1e12}, "stage toy, step [0-9]: .* not finite; lower the learning rate. The ch", {"0"}),
        ({"trained_goal": np.inf}, "step 1: .* nothing was learnt before: lower the weights of the loss", {"0"}),
    ],
)
def test_numbers_that_are_not_finite_end_a_stage_with_what_to_try(tmp_path, changes, words, kept):
    with pytest.raises(UserError, match=words):
        run(tmp_path, **{"num_steps": 20, "trained_goal": 1.0} | changes)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == kept


def test_a_rate_to_try_is_lower_and_no_more_than_the_usual_one():
    assert "--config.f.learning_rate 10, for example to 0.001," in lower_rate(tiny_config(f__learning_rate=10.0), "f")
    assert "0.0005, for example to 5e-05," in lower_rate(tiny_config(), "h")


class Numbers(NamedTuple):
    value: Any
    valid: Any
    item: Any


def test_every_validation_pair_counts_once_whatever_their_number(tmp_path):
    """Seven pairs in batches of three, of which one could not be rendered: the mean is that of six."""
    value, valid = np.arange(7.0), np.array([1, 1, 0, 1, 1, 1, 1.0])
    batches = whole_batches(Numbers(value, valid, np.arange(7)), 3)
    assert [len(batch.value) for batch in batches] == [3, 3, 3]

    def objective(params, frozen, batch, keys, step):
        return ObjectiveOutput(batch.value, batch.valid, {"twice": 2 * batch.value})

    state = create_state({"x": jnp.zeros(())}, optax.sgd(0.1))
    devices = parallel.local_devices(1)
    step = parallel.compile_step(make_eval_step(objective, 0, "toy/valid"), devices)
    stage = Stage("toy", state, {}, step, step, iter, batches, 1)  # type: ignore[arg-type]
    found = evaluate(step, parallel.replicate(state, devices), {}, stage, devices)
    assert found == pytest.approx({"loss": 19 / 6, "twice": 38 / 6})


@pytest.mark.parametrize("count", [1, 5, 47, 48])
def test_no_pair_is_dropped_from_batches_of_one_size(count):
    batches = whole_batches(Numbers(np.arange(count), np.ones(count), np.arange(count)), 16)
    assert {len(batch.item) for batch in batches} == {16}
    kept = [item for batch in batches for item, valid in zip(batch.item, batch.valid) if valid]
    assert kept == list(range(count))
