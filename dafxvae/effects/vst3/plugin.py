"""A VST3 plugin inside its own process: loading, describing, rendering as a pure function. Main thread only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dafxvae.core.errors import unknown_name
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.spec import EffectSpec
from dafxvae.effects.units import RenderError, checked_render, process
from dafxvae.effects.vst3.parameters import MAX_CHOICES, PROBES, RawParameter

Method = Literal["reset", "pre-roll", "reload"]
METHODS: tuple[Method, ...] = ("reset", "pre-roll", "reload")
PREROLL_SEC = 0.5
PRIME_SEC = 0.1


@dataclass(frozen=True)
class Vst3Unit:
    """One VST3 plugin of a chain, with its choice of controlled and constant parameters.

    Attributes:
        spec: as the user named it.
        path: of the file, as found.
        parameters: the controlled ones.
        layout: how to reach the plugin's raw values, an entry for every parameter that is set, in the plugin's order
            (a program first: it moves the others).
        channels: the channel counts that the plugin takes.
        method: how a render is made independent of what went before: "reset" before it, "pre-roll" of half a second of
            silence after a reset, or "reload".
        residual: the largest difference seen between renders of equal arguments; above 0 it is not deterministic.
        latency_samples: reported by the plugin; compensated.
        category: as the plugin files itself, such as "Fx|Dynamics".
    """

    spec: EffectSpec
    path: str
    parameters: ParameterSpace
    layout: tuple["RawSetting", ...]
    channels: tuple[int, ...]
    method: Method = "reset"
    residual: float = 0.0
    latency_samples: int = 0
    category: str = ""

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def is_process(self) -> bool:
        return True

    def raw_values(self, physical: np.ndarray, sample_rate: int) -> list[tuple[str, float]]:
        """(name, raw) of every parameter to set, for the settings `physical` `[K]`."""
        return [entry.value(physical, sample_rate) for entry in self.layout]


@dataclass(frozen=True)
class RawSetting:
    """Where one raw value comes from: a controlled parameter (index >= 0) or a constant."""

    name: str
    index: int
    constant: float
    convert: Any = None  # Vst3Parameter of a controlled one
    nyquist_share: float = 0.0  # clamp to this share of the sample rate; 0: not a frequency

    def value(self, physical: np.ndarray, sample_rate: int) -> tuple[str, float]:
        if self.index < 0:
            return self.name, self.constant
        wanted = float(physical[self.index])
        if self.nyquist_share:
            wanted = min(wanted, self.nyquist_share * sample_rate)
        return self.name, self.convert.to_raw(wanted)


def stream_arguments(unit: Vst3Unit, physical: np.ndarray, sample_rate: int, num_channels: int) -> tuple[Any, ...]:
    """What `dafxvae.effects.segments.Vst3` is constructed with."""
    values = {name: float(raw) for name, raw in unit.raw_values(physical, sample_rate)}
    lead_samples = int(PREROLL_SEC * sample_rate) if unit.method == "pre-roll" else 0
    return unit.path, unit.spec.plugin, values, sample_rate, num_channels, unit.channels, lead_samples


class LoadedPlugin:
    """One loaded plugin of a worker process."""

    def __init__(self, path: str, plugin: str | None) -> None:
        self.path, self.plugin = path, plugin
        self.instance: Any = None
        self.knobs: dict[str, Any] = {}
        self._load()
        self.raw = tuple(_describe(name, knob) for name, knob in self.knobs.items())
        self.channels = self._probe_channels()
        self._prime()

    def _load(self) -> None:
        import pedalboard

        self.instance = None
        names = pedalboard.VST3Plugin.get_plugin_names_for_file(self.path)
        if self.plugin is not None and self.plugin not in names:
            raise RenderError(f"is not in its file: {unknown_name(f'plugin of {self.path}', self.plugin, names)}")
        self.instance = pedalboard.VST3Plugin(self.path, plugin_name=self.plugin)
        if not self.instance.is_effect:
            raise RenderError("is an instrument, not an effect")
        self.knobs = dict(self.instance.parameters)

    def _probe_channels(self) -> tuple[int, ...]:
        """The channel counts among 1 and 2 that the plugin accepts."""
        accepted, reason = [], ""
        for channels in (1, 2):
            try:
                process(self.instance, np.zeros((512, channels), np.float32), 44100)
                accepted.append(channels)
            except (ValueError, RuntimeError) as error:
                reason = str(error)
        if not accepted:
            raise RenderError(f"takes neither mono nor stereo audio: {reason}")
        return tuple(accepted)

    def _prime(self) -> None:
        """Sets everything to something else, once.

        A plugin receives only changes, and before the first one it may hold inner values that differ from what its
        knobs show (of the Zam plugins, three do).
        """
        for raw in self.raw:
            if raw.is_controllable and not raw.is_program:
                self.knobs[raw.name].raw_value = (raw.raw + 0.37) % 1.0
        silence = np.zeros((int(PRIME_SEC * 44100), self.channels[-1]), np.float32)
        process(self.instance, silence, 44100)

    def render(self, unit: Vst3Unit, physical: np.ndarray, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Renders one clip.

        Args:
            unit: whose plugin this is.
            physical: `[K]`.
            audio: float32 `[T, C]`, only read.
            sample_rate: Hz.

        Returns:
            float32 `[T, C]`.

        Raises:
            RenderError: the plugin threw, or returned NaN, inf or another length.
        """
        values = unit.raw_values(physical, sample_rate)
        try:
            return checked_render(self._render(values, unit.method, audio, sample_rate), audio)
        except (RuntimeError, ValueError, TypeError, ImportError, MemoryError) as error:
            raise RenderError(f"{unit.label} threw {type(error).__name__}: {error}") from error
        except RenderError as error:
            raise RenderError(f"{unit.label} {error}") from error

    def _render(
        self, values: Sequence[tuple[str, float]], method: Method, audio: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        channels = audio.shape[1]
        if channels in self.channels:
            return self._pass(values, method, audio, sample_rate)
        if channels == 1:
            stereo = self._pass(values, method, np.repeat(audio, 2, axis=1), sample_rate)
            return (0.5 * (stereo[:, :1] + stereo[:, 1:])).astype(np.float32)
        sides = [self._pass(values, method, np.ascontiguousarray(audio[:, c : c + 1]), sample_rate) for c in (0, 1)]
        return np.concatenate(sides, axis=1)

    def _pass(
        self, values: Sequence[tuple[str, float]], method: Method, audio: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        if method == "reload":
            self._load()
        for name, raw in values:
            self.knobs[name].raw_value = raw
        lead = int(PREROLL_SEC * sample_rate) if method == "pre-roll" else 0
        if lead:
            audio = np.concatenate([np.zeros((lead, audio.shape[1]), np.float32), audio])
        return process(self.instance, audio, sample_rate)[lead:]

    def read_preset(self, file: str) -> dict[str, float]:
        """Raw value of each parameter after a `.vstpreset`, or a state as dafxvae writes it, was loaded.

        Raises:
            RenderError: the plugin does not take it.
        """
        try:
            self._load()
            with open(file, "rb") as stored:
                content = stored.read()
            if file.lower().endswith(".vstpreset"):
                self.instance.preset_data = content  # `load_preset` leaves what Pedalboard shows as it was
            else:
                self.instance.raw_state = content
            return {name: float(knob.raw_value) for name, knob in self.instance.parameters.items()}
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise RenderError(f"does not take {file}: {error}") from error
        finally:
            self._load()
            self._prime()

    def find_method(self, unit: Vst3Unit) -> tuple[Method, float]:
        """The cheapest way in which this plugin's renders depend on their arguments alone.

        Renders random settings in several orders, on several instances, with another sample rate in between.

        Returns:
            The method, and the largest difference that it left between renders of equal arguments: 0 when all were
            equal to the bit, else the smallest that any method reached.
        """
        rng = np.random.default_rng(0)
        settings = unit.parameters.to_physical(
            np.concatenate([unit.parameters.default_unit[None], unit.parameters.sample(rng, 3)])
        )
        audio = (0.2 * rng.standard_normal((16384, self.channels[0]))).astype(np.float32)
        audio[6000:10000] = 0.0
        residuals: dict[Method, float] = {}
        for method in METHODS:
            residuals[method] = self._residual(unit, method, settings, audio)
            if residuals[method] == 0.0:
                return method, 0.0
        best = min(residuals, key=lambda method: residuals[method])
        return best, residuals[best]

    def _residual(self, unit: Vst3Unit, method: Method, settings: np.ndarray, audio: np.ndarray) -> float:
        """The largest difference between renders of equal arguments."""
        seen: dict[int, np.ndarray] = {}
        residual = 0.0
        # Where every render is a new instance, only chance is left to find, and chance needs more tries.
        for order in [(0, 1, 2, 1, 3, 0), (3, 1, 2, 0, 0)] * (3 if method == "reload" else 1):
            plugin = LoadedPlugin(self.path, self.plugin)
            for i in order:
                values = unit.raw_values(settings[i], 44100)
                rendered = np.nan_to_num(plugin._pass(values, method, audio, 44100))
                residual = max(residual, float(np.abs(rendered - seen.setdefault(i, rendered)).max()))
                plugin._pass(values, method, audio[:2000], 32000)
        return residual


def _describe(name: str, knob: Any) -> RawParameter:
    num_steps = int(knob.num_steps)
    is_text, is_boolean = knob.type is str, knob.type is bool
    if not 2 <= num_steps <= MAX_CHOICES and (is_text or is_boolean):
        num_steps = len(knob.valid_values)  # older plugins give words and switches no number of steps
    discrete = 2 <= num_steps <= MAX_CHOICES
    at = [i / (num_steps - 1) for i in range(num_steps)] if discrete else PROBES
    return RawParameter(
        name=name,
        label=(knob.label or "").strip(),
        raw=float(knob.raw_value),
        default=float(knob.default_raw_value),
        num_steps=num_steps,
        is_text=is_text,
        is_boolean=is_boolean,
        automatable=bool(knob.is_automatable),
        texts=tuple(str(knob.get_text_for_raw_value(raw)).strip() for raw in at),
    )
