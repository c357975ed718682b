"""The digit VAE: 7 minutes on two busy cores; 97 % of its reconstructions are recognised, of the originals 98 %."""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.job = "digits"
    config.sample_rate = 8000
    return config
