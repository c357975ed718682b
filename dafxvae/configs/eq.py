"""A controller for an equaliser: high pass, low shelf, two peaks, high shelf, low pass.

dafxvae train --config configs/eq.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .98 (.85 … 1.13) on 128 test pairs of
theirs, unprocessed input 2.21 (2.00 … 2.42).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config

EFFECT = (
    "HighpassFilter | LowShelfFilter | PeakFilter(cutoff_frequency_hz=100..1200) | "
    "PeakFilter(cutoff_frequency_hz=1200..8000) | HighShelfFilter | LowpassFilter"
)  # two peaks of one range could change places, and their settings could not be identified


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(EFFECT, SMOOTH, h__num_steps=600, h__learning_rate=1e-3)
