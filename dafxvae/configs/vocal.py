"""A controller for a vocal chain: high pass, compressor, equaliser, delay, reverb.

dafxvae train --config configs/vocal.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.08 (.95 … 1.20) on 128 test pairs of
theirs, unprocessed input 2.08 (1.89 … 2.28).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config

EFFECT = "HighpassFilter | Compressor | LowShelfFilter | PeakFilter | HighShelfFilter | Delay | Reverb"


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(EFFECT, SMOOTH, h__descriptors=("echoes", "amplitudes"))
