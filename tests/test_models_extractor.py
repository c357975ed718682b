"""From recordings to h's input features: f, descriptors, and g."""

from typing import Any

import jax
import numpy as np
import pytest
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Recordings
from dafxvae.descriptors.lfo import LFO, LFO_LAGS
from dafxvae.descriptors.lfo_templates import NUM_COMPONENTS, NUM_HARMONICS, match_templates, quantise_templates
from dafxvae.effects.bank import open_bank
from dafxvae.models import extractor as extractor_module
from dafxvae.models import networks
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.extractor import FeatureExtractor

CONFIG = tiny_config()


@pytest.fixture(scope="module")
def encoders():
    with open_bank(CONFIG.bank) as bank:
        return networks.encoders_from(*random_encoders(CONFIG, bank))


def clips(seed, count, num_samples):
    """Inputs and references, float32 `[2, B, T, 1]`."""
    return (np.random.default_rng(seed).standard_normal((2, count, num_samples, 1)) * 0.1).astype(np.float32)


def make_extractor(encoders, *names):
    return FeatureExtractor(encoders, CONFIG.sample_rate, catalog.find_descriptors(names))


def standardised(encoders, joint):
    """Joint encodings as g standardises them."""
    return np.asarray(encoders.g.apply(encoders.variables["g"], joint, method=ControllerVAE.standardise))


def test_an_item_has_the_same_bits_alone_and_in_any_batch(encoders):
    dry, reference = clips(1, 7, 8192)
    together = make_extractor(encoders).features(dry, reference)
    for size in (1, 2, 3):
        features = make_extractor(encoders).features  # that keeps no encodings of other batches
        parts = [features(dry[i : i + size], reference[i : i + size]) for i in range(0, 7, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_features_are_the_latent_and_the_descriptors_asked_for(encoders):
    """The latent is as without them; those in f's encoding are the reference's, standardised, in the order asked for;
    encoding and then joining gives the same."""
    dry, reference = clips(2, 3, 8192)
    extractor = make_extractor(encoders, "amplitudes", "echoes")
    features = extractor.features(dry, reference)
    alone = make_extractor(encoders).features(dry, reference)
    np.testing.assert_allclose(features[:, : alone.shape[1]], alone, atol=1e-6)
    both = [make_extractor(encoders).encode(part) for part in (dry, reference)]
    data, columns = standardised(encoders, np.concatenate(both, axis=1)), catalog.encoding_columns()
    expected = np.concatenate([data[:, columns["amplitudes"]], data[:, columns["echoes"]]], axis=1)
    np.testing.assert_allclose(features[:, alone.shape[1] :], expected, atol=1e-5)
    np.testing.assert_array_equal(extractor.join(*both), features)


def test_descriptors_outside_of_the_encoding_are_the_references_as_they_are(encoders):
    """In the order asked for; and f's encoding stands first."""
    dry, reference = clips(2, 2, 32768)
    extractor = make_extractor(encoders, "lfo_lags", "echoes", "lfo")
    features = extractor.features(dry, reference)
    columns = catalog.columns_of(extractor.descriptors, 2)
    compute = jax.jit(lambda audio: [each.compute(Recordings(audio, CONFIG.sample_rate)) for each in (LFO, LFO_LAGS)])
    for descriptor, expected in zip((LFO, LFO_LAGS), compute(reference), strict=True):
        np.testing.assert_allclose(features[:, columns[descriptor.name]], expected, atol=1e-3)
    both = [extractor.encode(part) for part in (dry, reference)]
    np.testing.assert_array_equal(extractor.join(*both), features)  # an input's descriptors change nothing
    joint = np.concatenate([part[:, : encoders.f.encoding_size] for part in both], axis=1)
    echoes = standardised(encoders, joint)[:, catalog.encoding_columns()["echoes"]]
    np.testing.assert_allclose(features[:, columns["echoes"]], echoes, atol=1e-5)


def test_templates_of_the_effect_are_compared_with_the_reference(encoders):
    """In line with the other descriptors; not without templates."""
    settings, harmonics = np.random.default_rng(3).standard_normal((2, 4, NUM_HARMONICS, NUM_COMPONENTS))
    templates = quantise_templates(np.abs(settings[:, 0, :3]) % 1.0, harmonics + 1j * settings)
    bare, encoders = encoders, encoders._replace(templates=templates)
    dry, reference = clips(2, 2, 32768)
    names = ("lfo_templates", "echoes", "lfo")
    extractor = make_extractor(encoders, *names)
    features = extractor.features(dry, reference)
    columns = catalog.columns_of(extractor.descriptors, 3)
    assert len(columns["lfo_templates"]) == 6
    expected = jax.jit(lambda audio: match_templates(audio, CONFIG.sample_rate, templates))(reference)
    np.testing.assert_allclose(features[:, columns["lfo_templates"]], expected, atol=1e-3)
    both = [extractor.encode(part) for part in (dry, reference)]
    np.testing.assert_array_equal(extractor.join(*both), features)  # an input's descriptors change nothing
    with pytest.raises(ValueError, match="needs templates"):
        make_extractor(bare, *names)


def test_networks_of_one_size_share_what_is_compiled(encoders):
    """A program takes seconds to compile; weights are its arguments."""
    clip = np.random.default_rng(4).standard_normal((1, 6000, 1)).astype(np.float32)
    programs: Any = (extractor_module._encode.program, extractor_module._join.program)
    first = make_extractor(encoders).features(clip, clip)
    compiled = [program._cache_size() for program in programs]
    halved = jax.tree.map(lambda leaf: leaf / 2, encoders.variables)
    others = networks.encoders_from(halved, encoders.metadata)
    second = make_extractor(others).features(np.repeat(clip, 3, 0), np.repeat(clip, 3, 0))
    assert [program._cache_size() for program in programs] == compiled
    assert np.abs(second[0] - first[0]).max() > 1e-3


def test_what_was_encoded_is_not_encoded_again(encoders, monkeypatch):
    extractor, calls = make_extractor(encoders, "lfo"), []
    encode = extractor_module._encode
    monkeypatch.setattr(extractor_module, "_encode", lambda *values: calls.append(1) or encode(*values))
    (first, second), _ = clips(5, 2, 8192)
    encodings = extractor.encode(np.stack([first, second]))
    encodings[:] = np.nan  # a caller may change its own
    again = extractor.encode(np.stack([second, first, second]))
    assert len(calls) == 2
    np.testing.assert_array_equal(again, make_extractor(encoders, "lfo").encode(np.stack([second, first, second])))
    assert not extractor.encode(first[None], is_reference=False)[:, -extractor.num_separate :].any()
    assert extractor.encode(first[None, :4096]).shape == again[:1].shape  # another clip, though it begins like that
    assert len(calls) == 6
