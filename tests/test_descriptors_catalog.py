"""The catalogue: where columns stand, and that a descriptor is added by one entry."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from encoder_toys import random_encoders
from tiny import tiny_config
from transfer_toys import save_toy

from dafxvae.audio import dsp
from dafxvae.controllers.controller import read_controller
from dafxvae.core.errors import UserError
from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Descriptor
from dafxvae.effects.bank import open_bank
from dafxvae.models import networks
from dafxvae.models.extractor import FeatureExtractor

CONFIG = tiny_config()
LOUDEST = Descriptor(
    "loudest",
    lambda num_params: 3,
    lambda of: jnp.stack([dsp.peak_db(of.audio), dsp.rms_db(of.audio), dsp.crest_db(of.audio)], axis=-1) / 12.0,
    direct=(1,),
    confidence=0,
    uncertain=2,
)


@pytest.fixture
def added(monkeypatch):
    """One more descriptor in the one tuple."""
    monkeypatch.setattr(catalog, "DESCRIPTORS", (*catalog.DESCRIPTORS, LOUDEST))


def test_a_descriptor_is_added_by_one_entry(added, tmp_path):
    """By its name in a configuration it reaches the extractor, h, the warm start's noise and the choice of windows."""
    config = tiny_config(h__descriptors=("echoes", "loudest"))
    descriptors = networks.input_descriptors(config)
    with open_bank(CONFIG.bank) as bank:
        encoders = networks.encoders_from(*random_encoders(CONFIG, bank))
    rng = np.random.default_rng(0)
    dry, reference = (rng.standard_normal((2, 4, 8192, 1)) * 0.1).astype(np.float32)
    features = FeatureExtractor(encoders, CONFIG.sample_rate, descriptors).features(dry, reference)
    expected = 20.0 * np.log10(np.abs(reference).max((1, 2)) + 1e-5) / 12.0
    np.testing.assert_allclose(features[:, -3], expected, atol=1e-4)
    h = networks.build_h(config, 2)
    assert h.direct[-1] == -2
    assert h.num_descriptors == catalog.num_columns(descriptors, 2)
    uncertain = catalog.uncertain_columns(features.shape[1], descriptors, 2)
    np.testing.assert_array_equal(uncertain, [*range(CONFIG.g.latent_dim), features.shape[1] - 1])
    toy = read_controller(save_toy(tmp_path))
    controller = dataclasses.replace(toy, config=config)
    combined = controller.combine(features)
    np.testing.assert_array_equal(combined[-3:], features[features[:, -3].argmax(), -3:])
    np.testing.assert_allclose(combined[: CONFIG.g.latent_dim], features[:, : CONFIG.g.latent_dim].mean(0), atol=1e-6)


def test_columns_stand_one_after_another_at_the_end():
    descriptors = catalog.find_descriptors(("lfo_templates", "combs"))
    columns = catalog.columns_of(descriptors, 4)
    together = np.concatenate([columns["lfo_templates"], columns["combs"]])
    np.testing.assert_array_equal(together, np.arange(-catalog.num_columns(descriptors, 4), 0))
    assert catalog.estimate_columns(descriptors, 4) == tuple(columns["lfo_templates"][-4:])
    assert catalog.estimate_columns(catalog.find_descriptors(("combs",)), 4) == ()


def test_those_in_the_encoding_do_not_depend_on_the_effect():
    """Their sizes are part of trained weights."""
    inside = [each for each in catalog.DESCRIPTORS if each.in_encoding]
    assert [each.name for each in inside] == ["echoes", "combs", "movement", "amplitudes"]
    assert all(each.size(0) == each.size(9) for each in inside)
    assert len({each.name for each in catalog.DESCRIPTORS}) == len(catalog.DESCRIPTORS)


def test_an_unknown_descriptor_is_refused():
    names = "echoes, combs, movement, amplitudes, lfo, lfo_lags, lfo_templates"
    with pytest.raises(UserError, match=rf"h\.descriptors has 'echos': .*{names}"):
        networks.input_descriptors(tiny_config(h__descriptors=("echos",)))
