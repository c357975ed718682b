import jax
import numpy as np
import pytest
from tiny import tiny_config

from dafxvae import build, networks
from dafxvae.audio.cycles import GROUPS as CYCLES
from dafxvae.audio.matched import NUM_COMPONENTS, NUM_HARMONICS, match, quantised
from dafxvae.audio.traces import GROUPS
from dafxvae.effects.bank import open_bank
from dafxvae.errors import UserError
from dafxvae.models.controller import ControllerVAE
from dafxvae.runs.encoder_store import SHIPPED, load_encoders, save_encoders, stored_encoders_path
from dafxvae.weights import fingerprint, load_weights, save_weights

CONFIG = tiny_config()


@pytest.fixture(scope="module")
def made():
    """Random f and g, and what is stored of their making."""
    with open_bank(CONFIG.bank) as bank:
        metadata = build.describe_encoders(CONFIG, bank)
    encoders = networks.encoders_from({}, metadata)
    key = jax.random.key(0)
    clip = 0.1 * jax.random.normal(key, (1, 8192, 1))
    f = jax.device_get(jax.jit(encoders.f.init, static_argnums=2)(key, clip, CONFIG.sample_rate, key[None]))
    g = jax.device_get(jax.jit(encoders.g.init)(key, np.zeros((1, encoders.g.joint_size)), key[None]))
    return {"f": f, "g": g}, metadata


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / "e.safetensors"
    save_encoders(path, *made)
    return path


def test_storing_again_what_was_loaded_changes_nothing(path, tmp_path):
    encoders = load_encoders(path)
    save_encoders(tmp_path / "again.safetensors", encoders.variables, encoders.metadata)
    assert fingerprint(load_encoders(tmp_path / "again.safetensors").variables) == fingerprint(encoders.variables)


def test_an_item_has_the_same_bits_alone_and_in_any_batch(path):
    encoders = load_encoders(path)
    dry, reference = (np.random.default_rng(1).standard_normal((2, 7, 8192, 1)) * 0.1).astype(np.float32)
    latent = networks.build_latent(encoders, CONFIG.sample_rate)
    together = np.asarray(latent(dry, reference))
    for size in (1, 2, 3):
        parts = [latent(dry[i : i + size], reference[i : i + size]) for i in range(0, 7, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_h_hears_g_and_beside_it_the_traces_that_it_asks_for(path):
    """The latent is as without them; traces are the reference's, standardised, group after group; f alone and then g
    give the same."""
    encoders = load_encoders(path)
    dry, reference = (np.random.default_rng(2).standard_normal((2, 3, 8192, 1)) * 0.1).astype(np.float32)
    groups = ("amplitudes", "echoes")
    heard = np.asarray(networks.build_latent(encoders, CONFIG.sample_rate, groups)(dry, reference))
    alone = np.asarray(networks.build_latent(encoders, CONFIG.sample_rate)(dry, reference))
    np.testing.assert_allclose(heard[:, : alone.shape[1]], alone, atol=1e-6)
    encode = networks.build_encode(encoders, CONFIG.sample_rate)
    both = [np.asarray(encode(clips)) for clips in (dry, reference)]
    g, variables = encoders.g, encoders.variables["g"]
    data = np.asarray(g.apply(variables, np.concatenate(both, axis=1), method=ControllerVAE.standardise))
    sizes = list(GROUPS.values())
    last, first = data[:, -sizes[3] :], data[:, data.shape[1] - sum(sizes) :][:, : sizes[0]]
    np.testing.assert_allclose(heard[:, alone.shape[1] :], np.concatenate([last, first], axis=1), atol=1e-5)
    np.testing.assert_allclose(networks.build_join(encoders, groups)(*both), heard, atol=1e-5)


def test_h_hears_cycles_of_the_reference_that_f_does_not_encode(path):
    """In the order in which they are asked for, as they are; and f's encoding stands first."""
    encoders = load_encoders(path)
    dry, reference = (np.random.default_rng(2).standard_normal((2, 2, 32768, 1)) * 0.1).astype(np.float32)
    groups = ("lag_cycles", "echoes", "cycles")
    heard = np.asarray(networks.build_latent(encoders, CONFIG.sample_rate, groups)(dry, reference))
    columns = networks.heard_columns(groups, 2)
    alone = jax.jit(lambda clips: [find(clips, CONFIG.sample_rate) for find in CYCLES.values()])(reference)
    for name, found in zip(CYCLES, alone, strict=True):
        np.testing.assert_allclose(heard[:, columns[name]], found, atol=1e-3)
    encode = networks.build_encode(encoders, CONFIG.sample_rate, groups)
    both = [np.asarray(encode(clips)) for clips in (dry, reference)]
    np.testing.assert_allclose(networks.build_join(encoders, groups)(*both), heard, atol=1e-3)
    joint = np.concatenate([part[:, : encoders.f.encoding_size] for part in both], axis=1)
    data = np.asarray(encoders.g.apply(encoders.variables["g"], joint, method=ControllerVAE.standardise))
    echoes = data[:, data.shape[1] - sum(GROUPS.values()) :][:, : GROUPS["echoes"]]
    np.testing.assert_allclose(heard[:, columns["echoes"]], echoes, atol=1e-5)


def test_h_hears_the_templates_of_its_effect(path):
    """One after another with the other traces; not without templates."""
    settings, harmonics = np.random.default_rng(3).standard_normal((2, 4, NUM_HARMONICS, NUM_COMPONENTS))
    templates = quantised(np.abs(settings[:, 0, :3]) % 1.0, harmonics + 1j * settings)
    bare = load_encoders(path)
    encoders = bare._replace(templates=templates)
    dry, reference = (np.random.default_rng(2).standard_normal((2, 2, 32768, 1)) * 0.1).astype(np.float32)
    groups = ("matched", "echoes", "cycles")
    heard = np.asarray(networks.build_latent(encoders, CONFIG.sample_rate, groups)(dry, reference))
    columns = networks.heard_columns(groups, 3)
    assert len(columns["matched"]) == 6
    found = jax.jit(lambda clips: match(clips, CONFIG.sample_rate, templates))(reference)
    np.testing.assert_allclose(heard[:, columns["matched"]], found, atol=1e-3)
    encode = networks.build_encode(encoders, CONFIG.sample_rate, groups)
    both = [np.asarray(encode(clips)) for clips in (dry, reference)]
    np.testing.assert_allclose(networks.build_join(encoders, groups)(*both), heard, atol=1e-3)
    with pytest.raises(ValueError, match="need templates"):
        networks.build_latent(bare, CONFIG.sample_rate, groups)(dry, reference)


def test_traces_that_f_does_not_have_are_refused():
    with pytest.raises(
        UserError, match=r"h\.traces has 'echos': .*echoes, combs, movement, amplitudes, cycles, lag_cycles, matched"
    ):
        networks.heard_traces(tiny_config(h__traces=("echos",)))


def test_weights_that_encode_otherwise_than_when_they_were_stored_are_refused(path, tmp_path):
    variables, metadata = load_weights(path)
    variables["g"]["params"]["encoder"]["Dense_0"]["bias"] += 0.5
    other = tmp_path / "other.safetensors"
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    save_weights(other, variables, own)
    with pytest.raises(UserError, match="check clip"):
        load_encoders(other)


def without_style(variables, metadata):
    del metadata["f"]["style_dim"]


def without_skip(variables, metadata):
    del variables["g"]["params"]["encoder_skip"]


def of_another_width(variables, metadata):
    metadata["g"]["width"] += 1


@pytest.mark.parametrize("age", [without_style, without_skip, of_another_width])
def test_networks_of_an_older_version_are_refused_with_what_to_do(path, tmp_path, age):
    variables, metadata = load_weights(path)
    age(variables, metadata)
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    save_weights(tmp_path / "old.safetensors", variables, own)
    with pytest.raises(UserError, match=r"old\.safetensors.*--config\.pretrained"):
        load_encoders(tmp_path / "old.safetensors")


def test_names_lead_to_the_package_the_data_folder_or_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path))
    assert stored_encoders_path("mine") == tmp_path / "pretrained" / "mine.safetensors"
    assert str(stored_encoders_path("some/where.safetensors")) == "some/where.safetensors"
    assert stored_encoders_path(SHIPPED).parent.name == "pretrained"
