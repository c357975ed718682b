"""A controller for a noise gate and a limiter.

python -m dafxvae.train --config configs/limiter_gate.py
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("NoiseGate | Limiter", SMOOTH)
