"""docs/method.py runs as it is, and shows what it says."""

import runpy

import numpy as np
import pytest
from launch_toys import ROOT

PAGE = ROOT / "docs" / "method.py"


@pytest.fixture(scope="module")
def page():
    return runpy.run_path(str(PAGE))


def test_fits_on_a_page():
    assert len(PAGE.read_text().splitlines()) <= 120


def test_prediction_is_in_range_and_nearer_to_the_target_than_the_input(page):
    unit_params, true_params = page["unit_params"], page["true_params"]
    assert unit_params.shape == true_params.shape == (1, len(page["host"].parameters))
    assert ((unit_params >= 0) & (unit_params <= 1)).all()
    losses = {name: float(page["audio_loss"](page[name], page["target"])[0][0]) for name in ("output", "dry")}
    assert losses["output"] < losses["dry"]


def test_steps_on_the_page_are_those_of_a_stored_controller(page):
    predicted = page["controller"].predict(page["dry"], page["reference"])
    np.testing.assert_allclose(page["unit_params"], predicted, atol=1e-4)


def test_spsa_converges_to_the_coordinates_gradient(page):
    one, some, many = page["cosines"].values()
    assert 0 < one <= 1
    assert 0.5 < some < many
    assert many > 0.98


def test_training_through_the_effect_lowers_the_loss_and_finds_the_settings(page):
    losses = page["losses"]
    assert np.isfinite(losses).all()
    assert max(losses[-5:]) < 0.2 * losses[0]
    error = np.abs(page["trained_params"] - page["true_params"])
    assert error.max() < 0.1
    assert error.max() < np.abs(np.asarray(page["middle"]) - page["true_params"]).max()
