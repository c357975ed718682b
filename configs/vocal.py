"""A controller for a vocal chain: high pass, compressor, equaliser, delay, reverb.

python -m dafxvae.train --config configs/vocal.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config

EFFECT = "HighpassFilter | Compressor | LowShelfFilter | PeakFilter | HighShelfFilter | Delay | Reverb"


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(EFFECT, SMOOTH)
