"""No option is ignored without a word: it is read, compared with what is stored, or refused with the reason."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console
from tiny import tiny_config

from dafxvae.config import PRESETS, Config, base_config, resolve_preset
from dafxvae.configs.spoken_digits import get_config as digits_config
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.core.paths import stored_encoders_path
from dafxvae.core.weights import load_weights
from dafxvae.effects.factory import open_host
from dafxvae.gradients.measure.measured_steps import load_calibration
from dafxvae.runs.gradient_choice import build_estimator
from dafxvae.runs.jobs import run_job
from dafxvae.runs.pretraining import check_encoders
from dafxvae.runs.unused import PRETRAINING, check_used, pretraining_choices

QUIET = Console(quiet=True)
KEYS = sorted(flatten(base_config().to_dict()))
PRETRAINING_KEYS = {key for key in KEYS if any(f"{key}.".startswith(f"{part}.") for part in PRETRAINING)}
BEFORE = {"preset", "job"}  # read before the job begins
DIGITS = {"digits.synthesiser": "formants", "digits.num_speakers": 4, "digits.num_takes": 1, "digits.width": 8}
DIGITS |= {"digits.latent_dim": 3, "digits.num_steps": 4, "digits.batch_size": 8, "digits.griffin_lim_iterations": 2}


class Watched:
    """Which keys of one configuration are looked at, while it is entered."""

    def __init__(self, config, monkeypatch):
        self.read = set()
        self._prefixes = {}
        self._enter(config, "")
        get, whole, inside = ConfigDict.__getitem__, ConfigDict.to_dict, []

        def getitem(part, key):
            if id(part) in self._prefixes and not inside:
                self.read.add(self._prefixes[id(part)] + key)
            return get(part, key)

        def to_dict(part, *arguments, **named):
            inside.append(part)
            try:
                values = whole(part, *arguments, **named)
            finally:
                inside.pop()
            prefix = self._prefixes.get(id(part), "")
            if prefix and not inside:
                self.read.update(flatten(values, prefix))
            return values

        monkeypatch.setattr(ConfigDict, "__getitem__", getitem)
        monkeypatch.setattr(ConfigDict, "to_dict", to_dict)

    def _enter(self, part, prefix):
        self._prefixes[id(part)] = prefix
        for key, value in part.items():
            if isinstance(value, ConfigDict):
                self._enter(value, f"{prefix}{key}.")


def refused(config, key):
    try:
        check_used(config, [key])
    except UserError as error:
        return str(error)
    return ""


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Runs a configuration in a home of its own, and says which keys it did not look at."""
    monkeypatch.setenv("DAFXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))

    def unread(config, name="run"):
        with pytest.MonkeyPatch.context() as patch:
            watched = Watched(config, patch)
            run_job(config, tmp_path / name, QUIET)
        return {key for key in KEYS if key not in watched.read} - BEFORE

    return unread


@pytest.mark.timeout(600)
def test_every_key_of_a_run_is_read_or_refused(watch):
    config = tiny_config()
    assert {key for key in watch(config) if not refused(config, key)} == set()
    again = tiny_config(effect="Gain")  # with the stored f and g, which are compared with what is asked for
    assert {key for key in watch(again, "second") if not refused(again, key)} <= PRETRAINING_KEYS


@pytest.mark.timeout(600)
def test_every_key_of_the_digits_is_read_or_refused(watch):
    config = tiny_config(digits_config(), **DIGITS)
    assert {key for key in watch(config) if not refused(config, key)} == set()


def other(value):
    """A value of the same type."""
    if isinstance(value, str):
        return "bfloat16" if value == "float32" else "elsewhere"
    return value[:2] if isinstance(value, tuple) else value + 1


@pytest.mark.parametrize("key", sorted(PRETRAINING_KEYS))
def test_how_f_and_g_are_trained_is_not_ignored_beside_stored_ones(key):
    """What the configuration's own files leave as it is needs no word, whatever the stored ones were trained with."""
    path = stored_encoders_path("shipped")
    encoders: Any = SimpleNamespace(metadata=load_weights(path).metadata | {"bank": ["Gain"]})
    config = resolve_preset(base_config())
    check_encoders(encoders, config, path)
    config.update_from_flattened_dict({key: other(flatten(config.to_dict())[key])})
    with pytest.raises(UserError, match=rf"differ from the configuration \({key} is .* there, .* here\)"):
        check_encoders(encoders, config, path)
    encoders.metadata |= json.loads(config.to_json())  # they were trained like that
    check_encoders(encoders, config, path)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_says_of_f_and_g_is_not_set_by_hand(preset):
    config = base_config()
    config.preset = preset
    assert pretraining_choices(resolve_preset(config)) == {}


@pytest.mark.parametrize(
    ("key", "changes", "then"),
    [
        ("digits.width", {}, {"job": "digits"}),
        ("h.num_steps", {"effect": ""}, {"effect": "Gain"}),
        ("f.num_steps", {"job": "digits"}, {"job": "controller"}),
        ("data.minutes", {"data.folder": "songs"}, {"data.with_embedded": True}),
        ("data.with_embedded", {}, {"data.folder": "songs"}),
        ("chains.share", {"chains.count": 0}, {"chains.count": 1}),
        ("f.kl.cycles", {"f.kl.schedule": "linear"}, {"f.kl.schedule": "cyclic"}),
        ("g.kl.warmup_share", {}, {"g.kl.schedule": "capacity"}),
        ("g.kl.capacity_nats", {"g.kl.schedule": "cyclic"}, {"g.kl.schedule": "capacity"}),
        ("h.lfo.rate", {"h.descriptors": ("echoes",)}, {"h.descriptors": ("lfo",)}),
        ("h.lfo.num_templates", {"h.descriptors": ("lfo",)}, {"h.descriptors": ("lfo_templates",)}),
        ("h.warm_start.margin", {}, {"h.descriptors": ("echoes",)}),
        ("estimator.two_sided", {"estimator.name": "spsa"}, {"estimator.name": "orthogonal"}),
        ("digits.num_takes", {"job": "digits", "data.folder": "fsdd"}, {"data.folder": ""}),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(key, changes, then):
    config = base_config()
    with config.ignore_type():
        config.update_from_flattened_dict(changes)
        assert re.match(rf"--config\.{key} changes nothing here: .{{10,}}", refused(config, key))
        config.update_from_flattened_dict(then)
    assert refused(config, key) == ""


@pytest.mark.parametrize("level", ["audio", "loss"])
def test_a_step_size_set_by_hand_takes_the_place_of_the_measured_ones(level):
    with open_host("LadderFilter", num_workers=1) as host:
        measured = load_calibration(host)
        assert measured is not None
        config: Config = base_config()
        config.estimator.level = level
        assert build_estimator(config, host, measured).step_size == measured.step_size
        config.estimator.step_size = 0.02
        for calibration in (measured, None):
            steps = build_estimator(config, host, calibration).steps(len(host.parameters))
            held = {name for name, step in zip(host.parameters.names, steps) if step == 0}
            np.testing.assert_allclose(steps[steps > 0], 0.02)
            assert held == ({"mode"} if calibration or level == "loss" else set())
        config.estimator.step_size = 0.7
        with pytest.raises(UserError, match=r"step_size .*0\.7"):
            build_estimator(config, host, measured)


def test_the_command_line_refuses_what_would_change_nothing(tmp_path):
    command = [sys.executable, "-m", "dafxvae.train", "--config", "configs/reverb.py", f"--workdir={tmp_path}"]
    result = subprocess.run([*command, "--config.digits.width=3"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--config.digits.width changes nothing here: it belongs to the job digits" in result.stderr
    assert not list(tmp_path.iterdir())
