"""Values that no run can have are refused by their keys, before anything is made."""

import math
import re
import runpy
from pathlib import Path

import pytest
from ml_collections import ConfigDict
from process_worker import make_pairs
from tiny import tiny_config

from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import PRESETS, base_config, resolve_preset
from dafxvae.core.choices import DESCRIPTOR_NAMES, JOBS, LOSSES
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.descriptors.catalog import DESCRIPTORS
from dafxvae.effects.bank import open_bank
from dafxvae.runs import build, jobs
from dafxvae.runs.jobs import run_job
from dafxvae.runs.options import packaged_configs
from dafxvae.runs.values import Allowed, allowed_values, check_run

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


CONFIG = tiny_config()


def check_changed(key, value):
    config = CONFIG.copy_and_resolve_references()
    with config.ignore_type():
        config.update_from_flattened_dict({key: value})
    check_run(config, Path("run"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1, "x", None])
def test_no_number_is_negative_or_none_at_all(bad):
    for key, usual in NUMBERS.items():
        if not (key.endswith("_db") and bad == -1):  # levels have either sign
            value = (bad, *usual[1:]) if isinstance(usual, tuple) else bad
            with pytest.raises(UserError, match=re.escape(f"--config.{key} is ") + rf".*{bad}.*: give .*number"):
                check_changed(key, value)


def test_every_key_says_what_it_may_be():
    for key in flatten(base_config().to_dict()):
        allowed = allowed_values(key)
        if key == "effect":
            assert allowed is None
            continue
        assert isinstance(allowed, Allowed)
        with pytest.raises(UserError, match=re.escape(f"--config.{key} is ") + ".*: give "):
            check_changed(key, (object(),) if allowed.size is not None else 1j)


def test_choices_are_those_that_the_code_knows():
    assert set(JOBS) == set(jobs.JOBS)
    assert set(DESCRIPTOR_NAMES) == {descriptor.name for descriptor in DESCRIPTORS}
    with pytest.raises(ValueError, match="choose from") as error:
        make_audio_loss({"x": 1.0}, (512,), 24000)
    assert all(repr(name) in str(error.value) for name in LOSSES)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("job", "digit", "'controller', 'digits'"),
        ("checkpoint_every_steps", 0, "at least 1"),
        ("h.num_steps", 0, "at least 1"),
        ("h.num_steps", -3, "at least 1"),
        ("f.time_strides", (4, 0), "at least 1"),
        ("h.clip_norm", 0.0, "above 0"),
        ("data.minutes", 0.0, "above 0"),
        ("num_channels", 3, "at most 2"),
        ("num_workers", 10**9, "at most 1024"),
        ("seed", 2**31, "at most 2147483647"),
        ("clip_samples", 7, "give at least 2048"),
        ("data.mode", "elsewhere", "one of 'same_clip'"),
        ("data.folder", "nowhere", "no such folder"),
        ("data.options.gain_db", (6.0, -12.0), "the lower one first"),
        ("data.options.style_share", 1.5, "at most 1"),
        ("chains.share", 2.0, "at most 1"),
        ("h.stft_sizes", (), "a tuple"),
        ("h.stft_sizes", (65536,), "at least 32769"),
        ("h.loss_weights.mrstft", 0.0, "at least one"),
        ("h.batch_size", 9, "at most the 8 pairs"),
        ("g.batch_size", 9, "at most the 8 pairs"),
        ("h.descriptors", ("ecoes",), "one of 'auto', 'echoes'"),
        ("h.lfo.rate", "rate_hz", "Reverb's parameters"),
        ("f.kl.schedule", "sawtooth", "one of 'constant'"),
        ("g.kl.cycles", 0, "at least 1"),
        ("g.kl.warmup_share", 0.0, "above 0"),
        ("estimator.name", "sgd", "one of 'spsa'"),
        ("estimator.num_probes", 0, "needs at least 1"),
        ("estimator.step_size", 0.7, "at most 0.5"),
        ("estimator.level", "sound", "one of 'auto', 'audio'"),
        ("log.wandb", "yes", "'offline', 'online'"),
        ("effect", "Reverp", "did you mean Reverb"),
        ("pretrained", "shipped", "another name"),
    ],
)
def test_what_nothing_can_be_built_of_is_named(key, value, words, tmp_path):
    config = changed(key, value)
    if key == "h.loss_weights.mrstft":
        config.h.loss_weights = ConfigDict({"mrstft": value})
    with pytest.raises(UserError, match=re.escape(words)):
        run_job(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["h.loss_weights.mrstf", "h.num_setps"])
def test_an_unknown_key_names_the_nearest(key):
    part, _, name = key.rpartition(".")
    config = tiny_config()
    config.unlock()
    part = config.h.loss_weights if "weights" in part else config.h
    with part.unlocked():
        part[name] = 1.0
    with pytest.raises(UserError, match=rf"{key}': did you mean .*(mrstft|num_steps)"):
        check_run(config, Path("run"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pretrained": "nope/x", "pretrain": False}, "no f and g at .*nope/x.safetensors. Give one of shipped"),
        ({"effect": "", "pretrain": False}, "nothing to train: name an effect"),
    ],
)
def test_what_has_no_end_is_not_begun(changes, words, tmp_path):
    config = tiny_config(**changes)
    with pytest.raises(UserError, match=words):
        run_job(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", packaged_configs())
def test_the_configurations_of_the_project_are_good(name, preset, tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path))
    (tmp_path / "train").mkdir()
    config = runpy.run_path(str(packaged_configs()[name]))["get_config"]()
    config.preset = preset
    if name == "vst3":
        config.effect = "/usr/lib/vst3/ZamComp.vst3"
    check_run(resolve_preset(config), tmp_path)


@pytest.mark.parametrize(("key", "value"), [("learning_rate", 1e30), ("noise", 1e38)])
def test_a_regression_that_ends_in_nan_names_what_to_lower(key, value):
    config = tiny_config(h__descriptors=(), h__warm_start__num_steps=8, **{f"h__warm_start__{key}": value})
    with open_bank(["Gain"], num_workers=1) as bank, pytest.raises(UserError, match=f"warm_start.{key} 1e\\+3"):
        build.warm_start(config, make_pairs(bank), bank)
