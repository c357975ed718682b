"""A controller for worn-out equipment: distortion, bit crusher, high and low pass.

python -m dafxvae.train --config configs/lofi.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Distortion | Bitcrush | HighpassFilter | LowpassFilter", SMOOTH)
