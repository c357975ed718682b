"""A controller for a distortion: drive, tone and level.

dafxvae train --config configs/distortion.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.95 (1.56 … 2.39) on 128 test pairs of
theirs, unprocessed input 5.28 (4.31 … 6.41).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Distortion | LowpassFilter | Gain", SMOOTH)
