"""A controller for a compressor: threshold, ratio, attack, release and make-up gain.

python -m dafxvae.train --config configs/compressor.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Compressor | Gain", SMOOTH)
