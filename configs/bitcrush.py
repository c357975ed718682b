"""A controller for a bit crusher: bit depth.

python -m dafxvae.train --config configs/bitcrush.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Bitcrush", SMOOTH)
