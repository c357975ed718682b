"""What a report says of an estimator, the choice of steps, and the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gradients_toys import NUM_PARAMS, ToyHost, squared_error, toy_batch

from dafxvae.audio.io import write_audio
from dafxvae.core.errors import UserError
from dafxvae.effects.factory import open_host
from dafxvae.gradients.estimators import Estimator
from dafxvae.gradients.measure.calibration import (
    ROUGH_STEP,
    STEPS,
    calibrate,
    choose_steps,
    estimator_for,
)
from dafxvae.gradients.measure.measured_steps import calibration_path, load_calibration, save_calibration
from dafxvae.gradients.measure.problems import ContinuousPart, Sampling
from dafxvae.gradients.measure.quality import Meter, Problem, measure
from dafxvae.gradients.measure.report import candidates, probe_counts, report

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of three short recordings, and places of its own for what is stored."""
    monkeypatch.setenv("DAFXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for number in range(3):
        time = np.arange(24000) / 24000
        tone = np.sin(2 * np.pi * 220 * (number + 1) * time) * np.exp(-6 * (time % 0.25))
        write_audio(tmp_path / "audio" / f"{number}.wav", (0.4 * tone + 0.01 * rng.normal(size=24000))[:, None], 24000)
    return str(tmp_path / "audio")


def sampling(folder, num_settings=4):
    return Sampling(num_settings, 4096, 24000, folder)


def test_measure_ranks_estimators_as_theory_does():
    audio, params, target, _ = toy_batch(48, samples=256)
    problem = Problem(*(np.asarray(x) for x in (audio, params, target)))
    estimators = [Estimator(name, NUM_PARAMS, 1e-3) for name in ("spsa", "orthogonal", "finite_difference")]
    rows = measure(Meter(ToyHost(), squared_error), problem, estimators, lambda e: (1, NUM_PARAMS))
    found = {(row.name, row.level, row.num_renders): row for row in rows}
    for level in ("audio", "loss"):
        exact = found["finite_difference", level, NUM_PARAMS + 1]
        assert exact.cosine > 0.999
        assert exact.bias < 0.02
        assert exact.variance < 1e-3
        assert found["orthogonal", level, NUM_PARAMS + 1].cosine > 0.999
        one, five = found["spsa", level, 3], found["spsa", level, 2 * NUM_PARAMS + 1]
        assert 0.3 < one.cosine < 0.55
        assert 0.6 < five.cosine < 0.9
        assert one.variance == pytest.approx(NUM_PARAMS - 1, rel=0.4)  # theory: K - 1 times the squared norm
        assert five.variance < 0.4 * one.variance
        assert one.seconds > 0


def test_counts_and_candidates():
    assert probe_counts(1) == (1,)
    assert probe_counts(5) == (1, 2, 4, 5)
    assert {e.name for e in candidates(1)} == {"spsa", "spsa_one_sided", "finite_difference"}
    assert all(e.num_probes == 3 for e in candidates(3))


def test_steps_are_chosen_from_the_plateau():
    """Three parameters: rounding noise at small steps; curvature at large ones; a stair of height .005."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(64, 1))
    steps = np.array(STEPS)[:, None, None]
    noisy = truth + 1e-4 / steps * rng.normal(size=(len(STEPS), 64, 1))
    curved = truth + 300 * steps * rng.normal(size=(64, 1))
    position = rng.uniform(0, 1, (64, 1))
    stairs = (np.floor((position + steps) / 0.005) - np.floor((position - steps) / 0.005)) * 0.005 / (2 * steps)
    chosen = choose_steps(np.concatenate([noisy, curved, stairs * np.ones_like(truth)], axis=2), np.zeros(3, bool))
    assert chosen[0] >= 3e-3
    assert chosen[1] <= 1e-3
    assert chosen[2] >= 1e-2
    np.testing.assert_array_equal(choose_steps(curved, np.ones(1, bool)), ROUGH_STEP)


def test_calibration_of_a_rough_effect(folder):
    with open_host("Delay") as host:
        found = calibrate(host, sampling(folder))
        assert found.rough == ("delay_seconds",)
        assert found.level == "loss"
        assert dict(zip(found.names, found.step_size))["delay_seconds"] == ROUGH_STEP
        assert all(0 < step <= ROUGH_STEP for step in found.step_size)
        assert load_calibration(host) != found  # the shipped one
        save_calibration(found)
        assert load_calibration(host) == found
        assert estimator_for(host, Estimator(), found).step_size == found.step_size
        assert estimator_for(host, Estimator(), None) == Estimator()
        calibration_path(host.name).write_text("{}")
        with pytest.raises(UserError, match="calibrate again"):
            load_calibration(host)


def test_calibration_of_an_effect_with_a_choice(folder):
    with open_host("LadderFilter") as host:
        found = calibrate(host, sampling(folder, 2))
        index = host.parameters.names.index("mode")
        assert found.num_values[index] == 6
        assert found.step_size[index] == 0
        assert found.level == "loss"
        fitted = estimator_for(host, Estimator(level="loss"), found)
        assert fitted.discrete is not None
        assert fitted.discrete.is_unordered(index)
        assert fitted.num_renders(4) == 1 + 2 + 5


def test_report_of_an_effect(folder):
    with open_host("Distortion") as host:
        found = report(host, sampling(folder), steps=(1e-3,))
    assert found["parameters"] == ["drive_db"]
    exact = [row for row in found["rows"] if row["name"] == "finite_difference"]
    assert all(row["num_renders"] == 2 for row in exact)
    assert all(row["cosine"] > 0.99 for row in exact)
    json.dumps(found)


def test_what_cannot_be_measured_is_refused(folder):
    with open_host("Invert") as host:
        with pytest.raises(UserError, match="no continuous"):
            report(host, sampling(folder))
        with pytest.raises(UserError, match="no parameter that could"):
            calibrate(host, sampling(folder))


def test_discrete_parameters_stay_at_their_defaults(folder):
    with open_host("LadderFilter") as host:
        box = ContinuousPart(host, 24000)
        assert "mode" not in box.names
        audio = np.random.default_rng(0).normal(0, 0.1, (1, 512, 1)).astype(np.float32)
        default = host.parameters.default_unit
        expected = host.render(audio, default[None], 24000)
        np.testing.assert_array_equal(box(audio, default[None, None, box.indices])[:, 0], expected)


def test_the_command_line(folder):
    command = [sys.executable, "-m", "dafxvae.gradients"]
    options = ["--settings", "2", "--samples", "2048", "--folder", folder, "--json"]
    result = subprocess.run(
        [*command, "calibrate", "Gain", *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["names"] == ["gain_db"]
    assert calibration_path("Gain").exists()
    result = subprocess.run(
        [*command, "report", "Rverb", *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 2
    assert "Reverb" in result.stderr
    assert "Traceback" not in result.stderr
