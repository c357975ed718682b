"""A controller for a chorus, from flanger to doubling: rate, depth, centre delay, feedback, mix.

dafxvae train --config configs/chorus.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .78 (.71 … .85) on 128 test pairs of
theirs, unprocessed input .87 (.79 … .95).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, WITH_LFO, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Chorus",
        ROUGH,
        h__descriptors=("combs", "movement", "lfo", "lfo_lags", "lfo_templates"),
        h__lfo__rate="rate_hz",
        **WITH_LFO,
    )
