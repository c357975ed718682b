import json
import os
import pickle
import re
import shutil
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dafxvae.core.errors import UserError
from dafxvae.training import checkpoint
from dafxvae.training.checkpoint import Checkpoints
from dafxvae.training.state import create_state

OPTIMIZER = optax.adam(0.1)
pytestmark = [  # orbax's background readers, where a file is damaged
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def state_at(step, value=0.0):
    noise = jax.random.normal(jax.random.key(step), (64, 64))  # enough of it to be stored in a file of its own
    state = create_state({"w": noise.at[0, 0].set(value), "b": jnp.zeros(3)}, OPTIMIZER)
    return state.replace(step=jnp.asarray(step, jnp.int32))


def test_latest_and_best_are_both_kept(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0), (4, None)):
            checkpoints.save(state_at(step, step), loss)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "4"]
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


ABOUT = {"dafxvae": "1", "config": {"effect": "Reverb", "h": {"num_steps": 3}}}


def saved(folder, steps=(1, 2, 3)):
    """A folder of checkpoints; the weights of each are its step."""
    with closing(Checkpoints(folder, ABOUT)) as checkpoints:
        for step in steps:
            checkpoints.save(state_at(step, step), 1.0 / step)
    return folder


def newest(folder, about=ABOUT):
    with closing(Checkpoints(folder, about)) as checkpoints:
        state = checkpoints.restore_newest(state_at(0))
        return None if state is None else (int(state.step), float(state.params["w"][0, 0]), checkpoints.latest_step())


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "flipped bit":
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()


def the_data(folder):
    """The file that holds most of the arrays."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("how", ["truncated", "flipped bit", "deleted"])
@pytest.mark.parametrize("what", [the_data, lambda folder: folder / "about" / "metadata"], ids=["arrays", "about"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, caplog, how, what):
    saved(tmp_path)
    damage(what(tmp_path / "3"), how)
    assert newest(tmp_path) == (2, 2.0, 2)
    assert f"kept as {tmp_path / '3.damaged-1'}" in caplog.text
    assert any((tmp_path / "3.damaged-1").rglob("*.*"))
    saved(tmp_path, steps=(3,))  # its place is free again
    assert newest(tmp_path) == (3, 3.0, 3)


def test_numbers_that_are_not_those_written_are_found(tmp_path):
    """Damage that the format cannot see: an array of the right shape with other numbers."""
    saved(tmp_path / "one")
    saved(tmp_path / "other", steps=(2,))
    data, foreign = tmp_path / "one" / "3" / "state", tmp_path / "other" / "2" / "state"
    shutil.rmtree(data)
    shutil.copytree(foreign, data)
    assert newest(tmp_path / "one") == (2, 2.0, 2)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def more_parameters():
    state = state_at(0)
    return create_state(state.params | {"scale": jnp.zeros(2)}, OPTIMIZER)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (more_parameters, "params.scale is None there, 'float32[2]' here"),
        (
            lambda: create_state({"w": jnp.zeros((64, 65)), "b": jnp.zeros(3)}, OPTIMIZER),
            "params.w is 'float32[64, 64]'",
        ),
        (lambda: create_state(state_at(0).params, optax.sgd(0.1)), "opt_state.0.mu.w is 'float32[64, 64]' there, None"),
    ],
    ids=["one parameter more", "another shape", "another optimiser"],
)
def test_a_checkpoint_of_another_structure_is_refused_and_kept(tmp_path, template, words):
    before = files(saved(tmp_path))
    with closing(Checkpoints(tmp_path, ABOUT)) as checkpoints, pytest.raises(UserError, match=re.escape(words)):
        checkpoints.restore_newest(template())
    assert files(tmp_path) == before


@pytest.mark.parametrize("what", ["metrics/metrics", "state/manifest.ocdbt", "the arrays"])
def test_what_the_system_does_not_let_be_read_is_kept(tmp_path, what):
    """Opening a file fails, as with a failing disk or too many open files."""
    step = saved(tmp_path) / "3"
    path = the_data(step) if what == "the arrays" else step / what
    path.unlink()
    path.symlink_to(path)
    before = files(tmp_path)
    with pytest.raises(UserError, match=r"cannot read the checkpoint .*Too many levels .*: it is kept"):
        newest(tmp_path)
    assert files(tmp_path) == before


def test_a_run_does_not_begin_again_where_all_checkpoints_are_damaged(tmp_path):
    for step in "23":
        damage(the_data(saved(tmp_path) / step), "truncated")
    before = files(tmp_path)
    with pytest.raises(UserError, match=r"3 is damaged .*2 is damaged .*move them away"):
        newest(tmp_path)
    assert files(tmp_path) == before


def test_of_a_damaged_validation_loss_only_the_loss_is_lost(tmp_path):
    damage(saved(tmp_path) / "3" / "metrics" / "metrics", "truncated")
    assert newest(tmp_path) == (3, 3.0, 3)
    with closing(Checkpoints(tmp_path, ABOUT)) as checkpoints:
        assert checkpoints.best_step() == 2


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({**ABOUT, "dafxvae": "2"}, "dafxvae is '1' there, '2' here"),
        (
            {**ABOUT, "config": {"effect": "Delay", "h": {"num_steps": 3}}},
            "config.effect is 'Reverb' there, 'Delay' here",
        ),
        ({**ABOUT, "config": {"effect": "Reverb", "h": {"num_steps": 4}}}, "config.h.num_steps is 3 there, 4 here"),
    ],
)
def test_checkpoints_of_another_run_are_refused_and_kept(tmp_path, about, words):
    saved(tmp_path)
    with pytest.raises(UserError, match=re.escape(words)):
        newest(tmp_path, about)
    assert newest(tmp_path) == (3, 3.0, 3)


def test_checkpoints_of_another_format_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 0)
    saved(tmp_path)
    monkeypatch.undo()
    with pytest.raises(UserError, match="format is 0 there, 1 here"):
        newest(tmp_path)


def test_a_checkpoint_says_what_made_it_and_where_the_data_goes_on(tmp_path):
    saved(tmp_path)
    about = json.loads((tmp_path / "3" / "about" / "metadata").read_text())
    assert about["config"] == ABOUT["config"]
    assert about["dafxvae"] == "1"
    assert about["data"] == {"next_step": 3}


def test_a_full_disk_keeps_what_was_saved(small_disk):
    folder = small_disk / "checkpoints"
    saved(folder, steps=(1, 2))
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(UserError, match=r"cannot write a checkpoint to .*No space left.*make room there"):
        saved(folder, steps=(3,))
    (small_disk / "filler").unlink()
    assert newest(folder) == (2, 2.0, 2)
    saved(folder, steps=(3,))
    assert newest(folder) == (3, 3.0, 3)


def test_nothing_is_executed_that_a_checkpoint_holds(tmp_path):
    """Pickled code in the place of every file of the newest checkpoint, one after another."""
    saved(tmp_path / "run")
    trap, marker = pickle.dumps(Trap(tmp_path / "executed")), tmp_path / "executed"
    for number, path in enumerate(sorted(path for path in (tmp_path / "run" / "3").rglob("*") if path.is_file())):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "run", copy)
        (copy / path.relative_to(tmp_path / "run")).write_bytes(trap)
        assert newest(copy)[0] in (2, 3)
    assert not marker.exists()
    pickle.loads(trap)
    assert marker.exists()  # the trap works


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))
