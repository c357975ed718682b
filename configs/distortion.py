"""A controller for a distortion: drive, tone and level.

python -m dafxvae.train --config configs/distortion.py

On two CPU cores shared with other jobs: 2 min 23 s, the embedded corpus rendered before. Test MRSTFT on it
1.639 (1.351 … 1.935), doing nothing 3.465 (2.778 … 4.194).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 2.04 (1.65 … 2.47) on 128 test pairs of
theirs, doing nothing 5.28 (4.31 … 6.41).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Distortion | LowpassFilter | Gain", SMOOTH)
