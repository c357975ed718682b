"""A controller for any VST3 plugin, or a chain with some in it.

dafxvae effects show 'path/suite.vst3::Plugin Name'       what it offers
dafxvae train --config configs/vst3.py --config.effect='path/suite.vst3::Plugin Name(knob, other=0.5)'

What the run finds out by itself, and says: which parameters are worth control (those named in the effect are taken as
they are), how the sound follows each, and which descriptors of the reference help to tell them. For a chorus or phaser,
--config.h.descriptors="('lfo', 'lfo_lags', 'lfo_templates')" --config.h.lfo.rate=NAME of the knob that is its rate
in Hz, and --config.clip_samples=131072: what it moves in noise is measured, and looked for in references. Time and
result are those of the plugin.
"""

from ml_collections import ConfigDict

from dafxvae.config import MEASURED, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    effect = ""  # your plugin, by --config.effect
    return controller_config(effect, MEASURED, h__descriptors=("auto",), h__settings_weight=0.5, eval__num_pairs=96)
