"""A controller for any VST3 plugin, or a chain with some in it.

dafxvae effects show 'path/suite.vst3::Plugin Name'       what it offers
dafxvae gradients calibrate 'path/suite.vst3::Plugin Name'  how far each knob should move: measured once
dafxvae train --config configs/vst3.py --config.effect='path/suite.vst3::Plugin Name(knob, other=0.5)'

A delay's time is a direct estimate with --config.h.descriptors="('echoes',)", a bit depth with "('amplitudes',)":
`python -m benchmarks.studies.descriptor_choice CONFIG` measures what they are worth. For a chorus or phaser,
--config.h.descriptors="('lfo', 'lfo_lags', 'lfo_templates')" --config.h.lfo.rate=NAME of the knob that is its rate
in Hz, and --config.clip_samples=131072: what it moves in noise is measured, and looked for in references. Time and
result are those of the plugin: none were measured here.
"""

from ml_collections import ConfigDict

from dafxvae.config import SMOOTH, controller_config


def get_config() -> ConfigDict:
    """See the module's docstring."""
    return controller_config("", SMOOTH)  # your plugin, by --config.effect
