"""A controller for a phaser: rate, depth, centre frequency, feedback, mix.

python -m dafxvae.train --config configs/phaser.py
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Phaser", ROUGH)
