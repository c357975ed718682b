"""A controller for a distortion: drive, tone and level.

python -m dafxvae.train --config configs/distortion.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Distortion | LowpassFilter | Gain", SMOOTH)
