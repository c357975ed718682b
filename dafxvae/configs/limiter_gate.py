"""A controller for a noise gate and a limiter.

dafxvae train --config configs/limiter_gate.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 2.27 (1.90 … 2.67) on 128 test pairs of
theirs, unprocessed input 4.79 (4.31 … 5.28).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("NoiseGate | Limiter", SMOOTH, h__descriptors=("amplitudes",))
