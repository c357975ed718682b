"""A controller for worn-out equipment: distortion, bit crusher, high and low pass.

dafxvae train --config configs/lofi.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.62 (1.41 … 1.84) on 128 test pairs of
theirs, unprocessed input 4.05 (3.50 … 4.61).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    effect = "Distortion | Bitcrush | HighpassFilter | LowpassFilter"
    return controller_config(effect, SMOOTH, h__descriptors=("amplitudes",))
