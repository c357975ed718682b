"""The calibrations that dafxvae ships, and how a chain's is put together."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from dafxvae.core.errors import UserError
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.factory import open_host
from dafxvae.gradients.estimators import Estimator
from dafxvae.gradients.measure import measured_steps as store
from dafxvae.gradients.measure.calibration import (
    PROBE_STEP,
    ROUGH_STEP,
    VERSION,
    Calibration,
    estimator_for,
)
from dafxvae.gradients.measure.problems import Sampling

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DAFXVAE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def shipped():
    return {name: json.loads(json.dumps(entry)) for name, entry in json.loads(store.SHIPPED.read_text()).items()}


def test_every_builtin_with_a_continuous_parameter_is_shipped(shipped):
    needed = {
        name
        for name, builtin in BUILTINS.items()
        if any(p.controlled and p.kind == "continuous" for p in builtin.parameters) and name != "Convolution"
    }
    assert set(shipped) == needed == set(store.calibratable_builtins())


@pytest.mark.parametrize("name", store.calibratable_builtins())
def test_what_is_shipped_fits_the_registry(name, shipped):
    with open_host(name, num_workers=1) as host:
        found = store.load_calibration(host)
        assert found is not None
        assert list(found.names) == list(host.parameters.names) == shipped[name]["names"]
        assert found.num_values == tuple(host.parameters.num_values)
        assert found.effect == host.name == name
    assert found.version == VERSION
    assert [step > 0 for step in found.step_size] == [count == 0 for count in found.num_values]
    assert all(step == ROUGH_STEP for step, n in zip(found.step_size, found.names) if n in found.rough)
    assert all(math.isfinite(value) for value in found.roughness)
    assert found.level == ("loss" if found.rough or any(found.num_values) else "audio")
    assert (found.sample_rate, found.num_settings) == (24000, 64)


def test_the_rough_ones_are_those_that_the_documentation_names(shipped):
    rough = {
        (name, parameter)
        for name, entry in shipped.items()
        for parameter, value in zip(entry["names"], entry["roughness"])
        if value > 0.1
    }
    assert {("Delay", "delay_seconds"), ("Chorus", "rate_hz"), ("Phaser", "rate_hz")} <= rough
    assert not rough & {("Reverb", name) for name in shipped["Reverb"]["names"]}


def test_the_file_is_what_the_command_writes(tmp_path, monkeypatch):
    """The same text from the same numbers, and the same fields from a measurement of now."""
    assert store.format_shipped(store._read_shipped(store.SHIPPED)) == store.SHIPPED.read_text()
    path = tmp_path / "some.json"
    store.calibrate_builtins(["Gain", "Clipping"], Sampling(2, 2048), path, progress=lambda name: None)
    written, kept = json.loads(path.read_text()), json.loads(store.SHIPPED.read_text())
    assert list(written) == ["Clipping", "Gain"]
    for name, entry in written.items():
        assert list(entry) == list(kept[name])
        assert entry["names"] == kept[name]["names"]


def test_a_chain_is_put_together_from_its_members():
    effect = "PeakFilter | Invert | Delay | PeakFilter(gain_db, q=2) | LadderFilter"
    with open_host(effect, num_workers=1) as host, open_host("PeakFilter", num_workers=1) as peak:
        found, member = store.load_calibration(host), store.load_calibration(peak)
        assert found is not None
        assert member is not None
        assert found.names == host.parameters.names
        assert found.num_values == tuple(host.parameters.num_values)
        by_name = dict(zip(found.names, zip(found.step_size, found.roughness)))
        of_peak = dict(zip(member.names, zip(member.step_size, member.roughness)))
        for name, values in of_peak.items():
            assert by_name[f"PeakFilter.{name}"] == values
        assert by_name["PeakFilter2.gain_db"] == of_peak["gain_db"]
        assert found.rough == ("Delay.delay_seconds",)
        assert found.level == "loss"
        assert by_name["LadderFilter.mode"] == (0.0, 0.0)
        assert estimator_for(host, Estimator(), found).step_size == found.step_size


def test_a_smooth_chain_stays_at_the_audio_level():
    with open_host("Compressor(threshold_db) | Reverb", num_workers=1) as host:
        found = store.load_calibration(host)
        assert found is not None
        assert found.level == "audio"
        assert len(found.step_size) == len(host.parameters)


def test_the_users_own_goes_first_alone_and_in_a_chain():
    own = Calibration("Gain", ("gain_db",), (0.02,), (0.5,), (0,), "loss", 48000, 3)
    store.save_calibration(own)
    with open_host("Gain", num_workers=1) as host:
        assert store.load_calibration(host) == own
    with open_host("Gain | Clipping", num_workers=1) as host:
        found = store.load_calibration(host)
        assert found is not None
        assert found.step_size[0] == 0.02
        assert found.rough == ("Gain.gain_db",)
        whole = Calibration(host.name, found.names, (0.1, 0.1), (0.0, 0.0), (0, 0), "audio", 24000, 3)
        store.save_calibration(whole)
        assert store.load_calibration(host) == whole


def test_a_calibration_of_other_parameters_or_another_version_is_passed_over():
    for stale in (
        Calibration("Gain", ("volume",), (0.02,), (0.5,), (0,), "loss", 48000, 3),
        Calibration("Gain", ("gain_db",), (0.02,), (0.5,), (0,), "loss", 48000, 3, version=VERSION + 1),
    ):
        store.save_calibration(stale)
        with open_host("Gain", num_workers=1) as host:
            found = store.load_calibration(host)
        assert found is not None
        assert found.num_settings == 64  # the shipped one


def test_what_was_not_measured_keeps_the_step_that_was_asked_for(monkeypatch):
    without = {name: entry for name, entry in store._read_shipped(store.SHIPPED).items() if name != "Gain"}
    monkeypatch.setattr(store, "_read_shipped", lambda path: without)
    with open_host("Gain | Delay", num_workers=1) as host:
        found = store.load_calibration(host)
        assert found is not None
        assert math.isnan(found.step_size[0])
        assert math.isnan(found.roughness[0])
        assert found.rough == ("Delay.delay_seconds",)
        fitted = estimator_for(host, Estimator(step_size=5e-3), found)
        assert fitted.step_size == (5e-3, *found.step_size[1:])
    with open_host("Gain | Invert", num_workers=1) as host:
        assert store.load_calibration(host) is None
        assert estimator_for(host, Estimator(), None).step_size == PROBE_STEP


def test_the_command_refuses_an_effect_beside_builtins():
    for words in (["calibrate", "Gain", "--builtins"], ["report", "--builtins"], ["report"]):
        result = subprocess.run(
            [sys.executable, "-m", "dafxvae.gradients", *words], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert result.returncode == 2, result.stderr
        assert "Traceback" not in result.stderr


def test_a_damaged_file_of_the_users_says_what_to_do():
    with open_host("Gain", num_workers=1) as host:
        path = store.calibration_path("Gain")
        path.parent.mkdir(parents=True)
        for text in ("{}", "[1]", "not json"):
            path.write_text(text)
            with pytest.raises(UserError, match="calibrate again"):
                store.load_calibration(host)
