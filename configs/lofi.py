"""A controller for worn-out equipment: distortion, bit crusher, high and low pass.

python -m dafxvae.train --config configs/lofi.py

On two CPU cores shared with other jobs: 2 min 31 s, the embedded corpus rendered before. Test MRSTFT on it
1.541 (1.335 … 1.750), doing nothing 3.081 (2.635 … 3.574).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.87 (1.63 … 2.11) on 128 test pairs of
theirs, doing nothing 4.05 (3.50 … 4.61).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("Distortion | Bitcrush | HighpassFilter | LowpassFilter", SMOOTH)
