"""A controller for a phaser: rate, depth, centre frequency, feedback, mix.

dafxvae train --config configs/phaser.py

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .49 (.43 … .56) on 128 test pairs of
theirs, unprocessed input .58 (.51 … .66).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, WITH_LFO, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Phaser",
        ROUGH,
        h__descriptors=("movement", "lfo", "lfo_lags", "lfo_templates"),
        h__lfo__rate="rate_hz",
        h__lfo__mix_estimates=True,
        **WITH_LFO,
    )
