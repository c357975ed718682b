"""A controller for the ladder filter: mode, cutoff, resonance, drive.

python -m dafxvae.train --config configs/ladder.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.56 (1.37 … 1.76) on 128 test pairs of
theirs, doing nothing 2.73 (2.44 … 3.02).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("LadderFilter", ROUGH)
