"""A controller for an echo: delay time, feedback, mix.

python -m dafxvae.train --config configs/delay.py
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Delay", ROUGH, h__num_steps=300)
