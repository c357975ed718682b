"""Parameters of a VST3 plugin: units, scales, kinds, and the mapping to its raw values.

A plugin's own scale is `raw`, in [0, 1]; the texts that it shows tell what raw means. Where they form a straight or an
exponential line, physical values are those of the texts, and a frequency or time that the plugin spreads linearly is
learnt on a log scale all the same. Texts are read once, to name things: settings always travel as raw values.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dafxvae.effects.parameters import Parameter, Scale

PROBES = (0.0, 0.25, 0.5, 0.75, 1.0)  # raw values whose texts are read
MAX_CHOICES = 256
LOG_RATIO = 8.0  # three octaves: below, a linear scale serves a frequency or time as well
BYPASS = {"bypass", "bypassed", "mute", "solo", "power", "enable", "enabled", "active", "freeze", "listen"}
SIDECHAIN = re.compile(r"(ext(ernal)?_)?side_?chain(_(in|input|on|source|listen))?")  # an input that has no signal here
HOST_TEMPO = re.compile(r"(^|_)(tempo|host|bpm)?_?sync(_|$)")  # a render has no tempo to follow
METER = re.compile(r"gain_?reduction|(^|_)(meter|vu)(_|\d|$)")  # some plugins call their meters automatable
PROGRAM = {"program", "programs", "current_program", "preset", "presets"}
UNITS = {
    "hz": ("Hz", 1.0),
    "khz": ("Hz", 1e3),
    "ms": ("ms", 1.0),
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "db": ("dB", 1.0),
}
NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s][^\d]*)?$")


@dataclass(frozen=True)
class RawParameter:
    """A parameter as the plugin describes it; read in the plugin's process.

    Attributes:
        name: Pedalboard's Python name, with the unit appended.
        label: the plugin's unit, "" if none.
        raw: at load.
        default: raw.
        num_steps: number of values, as the plugin claims; a huge number for continuous.
        is_text: the values are words.
        is_boolean: the values are True and False.
        automatable: False for meters and for what belongs to the host (its sample rate, its block size).
        texts: at each of PROBES, or at each step if there are at most MAX_CHOICES.
    """

    name: str
    label: str
    raw: float
    default: float
    num_steps: int
    is_text: bool
    is_boolean: bool
    automatable: bool
    texts: tuple[str, ...]

    @property
    def is_program(self) -> bool:
        return self.name in PROGRAM

    @property
    def is_discrete(self) -> bool:
        return 2 <= self.num_steps <= MAX_CHOICES

    @property
    def is_controllable(self) -> bool:
        """Meters and host values are not, nor is what has one value only."""
        return self.automatable and self.num_steps > 1 and (len(set(self.texts)) > 1 or not self.is_text)


@dataclass(frozen=True)
class Vst3Parameter:
    """A controllable parameter, ours and the plugin's."""

    parameter: Parameter
    raw: RawParameter
    raw_scale: Scale  # how the plugin spreads its raw values over the physical range

    def from_raw(self, raw: float) -> float:
        """The physical value of a raw one; the inverse of `to_raw`."""
        p = self.parameter
        if p.is_discrete:
            raw = round(raw * (p.num_values - 1)) / (p.num_values - 1)
        if self.raw_scale == "log":
            return p.minimum * float((p.maximum / p.minimum) ** raw)
        return p.minimum + (p.maximum - p.minimum) * raw

    def to_raw(self, physical: float) -> float:
        """The raw value in [0, 1] that sets the plugin to `physical`; clipped to the range."""
        p = self.parameter
        physical = min(max(physical, p.minimum), p.maximum)
        if p.is_discrete:
            return float(np.rint((physical - p.minimum) / (p.maximum - p.minimum) * (p.num_values - 1))) / (
                p.num_values - 1
            )
        if self.raw_scale == "log":
            return float(np.log(physical / p.minimum) / np.log(p.maximum / p.minimum))
        return (physical - p.minimum) / (p.maximum - p.minimum)


def read_number(text: str) -> tuple[float, str] | None:
    """Value and unit of "12.5 kHz", "-3", ".5dB"; None when the text is no number."""
    match = NUMBER.match(text.replace("\N{MINUS SIGN}", "-"))
    if match is None:
        return None
    label = (match[2] or "").strip()
    unit, factor = UNITS.get(label.lower(), (label, 1.0))
    return float(match[1]) * factor, unit


def interpret(raw: RawParameter) -> Vst3Parameter:
    """Our view of a controllable parameter.

    Args:
        raw: with `is_controllable`.
    """
    name = raw.name.lower()
    words = set(re.split(r"[^a-z]+", name))
    is_switch = words & BYPASS or SIDECHAIN.fullmatch(name) or (raw.is_discrete and HOST_TEMPO.search(name))
    controlled = not (raw.is_program or is_switch or METER.search(name))
    numbers = [read_number(text) for text in raw.texts]
    values = np.array([number[0] if number else np.nan for number in numbers])
    if raw.is_discrete:
        return Vst3Parameter(_discrete(raw, values, controlled), raw, "linear")
    unit, factor = UNITS.get(raw.label.lower(), (raw.label, 1.0))
    if not unit and numbers[0] and numbers[-1]:
        unit = numbers[-1][1]
    else:
        values = values * factor
    raw_scale = _scale(values)
    if raw_scale is None:
        return Vst3Parameter(Parameter(raw.name, "", 0.0, 1.0, raw.default, controlled=controlled), raw, "linear")
    low, high = float(values[0]), float(values[-1])
    wants_log = unit in ("Hz", "ms", "s") and low > 0 and high >= LOG_RATIO * low
    scale: Scale = "log" if wants_log or raw_scale == "log" else "linear"
    default = low * (high / low) ** raw.default if raw_scale == "log" else low + (high - low) * raw.default
    parameter = Parameter(
        raw.name,
        unit,
        low,
        high,
        min(max(default, low), high),
        scale=scale,
        controlled=controlled,
        nyquist_limited=unit == "Hz",
    )
    return Vst3Parameter(parameter, raw, raw_scale)


def _discrete(raw: RawParameter, values: np.ndarray, controlled: bool) -> Parameter:
    n = raw.num_steps
    index = round(raw.default * (n - 1))
    if raw.is_boolean or (n == 2 and np.array_equal(values, [0.0, 1.0])):
        return Parameter(raw.name, "", 0, 1, index, kind="boolean", controlled=controlled)
    steps = np.diff(values)
    if not raw.is_text and np.isfinite(values).all() and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3):
        low, high = float(values[0]), float(values[-1])
        default = float(values[index])
        return Parameter(raw.name, raw.label, low, high, default, kind="stepped", num_values=n, controlled=controlled)
    labels = _unique(raw.texts)
    return Parameter(raw.name, "", 0, n - 1, index, kind="choice", labels=labels, controlled=controlled)


def _scale(values: np.ndarray) -> Scale | None:
    """How numbers at PROBES run: straight, exponentially, or neither; rising only."""
    if not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        return None
    low, high = values[0], values[-1]
    tolerance = 5e-3 * (high - low)  # texts are rounded
    if np.abs(values - (low + (high - low) * np.array(PROBES))).max() < tolerance:
        return "linear"
    if low > 0 and np.abs(np.log(values / low) / np.log(high / low) - np.array(PROBES)).max() < 5e-3:
        return "log"
    return None


def _unique(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels, a repeated one with its number behind."""
    return tuple(
        label if labels.index(label) == i else f"{label} #{labels[: i + 1].count(label)}"
        for i, label in enumerate(labels)
    )
