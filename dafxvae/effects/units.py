"""One effect of a chain, made from its spec: its parameters, and the Pedalboard instances that render it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.effects.builtins import BUILTINS, NOT_EFFECTS, NYQUIST_SHARE, Builtin
from dafxvae.effects.parameters import Parameter, ParameterSpace
from dafxvae.effects.spec import EffectSpec


class RenderError(Exception):
    """One render failed; the message is the reason. Becomes a recorded failure and never leaves the package."""


@dataclass(frozen=True)
class BuiltinUnit:
    """A Pedalboard built-in with its choice of controlled and fixed parameters.

    Every render gets a fresh instance, which costs under 3 microseconds: Reverb glides for 440 samples from its last
    settings even after a reset, and no state of any other effect is worth trusting.
    """

    spec: EffectSpec
    parameters: ParameterSpace
    fixed: tuple[tuple[str, Any], ...]  # constructor arguments

    @property
    def label(self) -> str:
        return self.spec.name

    @property
    def is_process(self) -> bool:
        return False

    @cached_property
    def builtin(self) -> Builtin:
        return BUILTINS[self.spec.name]

    def instance(self, physical: np.ndarray, sample_rate: int) -> Any:
        """A fresh Pedalboard plugin with the settings `physical` `[K]`."""
        return self._class(**self.arguments(physical, sample_rate))

    def arguments(self, physical: np.ndarray, sample_rate: int) -> dict[str, Any]:
        """What the constructor of the Pedalboard plugin is given for the settings `physical` `[K]`."""
        values = dict(zip(self.parameters.names, physical.tolist(), strict=True))
        for parameter in self._discrete:
            values[parameter.name] = to_argument(parameter, values[parameter.name])
        values.update(self.fixed)
        for name in self._limited:
            values[name] = min(values[name], NYQUIST_SHARE * sample_rate)
        return values

    @cached_property
    def _class(self) -> Any:
        import pedalboard

        return getattr(pedalboard, self.spec.name)

    @cached_property
    def _discrete(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.is_discrete)

    @cached_property
    def _limited(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.builtin.parameters if parameter.nyquist_limited)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is looked up when needed: a class of Pedalboard does not travel to a plugin process."""
        return {name: getattr(self, name) for name in ("spec", "parameters", "fixed")}


def make_builtin(spec: EffectSpec) -> BuiltinUnit:
    """Finds a built-in and checks the names and values that the user gave.

    Raises:
        UserError: an unknown effect, parameter or value; with the nearest names.
    """
    if spec.name in NOT_EFFECTS:
        raise UserError(f"{spec.name} is not an effect of its own: {NOT_EFFECTS[spec.name]}")
    if spec.name not in BUILTINS:
        raise unknown_name("effect", spec.name, BUILTINS)
    builtin = BUILTINS[spec.name]
    given = dict(spec.fixed)
    fixed: dict[str, Any] = {}
    if builtin.resource:
        if builtin.resource not in given:
            raise UserError(f"{spec.name} {builtin.note}")
        fixed[builtin.resource] = str(given.pop(builtin.resource))
    parameters, constants = choose(spec, builtin.parameters, given)
    for parameter, value in constants:
        fixed[parameter.name] = to_argument(parameter, value)
    unit = BuiltinUnit(spec, parameters, tuple(fixed.items()))
    try:
        instance = unit.instance(np.array([parameter.default for parameter in parameters]), 44100)
        if builtin.warm_up:
            instance(np.zeros((1, 4410), np.float32), 44100)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{spec}: Pedalboard refuses these values: {error}") from error
    return unit


def choose(
    spec: EffectSpec, parameters: Sequence[Parameter], given: dict[str, Any]
) -> tuple[ParameterSpace, list[tuple[Parameter, float]]]:
    """Divides an effect's parameters into the controlled ones, in the order given, and the constant ones.

    Args:
        spec: names to control (None for all that are controlled by default and not given), and narrower ranges.
        parameters: all of them.
        given: name to fixed value, as written by the user.

    Returns:
        The controlled ones, and (parameter, physical value) of the others.

    Raises:
        UserError: an unknown name or unreadable value.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    ranges = dict(spec.ranges)
    for name in [*(spec.control or ()), *given, *ranges]:
        if name not in by_name:
            raise unknown_name(f"parameter of {spec.label}", name, by_name)
    if spec.control is None:
        control = [p.name for p in parameters if p.controlled and p.name not in given]
    else:
        control = [*spec.control, *(name for name in ranges if name not in spec.control)]
    by_name |= {name: narrow(by_name[name], *bounds) for name, bounds in ranges.items()}
    constants = [
        (parameter, parameter.parse(given[parameter.name]) if parameter.name in given else parameter.default)
        for parameter in parameters
        if parameter.name not in control
    ]
    return ParameterSpace(tuple(replace(by_name[name], controlled=True) for name in control)), constants


def narrow(parameter: Parameter, low: float, high: float) -> Parameter:
    """A continuous parameter held to a part of its range.

    Raises:
        UserError: a discrete parameter, or bounds outside its range.
    """
    if parameter.is_discrete:
        raise UserError(
            f"{parameter.name}={low:g}..{high:g}: only continuous parameters can be narrowed; fix it instead"
        )
    if not parameter.minimum <= low < high <= parameter.maximum:
        whole = f"{parameter.minimum:g}..{parameter.maximum:g}"
        raise UserError(f"{parameter.name}={low:g}..{high:g} leaves its range: stay within {whole}")
    return replace(parameter, minimum=low, maximum=high, default=min(max(parameter.default, low), high))


def to_argument(parameter: Parameter, value: float) -> Any:
    """The Python value that Pedalboard's constructor wants."""
    if parameter.kind == "boolean":
        return bool(value >= 0.5) if parameter.name != "freeze_mode" else float(value)
    if parameter.kind == "choice":
        import pedalboard

        kind = pedalboard.LadderFilter.Mode if parameter.name == "mode" else pedalboard.Resample.Quality
        return getattr(kind, parameter.labels[round(value)])
    return value


def render_builtins(
    units: Sequence[BuiltinUnit], settings: Sequence[np.ndarray], audio: np.ndarray, sample_rate: int
) -> np.ndarray:
    """Renders one clip through built-ins in a row.

    Runs without latency go through one Pedalboard chain, which copies in and out once; the others are called singly,
    where each compensates its own latency.

    Args:
        units: of the chain.
        settings: physical `[K]` of each unit.
        audio: float32 `[T, C]`, only read.
        sample_rate: Hz.

    Returns:
        float32 `[T, C]`, a new array.

    Raises:
        RenderError: Pedalboard threw, or returned NaN, inf or another length.
    """
    start = 0
    while start < len(units):
        stop = start + 1
        if not units[start].builtin.latency:
            while stop < len(units) and not units[stop].builtin.latency:
                stop += 1
        try:
            plugins = [u.instance(s, sample_rate) for u, s in zip(units[start:stop], settings[start:stop], strict=True)]
            audio = checked_render(
                process(plugins[0] if len(plugins) == 1 else join(plugins), audio, sample_rate), audio
            )
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise RenderError(f"{_names(units[start:stop])} threw {type(error).__name__}: {error}") from error
        except RenderError as error:
            raise RenderError(f"{_names(units[start:stop])} {error}") from error
        start = stop
    return audio


def join(plugins: list[Any]) -> Any:
    """Plugins in a row as one."""
    from pedalboard._pedalboard import Pedalboard

    return Pedalboard(plugins)


def _names(units: Sequence[BuiltinUnit]) -> str:
    return " | ".join(unit.label for unit in units)


def process(plugin: Any, audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The one place where audio `[T, C]` meets Pedalboard, which accepts this layout and infers the channel axis.

    Returns:
        float32 `[T, C]`, a new array; C may differ if the plugin answers with another number of channels.
    """
    num_samples, channels = audio.shape
    if channels == 1:
        return plugin.process(audio.reshape(num_samples), sample_rate, reset=True)[:, None]
    if num_samples > channels:
        return plugin.process(audio, sample_rate, reset=True)
    padded = np.zeros((channels + 1, channels), np.float32)  # too short to tell samples from channels
    padded[:num_samples] = audio
    return plugin.process(padded, sample_rate, reset=True)[:num_samples]


def checked_render(output: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """Passes a render on if it is whole.

    Raises:
        RenderError: wrong shape, NaN, inf, or an energy beyond float32.
    """
    if output.shape != audio.shape:
        raise RenderError(f"returned {output.shape} for audio of {audio.shape}")
    flat = output.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        energy = np.dot(flat, flat)  # one pass that NaN, inf and explosions alike turn non-finite; faster than isfinite
    if not math.isfinite(energy):
        bad = int(np.count_nonzero(~np.isfinite(flat)))
        whose = "the audio it was given holds some" if not np.isfinite(audio).all() else "though its input is finite"
        raise RenderError(f"returned {bad} NaN or inf of {flat.size} samples ({whose})")
    return output
