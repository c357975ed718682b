"""Pretrains f and g on the bank of effects and stores them for every later controller; trains no controller.

python -m dafxvae.train --config configs/pretrain.py

On two CPU cores (AMD EPYC): 6 minutes.
"""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.effect = ""  # none: stop after g
    return config
