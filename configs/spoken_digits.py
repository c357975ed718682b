"""The digit VAE."""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.job = "digits"
    config.sample_rate = 8000
    return config
