"""Stored controllers: those of older configurations are read like new ones."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from transfer_toys import save_toy

from dafxvae.controllers.controller import current_config, read_controller
from dafxvae.core.errors import UserError
from dafxvae.core.weights import load_weights, save_weights

LFO = {"rate": "rate_hz", "num_templates": 7, "mix_estimates": True}


@pytest.mark.parametrize(
    ("stored", "descriptors", "lfo"),
    [
        ({}, (), {"rate": "", "num_templates": 0, "mix_estimates": False}),
        ({"traces": ["echoes"]}, ("echoes",), {"rate": "", "num_templates": 0, "mix_estimates": False}),
        (
            {"traces": ["movement", "cycles", "lag_cycles", "matched"], "matched": {"rate": "r", "num_templates": 3}},
            ("movement", "lfo", "lfo_lags", "lfo_templates"),
            {"rate": "r", "num_templates": 3, "mix_estimates": False},
        ),
        (
            {"traces": [], "matched": {"rate": "rate_hz", "num_templates": 7, "told": True}},
            (),
            LFO,
        ),
        ({"descriptors": ["lfo"], "lfo": LFO}, ["lfo"], LFO),
    ],
)
def test_older_configurations_get_todays_names(stored, descriptors, lfo):
    config = current_config({"seed": 3, "h": stored | {"widths": [16]}})
    assert config == {"seed": 3, "h": {"descriptors": descriptors, "lfo": lfo, "widths": [16]}}


def test_a_controller_of_an_older_configuration_predicts_the_same(tmp_path):
    path = save_toy(tmp_path)
    dry, reference = np.random.default_rng(0).standard_normal((2, 2, 8192, 1)).astype(np.float32) * 0.1
    before = read_controller(path).predict(dry, reference)
    variables, metadata = load_weights(path)
    h = metadata["config"]["h"]
    names = h.pop("descriptors")
    assert names == ["echoes"]
    h |= {"traces": names, "matched": {"rate": "", "num_templates": 2048}}
    del h["lfo"]
    save_weights(path, variables, metadata)
    np.testing.assert_array_equal(read_controller(path).predict(dry, reference), before)


def test_a_controller_that_predicts_no_numbers_is_refused(tmp_path):
    controller = read_controller(save_toy(tmp_path))
    clips = np.full((1, 8192, 1), 0.1, np.float32)
    nan = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), controller.params)
    with pytest.raises(UserError, match="the controller of Reverb predicts NaN"):
        replace(controller, params=nan).predict(clips, clips)
