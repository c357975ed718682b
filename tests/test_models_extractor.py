"""What h hears: f, the traces beside it, and g."""

import jax
import numpy as np
import pytest
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.core.errors import UserError
from dafxvae.descriptors.cycles import GROUPS as CYCLES
from dafxvae.descriptors.matched import NUM_COMPONENTS, NUM_HARMONICS, match_templates, quantised
from dafxvae.descriptors.traces import GROUPS
from dafxvae.effects.bank import open_bank
from dafxvae.models import extractor as hearing_module
from dafxvae.models import networks
from dafxvae.models.controller import ControllerVAE
from dafxvae.models.extractor import FeatureExtractor

CONFIG = tiny_config()


@pytest.fixture(scope="module")
def encoders():
    with open_bank(CONFIG.bank) as bank:
        return networks.encoders_from(*random_encoders(CONFIG, bank))


def test_an_item_has_the_same_bits_alone_and_in_any_batch(encoders):
    dry, reference = (np.random.default_rng(1).standard_normal((2, 7, 8192, 1)) * 0.1).astype(np.float32)
    latent = FeatureExtractor(encoders, CONFIG.sample_rate).latent
    together = latent(dry, reference)
    for size in (1, 2, 3):
        parts = [latent(dry[i : i + size], reference[i : i + size]) for i in range(0, 7, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_h_hears_g_and_beside_it_the_traces_that_it_asks_for(encoders):
    """The latent is as without them; traces are the reference's, standardised, group after group; f alone and then g
    give the same."""
    dry, reference = (np.random.default_rng(2).standard_normal((2, 3, 8192, 1)) * 0.1).astype(np.float32)
    groups = ("amplitudes", "echoes")
    hearing = FeatureExtractor(encoders, CONFIG.sample_rate, groups)
    heard = hearing.latent(dry, reference)
    alone = FeatureExtractor(encoders, CONFIG.sample_rate).latent(dry, reference)
    np.testing.assert_allclose(heard[:, : alone.shape[1]], alone, atol=1e-6)
    both = [FeatureExtractor(encoders, CONFIG.sample_rate).encode(clips) for clips in (dry, reference)]
    g, variables = encoders.g, encoders.variables["g"]
    data = np.asarray(g.apply(variables, np.concatenate(both, axis=1), method=ControllerVAE.standardise))
    sizes = list(GROUPS.values())
    last, first = data[:, -sizes[3] :], data[:, data.shape[1] - sum(sizes) :][:, : sizes[0]]
    np.testing.assert_allclose(heard[:, alone.shape[1] :], np.concatenate([last, first], axis=1), atol=1e-5)
    np.testing.assert_array_equal(hearing.join(*both), heard)


def test_h_hears_cycles_of_the_reference_that_f_does_not_encode(encoders):
    """In the order in which they are asked for, as they are; and f's encoding stands first."""
    dry, reference = (np.random.default_rng(2).standard_normal((2, 2, 32768, 1)) * 0.1).astype(np.float32)
    groups = ("lag_cycles", "echoes", "cycles")
    hearing = FeatureExtractor(encoders, CONFIG.sample_rate, groups)
    heard = hearing.latent(dry, reference)
    columns = networks.heard_columns(groups, 2)
    alone = jax.jit(lambda clips: [find(clips, CONFIG.sample_rate) for find in CYCLES.values()])(reference)
    for name, found in zip(CYCLES, alone, strict=True):
        np.testing.assert_allclose(heard[:, columns[name]], found, atol=1e-3)
    both = [hearing.encode(clips) for clips in (dry, reference)]
    np.testing.assert_array_equal(hearing.join(*both), heard)  # nothing is heard of an input's traces
    joint = np.concatenate([part[:, : encoders.f.encoding_size] for part in both], axis=1)
    data = np.asarray(encoders.g.apply(encoders.variables["g"], joint, method=ControllerVAE.standardise))
    echoes = data[:, data.shape[1] - sum(GROUPS.values()) :][:, : GROUPS["echoes"]]
    np.testing.assert_allclose(heard[:, columns["echoes"]], echoes, atol=1e-5)


def test_h_hears_the_templates_of_its_effect(encoders):
    """One after another with the other traces; not without templates."""
    settings, harmonics = np.random.default_rng(3).standard_normal((2, 4, NUM_HARMONICS, NUM_COMPONENTS))
    templates = quantised(np.abs(settings[:, 0, :3]) % 1.0, harmonics + 1j * settings)
    bare, encoders = encoders, encoders._replace(templates=templates)
    dry, reference = (np.random.default_rng(2).standard_normal((2, 2, 32768, 1)) * 0.1).astype(np.float32)
    groups = ("matched", "echoes", "cycles")
    hearing = FeatureExtractor(encoders, CONFIG.sample_rate, groups)
    heard = hearing.latent(dry, reference)
    columns = networks.heard_columns(groups, 3)
    assert len(columns["matched"]) == 6
    found = jax.jit(lambda clips: match_templates(clips, CONFIG.sample_rate, templates))(reference)
    np.testing.assert_allclose(heard[:, columns["matched"]], found, atol=1e-3)
    both = [hearing.encode(clips) for clips in (dry, reference)]
    np.testing.assert_array_equal(hearing.join(*both), heard)  # nothing is heard of an input's traces
    with pytest.raises(ValueError, match="need templates"):
        FeatureExtractor(bare, CONFIG.sample_rate, groups)


def test_networks_of_one_size_share_what_is_compiled(encoders):
    """A program takes seconds to compile; weights are its arguments."""
    clip = np.random.default_rng(4).standard_normal((1, 6000, 1)).astype(np.float32)
    programs = hearing_module._encode, hearing_module._join
    first = FeatureExtractor(encoders, CONFIG.sample_rate).latent(clip, clip)
    compiled = [program._cache_size() for program in programs]
    halved = jax.tree.map(lambda leaf: leaf / 2, encoders.variables)
    others = networks.encoders_from(halved, encoders.metadata)
    second = FeatureExtractor(others, CONFIG.sample_rate).latent(np.repeat(clip, 3, 0), np.repeat(clip, 3, 0))
    assert [program._cache_size() for program in programs] == compiled
    assert np.abs(second[0] - first[0]).max() > 1e-3


def test_traces_that_f_does_not_have_are_refused():
    with pytest.raises(
        UserError, match=r"h\.traces has 'echos': .*echoes, combs, movement, amplitudes, cycles, lag_cycles, matched"
    ):
        networks.heard_traces(tiny_config(h__traces=("echos",)))
