"""A controller for Pedalboard's Reverb: room size, damping, wet and dry level, width.

python -m dafxvae.train --config configs/reverb.py
"""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.effect = "Reverb"
    return config
