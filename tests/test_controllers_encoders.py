import pytest
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.controllers.encoders import load_encoders, save_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.weights import fingerprint, load_weights, save_weights
from dafxvae.effects.bank import open_bank

CONFIG = tiny_config()


@pytest.fixture(scope="module")
def made():
    """Random f and g, and what is stored of their making."""
    with open_bank(CONFIG.bank) as bank:
        return random_encoders(CONFIG, bank)


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / "e.safetensors"
    save_encoders(path, *made)
    return path


def test_storing_again_what_was_loaded_changes_nothing(path, tmp_path):
    encoders = load_encoders(path)
    save_encoders(tmp_path / "again.safetensors", encoders.variables, encoders.metadata)
    assert fingerprint(load_encoders(tmp_path / "again.safetensors").variables) == fingerprint(encoders.variables)


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
