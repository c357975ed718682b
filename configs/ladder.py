"""A controller for the ladder filter: mode, cutoff, resonance, drive.

python -m dafxvae.train --config configs/ladder.py
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("LadderFilter", ROUGH)
