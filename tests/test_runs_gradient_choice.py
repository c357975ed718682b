"""A run measures how the sound follows an effect's parameters, and takes steps and level from that."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from dafxvae.config import MEASURED, Config, base_config, controller_config
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.effects.factory import open_host
from dafxvae.gradients.measure.measured_steps import calibration_path, load_calibration
from dafxvae.runs.gradient_choice import build_estimator, describe_cost, describe_estimator, effect_calibration


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))


def measured(effect, level="auto"):
    config: Config = controller_config(effect, MEASURED | {"level": level})
    with open_host(effect, num_workers=1) as host:
        calibration = load_calibration(host)
        estimator = build_estimator(config, host, calibration)
        assert calibration is not None
        return estimator, describe_estimator(estimator, host, calibration)


def test_a_smooth_effect_is_differentiated_by_its_audio():
    estimator, text = measured("Compressor | Reverb")
    assert (estimator.level, estimator.two_sided) == ("audio", False)
    assert "differences of audio, 10 renders an example: the sound follows every parameter smoothly" in text


def test_a_rough_parameter_and_a_switch_make_it_losses_with_a_step_for_each():
    estimator, text = measured("PeakFilter | Delay | LadderFilter")
    assert (estimator.level, estimator.two_sided) == ("loss", True)
    steps = np.asarray(estimator.step_size)
    assert steps.max() == 0.03
    assert 0.0 < steps[:3].max() <= 0.01  # of the filter, which is smooth
    assert estimator.discrete is not None
    assert "jumps with Delay.delay_seconds" in text
    assert "LadderFilter.mode takes single values" in text
    assert not text.startswith("warning")


def test_who_asks_for_a_level_that_cannot_work_is_warned():
    estimator, text = measured("Delay", level="audio")
    assert estimator.level == "audio"
    assert text.startswith("warning: ")
    assert 'leave --config.estimator.level at "auto"' in text


def test_what_rendering_costs_is_said_before_it_is_paid():
    config: Config = controller_config("Gain", MEASURED, h__num_pairs=1000, h__num_steps=100)
    config.eval.num_pairs = config.eval.num_test_pairs = 0
    with open_host("Gain", num_workers=1) as host:
        estimator = build_estimator(config, host, load_calibration(host))
        text = describe_cost(config, host, estimator)
    # 1000 targets and references, and 100 steps of 8 examples rendered twice
    assert re.match(r"rendering: [\d,]+ x real time on 1 core; 3,600 clips of 2.7 s take about [\d.]+ min", text)


def test_without_a_measurement_the_level_is_that_of_audio():
    with open_host("Gain", num_workers=1) as host:
        assert build_estimator(base_config(), host, None).level == "audio"


@pytest.mark.vst3
def test_a_plugin_that_nobody_measured_is_measured_once():
    config: Config = controller_config("/usr/lib/vst3/ZamDelay.vst3(time_ms, invert)", MEASURED)
    corpus = open_corpus(folder=None, sample_rate=24000, num_channels=1, minutes=1.0, seed=0, progress=False)
    said = io.StringIO()
    with open_host(config.effect, num_workers=2) as host:
        assert load_calibration(host) is None
        found = effect_calibration(config, host, corpus, Console(file=said, width=200))
        assert calibration_path(host.name).is_file()
        assert effect_calibration(config, host, corpus, Console(file=said, width=200)) == found
        estimator = build_estimator(config, host, found)
    assert said.getvalue().count("measuring") == 1
    assert found.rough == ("time_ms",)
    assert (estimator.level, *estimator.steps(2)) == ("loss", np.float32(0.03), 0.0)
