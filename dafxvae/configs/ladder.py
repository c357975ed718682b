"""A controller for the ladder filter: mode, cutoff, resonance, drive.

dafxvae train --config configs/ladder.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .90 (.77 … 1.05) on 128 test pairs of
theirs, unprocessed input 2.55 (2.27 … 2.86).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("LadderFilter", ROUGH)
