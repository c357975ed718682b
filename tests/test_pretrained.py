"""The f and g that come with the package: the very bytes, the base configuration's sizes, and what they tell apart."""

import hashlib

from dafxvae.config import Config, base_config
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.runs.pretraining import check_encoders

SHA256 = "63b4e7e4f6617a249a06cd4814ea8844e8e314eb662eccb8b804b6ca249e3597"
PATH = stored_encoders_path(SHIPPED)


def test_the_bytes_are_those_of_the_model_card():
    digest = hashlib.sha256(PATH.read_bytes()).hexdigest()
    assert digest == SHA256
    assert digest in (PATH.parent / "README.md").read_text()
    assert PATH.stat().st_size <= 12e6


def test_the_base_configuration_takes_them():
    config: Config = base_config()
    assert config.pretrained == SHIPPED
    encoders = load_encoders(PATH)  # tries them on the stored clip
    check_encoders(encoders, config, PATH)
    assert encoders.metadata["bank"] == list(config.bank)
