"""A controller for a chorus, from flanger to doubling: rate, depth, centre delay, feedback, mix.

python -m dafxvae.train --config configs/chorus.py

Beside MRSTFT, whose minimum is "dry" while the time or rate is wrong, the mel spectrum smoothed over a second, whose
minimum is not (docs/objectives.md).

As it ships, trained on the corpora of dafxvae/pretrained/README.md: MRSTFT .78 (.71 … .85) on 128 test pairs of
theirs, unprocessed input .87 (.79 … .95).
"""

from ml_collections import ConfigDict

from dafxvae.config import ROUGH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config(
        "Chorus",
        ROUGH,
        h__loss_weights={"mrstft": 1.0, "smoothed_mel": 1.0},
        h__settings_weight=0.5,
        h__descriptors=("combs", "movement", "lfo", "lfo_lags", "lfo_templates"),
        h__lfo__rate="rate_hz",
        h__warm_start__margin=0.2,
        h__warm_start__num_steps=3000,
        h__num_steps=400,
        h__learning_rate=1.5e-3,
        clip_samples=131072,
    )
