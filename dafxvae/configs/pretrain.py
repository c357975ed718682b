"""Pretrains f and g on real corpora, the embedded one and a wide bank of effects and random chains; no controller.

dafxvae data fetch train
dafxvae data render --config configs/pretrain.py --stage f --num_pairs 32000 --out /big/disk/pairs
dafxvae train --config configs/pretrain.py --config.data.prerendered.f=/big/disk/pairs \
    --config.data.prerendered.g=/big/disk/pairs

On two CPU cores rendering took 10 minutes, each of f's 4000 steps .34 s (23 minutes in all), and g 1 min 20 s after 7.5
minutes of encoding. What the pair that ships tells of effects and settings: dafxvae/pretrained/README.md.
"""

from ml_collections import ConfigDict

from dafxvae.config import base_config
from dafxvae.core.paths import data_dir


def get_config() -> ConfigDict:
    """See the module's docstring."""
    config = base_config()
    config.update_from_flattened_dict(
        {
            "effect": "",  # none: stop after g
            "pretrained": "mine",
            "pretrain": True,
            "data.folder": str(data_dir() / "train"),
            "data.with_embedded": True,
            "data.mode": "mixed",
        }
    )
    return config
