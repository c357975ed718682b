"""A controller for a phaser: rate, depth, centre frequency, feedback, mix.

python -m dafxvae.train --config configs/phaser.py

Beside MRSTFT, whose minimum is "dry" while the time or rate is wrong, the mel spectrum smoothed over a second, whose
minimum is not (docs/objectives.md).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .49 (.43 … .56) on 128 test pairs of
theirs, unprocessed input .58 (.51 … .66).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Phaser",
        ROUGH,
        h__loss_weights={"mrstft": 1.0, "smoothed_mel": 1.0},
        h__settings_weight=0.5,
        h__descriptors=("movement", "lfo", "lfo_lags", "lfo_templates"),
        h__lfo__rate="rate_hz",
        h__lfo__mix_estimates=True,
        h__warm_start__margin=0.2,
        h__warm_start__num_steps=3000,
        h__num_steps=400,
        h__learning_rate=1.5e-3,
        clip_samples=131072,
    )
