"""A controller for a bit crusher: bit depth.

python -m dafxvae.train --config configs/bitcrush.py

On two CPU cores shared with other jobs: 2 min 9 s, the embedded corpus rendered before. Test MRSTFT on it
.961 (.844 … 1.093), doing nothing 2.213 (2.022 … 2.413).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.17 (1.03 … 1.32) on 128 test pairs of
theirs, doing nothing 2.12 (1.93 … 2.31).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Bitcrush", SMOOTH)
