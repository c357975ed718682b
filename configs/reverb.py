"""A controller for Pedalboard's Reverb: room size, damping, wet and dry level, width.

python -m dafxvae.train --config configs/reverb.py

On two CPU cores that were busy with other work: 7 minutes, f and g being there. Test MRSTFT on the embedded corpus .651
(.583 … .727), doing nothing 1.020 (.910 … 1.142).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Reverb", SMOOTH, h__num_pairs=12288, h__num_audio_pairs=2048, h__num_steps=1000, h__learning_rate=1e-3
    )
