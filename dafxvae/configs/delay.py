"""A controller for an echo: delay time, feedback, mix.

dafxvae train --config configs/delay.py

On two CPU cores: 3 min 28 s, the corpora being there.

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .50 (.44 … .55) on 128 test pairs of
theirs, unprocessed input .98 (.87 … 1.10).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Delay", ROUGH, h__num_steps=300, h__settings_weight=0.5, h__descriptors=("echoes",))
