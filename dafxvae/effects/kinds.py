"""What an effect changes in a recording: of every built-in by a table, of a VST3 plugin by its category or response."""

import numpy as np

from dafxvae.effects.chain import Unit
from dafxvae.effects.host import EffectHost
from dafxvae.effects.response import Response, measure_response
from dafxvae.effects.units import BuiltinUnit

SPECTRUM, DYNAMICS, SPACE, MODULATION, DISTORTION, PITCH, LEVEL = KINDS = (
    *("spectrum", "dynamics", "space", "modulation", "distortion", "pitch", "level"),
)
BUILTIN_KINDS = {
    **dict.fromkeys(("HighShelfFilter", "LowShelfFilter", "PeakFilter", "HighpassFilter", "LowpassFilter"), SPECTRUM),
    **dict.fromkeys(("LadderFilter", "Resample", "GSMFullRateCompressor", "MP3Compressor"), SPECTRUM),
    **dict.fromkeys(("Compressor", "Limiter", "BrickwallLimiter", "NoiseGate"), DYNAMICS),
    **dict.fromkeys(("Reverb", "Delay", "Convolution"), SPACE),
    **dict.fromkeys(("Chorus", "Phaser"), MODULATION),
    **dict.fromkeys(("Bitcrush", "Clipping", "Distortion"), DISTORTION),
    "PitchShift": PITCH,
    **dict.fromkeys(("Gain", "Invert"), LEVEL),
}
CATEGORIES = {  # of VST3's standard
    **dict.fromkeys(("EQ", "Filter"), SPECTRUM),
    "Dynamics": DYNAMICS,
    **dict.fromkeys(("Delay", "Reverb", "Spatial"), SPACE),
    "Modulation": MODULATION,
    "Distortion": DISTORTION,
    "Pitch Shift": PITCH,
}
LATE = -8  # windows of a decay from here on are later than .1 s


def unit_kind(unit: Unit) -> str:
    """The kind of an effect as far as its name or category says it, else ""."""
    if isinstance(unit, BuiltinUnit):
        return BUILTIN_KINDS[unit.spec.name]
    return next((CATEGORIES[part] for part in unit.category.split("|") if part in CATEGORIES), "")


def response_kinds(response: Response) -> list[str]:
    """The kind of each of B responses, by the first that holds.

    It rings on, adds harmonics, depends on the level, moves, or has a shape over frequency; else it is a level alone.
    """
    levels = response.spectrum.mean(-1)  # [B, levels]
    shape = np.sqrt((response.spectrum - levels[..., None]).std(-1).mean(-1))
    movement = np.sqrt(np.square(response.movement).mean((1, 2)))
    found = np.select(
        [
            response.decay[..., LATE:].mean((1, 2)) > 1.0,
            response.harmonics[..., 1:-1].mean((1, 2)) > 2.0,
            (levels.std(-1) > 1.5) & (shape < 1.0),
            (movement > 0.15) & (movement > 0.1 * shape),
            shape > 0.3,
        ],
        [SPACE, DISTORTION, DYNAMICS, MODULATION, SPECTRUM],
        LEVEL,
    )
    return found.tolist()


def measured_kind(host: EffectHost, unit_params: np.ndarray, sample_rate: int) -> str:
    """The kind of an effect by its response at some settings `[K]`: one render of 8 s.

    Args:
        host: of the effect alone.
        unit_params: `[K]`.
        sample_rate: Hz, above 22 kHz.
    """
    return response_kinds(measure_response(host, unit_params[None], sample_rate))[0]
