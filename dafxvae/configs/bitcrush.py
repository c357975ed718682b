"""A controller for a bit crusher: bit depth.

dafxvae train --config configs/bitcrush.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .08 (.07 … .09) on 128 test pairs of
theirs, unprocessed input 2.12 (1.93 … 2.31).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Bitcrush", SMOOTH, h__descriptors=("amplitudes",))
