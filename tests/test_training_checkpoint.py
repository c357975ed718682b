from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dafxvae.training.checkpoint import Checkpoints
from dafxvae.training.state import create_state

OPTIMIZER = optax.adam(0.1)


def state_at(step, value=0.0):
    state = create_state({"w": jnp.full((3, 2), value), "b": jnp.zeros(3)}, OPTIMIZER)
    return state.replace(step=jnp.asarray(step, jnp.int32))


def test_latest_and_best_are_both_kept(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, None)):
            checkpoints.save(state_at(step, step), loss)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "4"]
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert (checkpoints.latest_step(), checkpoints.best_step()) == (4, 2)
        assert float(checkpoints.restore(2, state_at(0)).params["w"][0, 0]) == 2.0


def test_every_bit_comes_back(tmp_path):
    state = state_at(0, 0.1)
    for _ in range(3):
        updates, opt_state = OPTIMIZER.update(jax.tree.map(jnp.sin, state.params), state.opt_state, state.params)
        state = state.replace(
            step=state.step + 1, params=optax.apply_updates(state.params, updates), opt_state=opt_state
        )
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(state)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        restored = checkpoints.restore(3, state_at(0))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, restored, state)


def test_nothing_there_yet(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert checkpoints.latest_step() is None
        assert checkpoints.best_step() is None


def test_the_saved_state_is_a_copy(tmp_path):
    state = state_at(1, 1.0)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(state)
        jax.tree.map(lambda leaf: leaf.delete(), state.params)
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert float(checkpoints.restore(1, state_at(0)).params["w"][0, 0]) == 1.0


@pytest.mark.parametrize("leftover", ["5.orbax-checkpoint-tmp-0"])
def test_a_save_that_was_killed_is_ignored(tmp_path, leftover):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(state_at(4), 1.0)
    (tmp_path / leftover).mkdir()
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert checkpoints.latest_step() == 4
