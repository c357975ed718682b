"""Effect parameters: names, units, ranges, scales, and the exact mapping between [0, 1] and physical units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from dafxvae.core.arguments import check_number, number_array
from dafxvae.core.errors import UserError, unknown_name

Scale = Literal["linear", "log"]
Kind = Literal["continuous", "stepped", "boolean", "choice"]
PRESET_SHARE, PRESET_DEVIATION = 0.75, 0.1  # of draws that are near a preset; of [0, 1], how near
ON = ("true", "on", "yes", "1")
OFF = ("false", "off", "no", "0")


@dataclass(frozen=True)
class Parameter:
    """One parameter of an effect.

    Attributes:
        name: unique within its effect; carries its unit where the effect's own name does (`cutoff_hz`).
        unit: of the physical values ("Hz", "dB", "ms", "" for none).
        minimum, maximum: physical range; of a choice, the first and last index.
        default: physical; of a choice, an index.
        scale: how [0, 1] spreads over the range; "log" needs minimum > 0.
        kind: "continuous", or evenly spaced values: "stepped" (step 1 unless num_values says otherwise), "boolean"
            (0 or 1), "choice" (an index into labels).
        labels: of a choice.
        num_values: of the discrete kinds, how many; 0 for continuous. Filled in when left out.
        controlled: False: fixed at its default unless a user asks to control it (bypass switches, freeze).
        nyquist_limited: a frequency that is clamped below half the sample rate when it is rendered.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    scale: Scale = "linear"
    kind: Kind = "continuous"
    labels: tuple[str, ...] = ()
    num_values: int = 0
    controlled: bool = True
    nyquist_limited: bool = False

    def __post_init__(self) -> None:
        if self.kind == "choice":
            object.__setattr__(self, "num_values", len(self.labels))
        elif self.kind == "boolean":
            object.__setattr__(self, "num_values", 2)
        elif self.kind == "stepped" and not self.num_values:
            object.__setattr__(self, "num_values", round(self.maximum - self.minimum) + 1)
        if not self.minimum <= self.default <= self.maximum or (self.num_values != 1 and self.minimum == self.maximum):
            raise ValueError(f"{self.name}: default {self.default} outside {self.minimum}..{self.maximum}")
        if self.scale == "log" and (self.minimum <= 0 or self.num_values):
            raise ValueError(f"{self.name}: a log scale needs a continuous parameter with minimum > 0")

    @property
    def is_discrete(self) -> bool:
        return self.num_values > 0

    def parse(self, value: Any) -> float:
        """Physical value of what a user wrote: a number, a bool, "on"/"off", a label. Not held to the range.

        Raises:
            UserError: not a number, or not one of the labels.
        """
        if self.kind == "choice" and isinstance(value, str):
            matches = [i for i, label in enumerate(self.labels) if label.lower() == value.strip().lower()]
            if matches:
                return float(matches[0])
        if self.kind == "boolean" and isinstance(value, str) and value.strip().lower() in ON + OFF:
            return float(value.strip().lower() in ON)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not np.isfinite(number):
            wanted = f"one of {', '.join(self.labels)}" if self.kind == "choice" else "a finite number"
            raise UserError(f"{self.name} = {value!r}: give {wanted}")
        if self.is_discrete:
            number = float(self.minimum + np.rint((number - self.minimum) / self._step) * self._step)
        return number

    def show(self, physical: float) -> Any:
        """The value as a user reads it: a label of a choice, a bool, an int of whole steps, a float."""
        if self.kind == "choice":
            return self.labels[round(physical)]
        if self.kind == "boolean":
            return bool(physical >= 0.5)
        if self.kind == "stepped" and self._step == 1:
            return round(physical)
        return float(physical)

    @property
    def _step(self) -> float:
        return (self.maximum - self.minimum) / (self.num_values - 1) if self.num_values > 1 else 1.0


class PresetBlock(NamedTuple):
    """Settings that people use, of consecutive parameters."""

    first: int  # place of the first of them
    rows: tuple[tuple[float, ...], ...]  # in [0, 1]


@dataclass(frozen=True)
class ParameterSpace:
    """The controlled parameters of an effect or chain, in order: the axis K of every `unit_params`.

    Attributes:
        parameters: in order.
        presets: around which `sample` draws `PRESET_SHARE` of the settings; of each effect that has some.
    """

    parameters: tuple[Parameter, ...]
    presets: tuple[PresetBlock, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"parameter names repeat: {self.names}")

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __getitem__(self, index: int) -> Parameter:
        return self.parameters[index]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def num_values(self) -> np.ndarray:
        """int32 `[K]`: how many values a discrete parameter has, 0 for a continuous one."""
        return np.array([parameter.num_values for parameter in self.parameters], np.int32)

    @cached_property
    def default_unit(self) -> np.ndarray:
        """float32 `[K]`."""
        return self.to_unit(np.array([parameter.default for parameter in self.parameters], np.float64))

    @cached_property
    def _minimum(self) -> np.ndarray:
        return np.array([parameter.minimum for parameter in self.parameters], np.float64)

    @cached_property
    def _maximum(self) -> np.ndarray:
        return np.array([parameter.maximum for parameter in self.parameters], np.float64)

    @cached_property
    def _is_log(self) -> np.ndarray:
        return np.array([parameter.scale == "log" for parameter in self.parameters], bool)

    def quantise(self, unit: np.ndarray) -> np.ndarray:
        """The nearest settings that the effect can take: clipped to [0, 1], discrete parameters on their grid.

        Args:
            unit: `[..., K]`.

        Returns:
            float32 `[..., K]`; a value of a discrete parameter is i / (num_values - 1).
        """
        unit = np.clip(self._checked(unit), 0.0, 1.0)
        steps = np.maximum(self.num_values - 1, 1)
        return np.where(self.num_values > 0, np.floor(unit * steps + 0.5) / steps, unit).astype(np.float32)

    def to_physical(self, unit: np.ndarray) -> np.ndarray:
        """Physical values of normalised settings.

        Args:
            unit: `[..., K]`; clipped to [0, 1], discrete parameters snap to the nearest value.

        Returns:
            float64 `[..., K]`: double precision, so that the way back gives the same float32 settings.
        """
        unit = self.quantise(unit).astype(np.float64)
        steps = np.maximum(self.num_values - 1, 1)
        # A discrete value is rebuilt from its index: i/(n-1) in float32 is not the exact fraction.
        unit = np.where(self.num_values > 0, np.rint(unit * steps) / steps, unit)
        low, high = self._minimum, self._maximum
        ratio = np.where(self._is_log, high / np.where(self._is_log, low, 1.0), 1.0)
        physical = np.where(self._is_log, low * ratio**unit, low + (high - low) * unit)
        return np.clip(physical, low, high)

    def to_unit(self, physical: np.ndarray) -> np.ndarray:
        """Normalised settings of physical values; the inverse of `to_physical`, exact to float32.

        Args:
            physical: `[..., K]` within the ranges (a millionth of the range beyond is rounding, and clipped).

        Returns:
            float32 `[..., K]` in [0, 1].

        Raises:
            UserError: a value lies outside its range or is not finite.
        """
        physical = self._checked(physical).astype(np.float64)
        low, high = self._minimum, self._maximum
        slack = 1e-6 * (high - low)
        outside = ~((physical >= low - slack) & (physical <= high + slack))
        if outside.any():
            k = int(np.argwhere(outside)[0][-1])
            value = float(physical[outside][0])
            parameter = self.parameters[k]
            raise UserError(
                f"{parameter.name} = {value:g} is outside its range: "
                f"give {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}".rstrip()
            )
        physical = np.clip(physical, low, high)
        span = np.where(high > low, high - low, 1.0)
        ratio = np.where(self._is_log, high / np.where(self._is_log, low, 1.0), np.e)
        unit = np.where(
            self._is_log,
            np.log(np.where(self._is_log, physical / np.where(self._is_log, low, 1.0), 1.0)) / np.log(ratio),
            (physical - low) / span,
        )
        return self.quantise(unit)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n settings, uniform on each parameter's own scale, discrete ones uniform over their values; or near presets.

        Returns:
            float32 `[n, K]` in [0, 1].
        """
        check_number(n, "the number of settings", 0)
        if not isinstance(rng, np.random.Generator):
            raise UserError(f"{rng!r} draws no numbers: give a numpy.random.default_rng(seed)")
        uniform = rng.random((n, len(self)))
        count = np.maximum(self.num_values, 1)
        index = np.minimum(np.floor(uniform * count), count - 1)
        drawn = np.where(self.num_values > 0, index / np.maximum(count - 1, 1), uniform).astype(np.float32)
        for first, rows in self.presets:
            near = np.asarray(rows)[rng.integers(len(rows), size=n)]
            near = near + PRESET_DEVIATION * rng.standard_normal(near.shape)
            columns, chosen = slice(first, first + near.shape[1]), rng.random(n) < PRESET_SHARE
            drawn[chosen, columns] = near[chosen]
        return self.quantise(drawn) if self.presets else drawn

    def describe(self, unit_row: np.ndarray) -> dict[str, Any]:
        """Name to value, as a user reads them (labels of choices, bools, physical floats), of one row `[K]`."""
        physical = self.to_physical(number_array(unit_row, "the settings", "[K]"))
        return {p.name: p.show(float(value)) for p, value in zip(self.parameters, physical, strict=True)}

    def from_values(self, values: Mapping[str, Any]) -> np.ndarray:
        """Normalised settings from what a user wrote, by name; what is left out stays at its default.

        Returns:
            float32 `[K]`.

        Raises:
            UserError: an unknown name or a value outside its range.
        """
        if not isinstance(values, Mapping):
            raise UserError(f"settings {values!r}: give a mapping of names to values, such as {{'room_size': 0.4}}")
        physical = np.array([parameter.default for parameter in self.parameters], np.float64)
        for name, value in values.items():
            if name not in self.names:
                raise unknown_name("parameter", str(name), self.names)
            k = self.names.index(name)
            physical[k] = self.parameters[k].parse(value)
        return self.to_unit(physical)

    def _checked(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values)
        if values.shape[-1:] != (len(self),) or values.dtype.kind not in "fiub":
            raise UserError(f"settings of shape {values.shape}: the last axis must be K = {len(self)} {self.names}")
        return values


def parse_values(items: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` as an option of a command line gives them.

    Raises:
        UserError: no name, no value, or a name given twice.
    """
    values: dict[str, str] = {}
    for item in items:
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or not value:
            raise UserError(f"{option} {item}: give NAME=VALUE, for example {option} room_size=0.4")
        if name in values:
            raise UserError(f"{option} {item}: {name} is already {values[name]}; give it once")
        values[name] = value
    return values
