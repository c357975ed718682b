"""A controller for a compressor: threshold, ratio, attack, release and make-up gain.

dafxvae train --config configs/compressor.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .87 (.70 … 1.07) on 128 test pairs of
theirs, unprocessed input 2.10 (1.79 … 2.46).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Compressor | Gain",
        SMOOTH,
        h__num_pairs=12288,
        h__num_audio_pairs=2048,
        h__num_steps=1000,
        h__learning_rate=1e-3,
    )
