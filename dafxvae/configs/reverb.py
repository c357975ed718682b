"""A controller for a reverb: room size, damping, wet and dry level, width.

dafxvae train --config configs/reverb.py

On two CPU cores: 4 minutes 52 seconds from a fresh clone, installation of downloaded packages included.
Test MRSTFT on the embedded corpus .558 (.496 … .622), unprocessed input 1.020 (.910 … 1.142).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .57 (.51 … .64) on 128 test pairs of
theirs, unprocessed input .94 (.84 … 1.05).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Reverb", SMOOTH, h__num_pairs=12288, h__num_audio_pairs=2048, h__num_steps=1000, h__learning_rate=1e-3
    )
