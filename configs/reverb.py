"""A controller for Pedalboard's Reverb: room size, damping, wet and dry level, width.

python -m dafxvae.train --config configs/reverb.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Reverb", SMOOTH)
