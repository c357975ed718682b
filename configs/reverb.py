"""A controller for Pedalboard's Reverb: room size, damping, wet and dry level, width.

python -m dafxvae.train --config configs/reverb.py

On two CPU cores (AMD EPYC): 9 minutes from nothing, 3 with f and g stored. Test MRSTFT on the embedded corpus .716
(.640 … .799), doing nothing 1.020 (.910 … 1.142). SPSA with one probe, because exact gradients (`orthogonal`, six
renders for its three) end at .707 (.635 … .789) after as many steps: a tie for twice the renders.
"""

from ml_collections import ConfigDict

from dafxvae.config import base_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.effect = "Reverb"
    return config
