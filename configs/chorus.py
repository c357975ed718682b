"""A controller for a chorus, from flanger to doubling: rate, depth, centre delay, feedback, mix.

python -m dafxvae.train --config configs/chorus.py
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Chorus", ROUGH)
