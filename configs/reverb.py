"""A controller for Pedalboard's Reverb: room size, damping, wet and dry level, width.

python -m dafxvae.train --config configs/reverb.py

On two CPU cores that were busy with other work: 13 minutes on the train corpora, f and g being there; test MRSTFT .66
(.59 … .74), doing nothing .94 (.84 … 1.05).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Reverb", SMOOTH, h__num_pairs=12288, h__num_audio_pairs=2048, h__num_steps=1000, h__learning_rate=1e-3
    )
