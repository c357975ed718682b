"""A controller for a six-band equaliser and a compressor: the chain of DeepAFx-ST, with make-up gain.

dafxvae train --config configs/eq_compressor.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT 1.14 (.97 … 1.37) on 128 test pairs of
theirs, unprocessed input 2.39 (2.11 … 2.72).
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config

EFFECT = (
    "LowShelfFilter | PeakFilter(cutoff_frequency_hz=80..400) | PeakFilter(cutoff_frequency_hz=400..1200) | "
    "PeakFilter(cutoff_frequency_hz=1200..3500) | PeakFilter(cutoff_frequency_hz=3500..9000) | HighShelfFilter | "
    "Compressor | Gain"
)  # a band each, as there


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(EFFECT, SMOOTH, h__num_steps=300)
