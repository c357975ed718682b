"""Values that no run can have are refused by their keys, before anything is made."""

import math
import re
import runpy
from pathlib import Path

import pytest
from ml_collections import ConfigDict
from process_worker import make_pairs
from tiny import tiny_config

from dafxvae.config import PRESETS, base_config, resolve_preset
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.effects.bank import open_bank
from dafxvae.runs import build
from dafxvae.runs.jobs import run_job
from dafxvae.runs.values import check_numbers, check_parts

NUMBERS = {
    key: value
    for key, value in flatten(base_config().to_dict()).items()
    if isinstance(value[0] if isinstance(value, tuple) and value else value, int | float)
    and not isinstance(value, bool)
}


def changed(key, value):
    config = tiny_config()
    with config.ignore_type():
        config.update_from_flattened_dict({key: value})
    return config


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1])
@pytest.mark.parametrize("key", NUMBERS)
def test_no_number_is_negative_or_none_at_all(key, bad, tmp_path):
    if key.endswith("_db") and math.isfinite(bad):
        pytest.skip("levels have either sign")
    value = (bad, *NUMBERS[key][1:]) if isinstance(NUMBERS[key], tuple) else bad
    with pytest.raises(UserError, match=re.escape(f"--config.{key} is ") + r".*(nan|inf|-1).*: give .*"):
        run_job(changed(key, value), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seed", 2**31, "--config.seed 2147483648: give a number that is not negative, up to 2147483647"),
        ("checkpoint_every_steps", 0, "at least 1"),
        ("h.num_steps", 0, "at least 1"),
        ("h.batch_size", 0, "at least 1"),
        ("f.time_strides", (4, 0), "at least 1"),
        ("h.clip_norm", 0.0, "more than 0"),
        ("data.minutes", 0.0, "more than 0"),
        ("num_channels", 3, "give 1 or 2"),
        ("data.mode", "elsewhere", "give one of same_clip"),
        ("data.options.gain_db", (6.0, -12.0), "the lower one first"),
        ("data.options.style_share", 1.5, "style_share"),
        ("chains.share", 2.0, "share in [0, 1]"),
        ("h.stft_sizes", (), "at least one size"),
        ("h.stft_sizes", (65536,), "a window of 65536 needs over 32768"),
        ("h.loss_weights.mrstft", 0.0, "at least one size"),
        ("h.descriptors", ("ecoes",), "takes a tuple of echoes"),
        ("f.kl.schedule", "sawtooth", "choose from constant"),
        ("g.kl.cycles", 0, "cycles is 0"),
        ("g.kl.warmup_share", 0.0, "warmup_share in (0, 1]"),
        ("estimator.name", "sgd", "choose from"),
        ("estimator.num_probes", 0, "num_probes is 0"),
        ("estimator.step_size", 0.7, "step_size 0.7"),
        ("estimator.level", "sound", "choose from"),
    ],
)
def test_what_nothing_can_be_built_of_is_named(key, value, words, tmp_path):
    config = changed(key, value)
    if key == "h.loss_weights.mrstft":
        config.h.loss_weights = ConfigDict({"mrstft": value})
    with pytest.raises(UserError, match=re.escape(words)):
        run_job(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_loss_names_the_known_ones(tmp_path):
    config = tiny_config()
    config.h.loss_weights.mrstf = 1.0
    with pytest.raises(UserError, match=r"unknown loss \['mrstf'\]: choose from"):
        run_job(config, tmp_path / "run")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.py")), ids=lambda path: path.stem)
def test_the_configurations_of_the_project_are_good(path, preset):
    config = runpy.run_path(str(path))["get_config"]()
    config.preset = preset
    config = resolve_preset(config)
    check_numbers(config)
    check_parts(config)


@pytest.mark.parametrize(("key", "value"), [("learning_rate", 1e30), ("noise", 1e38)])
def test_a_regression_that_ends_in_nan_names_what_to_lower(key, value):
    config = tiny_config(h__descriptors=(), h__warm_start__num_steps=8, **{f"h__warm_start__{key}": value})
    with open_bank(["Gain"], num_workers=1) as bank, pytest.raises(UserError, match=f"warm_start.{key} 1e\\+3"):
        build.warm_start(config, make_pairs(bank), bank)
