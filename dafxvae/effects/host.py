"""The render contract between effects and the rest, its failure log, and numpy effects with known gradients."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from dafxvae.core.errors import EffectError
from dafxvae.effects.parameters import Parameter, ParameterSpace

MAX_CONSECUTIVE_FAILURES = 10


class Failure(NamedTuple):
    """One render that failed."""

    effect: str
    settings: Mapping[str, Any]  # physical values of the controlled parameters
    reason: str

    def __str__(self) -> str:
        settings = ", ".join(f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.settings.items())
        return f"{self.effect} [{settings}]: {self.reason}"


class FailedRun:
    """Failures of an effect without a success in between."""

    def __init__(self) -> None:
        self.examples: set[object] = set()  # a clip with many settings is one
        self.renders = 0


class FailureLog:
    """Counts failed renders; any thread may write to it.

    After `max_consecutive` examples of one effect failed without a success in between (or ten times as many renders,
    where an example has very many settings) the log is tripped: hosts answer NaN for it without trying (a hanging
    plugin would cost a time limit each), and `check` raises.
    """

    def __init__(self, max_consecutive: int = MAX_CONSECUTIVE_FAILURES, keep: int = 20) -> None:
        self._lock = threading.Lock()
        self._last: deque[Failure] = deque(maxlen=keep)
        self._runs: dict[str, FailedRun] = {}
        self._cause: dict[str, Failure] = {}
        self.max_consecutive = max_consecutive
        self.count = 0

    @property
    def last(self) -> tuple[Failure, ...]:
        """The latest failures, oldest first."""
        with self._lock:
            return tuple(self._last)

    @property
    def consecutive(self) -> int:
        """Examples in a row that failed, of the effect that has most of them."""
        with self._lock:
            return max((len(run.examples) for run in self._runs.values()), default=0)

    def is_tripped(self, effect: str) -> bool:
        run = self._runs.get(effect)
        limit = self.max_consecutive
        return run is not None and (len(run.examples) >= limit or run.renders >= 10 * limit)

    def record(
        self, effect: str, settings: Mapping[str, Any], reason: str, renders: int = 1, example: object = None
    ) -> None:
        """Adds a failure that cost `renders` renders of `example` (told apart by identity; None: one of its own)."""
        failure = Failure(effect, dict(settings), reason)
        with self._lock:
            if not self.is_tripped(effect):
                self._cause[effect] = failure
                self._last.append(failure)
            self.count += renders
            run = self._runs.setdefault(effect, FailedRun())
            run.examples.add(object() if example is None else example)
            run.renders += renders

    def success(self, effect: str) -> None:
        if effect in self._runs and not self.is_tripped(effect):
            with self._lock:
                self._runs.pop(effect, None)

    def clear(self) -> None:
        """Starts afresh, as after the plugin was mended."""
        with self._lock:
            self._last.clear()
            self._runs.clear()
            self.count = 0

    def check(self) -> None:
        """Raises when the run cannot go on; cheap enough for every step.

        Raises:
            EffectError: `max_consecutive` examples in a row failed; names the effect, the settings and the reason.
        """
        with self._lock:
            causes = [
                f"{run.renders} renders of {len(run.examples)} examples in a row: {self._cause[effect]}"
                for effect, run in self._runs.items()
                if self.is_tripped(effect)
            ]
        if causes:
            raise EffectError(
                f"an effect fails and the run stops. {'; '.join(causes)}. Look at it with "
                "`python -m dafxvae.effects check EFFECT`, narrow its parameters, or leave it out."
            )


class EffectHost(Protocol):
    """An effect or chain that renders audio. A render is a pure function of its arguments."""

    @property
    def name(self) -> str:
        """The canonical short form."""
        ...

    @property
    def parameters(self) -> ParameterSpace: ...

    @property
    def failures(self) -> FailureLog: ...

    def render(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """Renders each example with its own settings.

        Args:
            audio: float32 `[B, T, C]`, C 1 or 2; only read.
            unit_params: `[B, K]`, clipped to [0, 1].
            sample_rate: Hz.

        Returns:
            float32 `[B, T, C]`; a render that failed is all NaN and recorded in `failures`, never raised.
        """
        ...

    def render_variants(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """Renders each example with several settings, as gradient estimators need; equal prefixes are rendered once.

        Args:
            audio: float32 `[B, T, C]`.
            unit_params: `[B, R, K]`.
            sample_rate: Hz.

        Returns:
            float32 `[B, R, T, C]`; item r of the second axis has the bits of `render` with those settings.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def empty_variants(num_examples: int, num_variants: int, clip_shape: tuple[int, ...]) -> np.ndarray:
    """Room for the renders of a batch, float32 `[B, R, T, C]`, with the variants leading in memory.

    The gradient engine hands them to XLA as `[R, B, T, C]`: laid out like that they are copied once, as they lie.
    """
    return np.empty((num_variants, num_examples, *clip_shape), np.float32).swapaxes(0, 1)


class ReferenceHost:
    """A host over plain numpy functions, with the exact Jacobian: what gradient estimators are tested against."""

    def __init__(
        self,
        name: str,
        parameters: ParameterSpace,
        function: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
        derivative: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    ) -> None:
        """Makes a host.

        Args:
            name: of the effect.
            parameters: K of them, continuous.
            function: (audio `[T, C]`, physical `[K]`, sample_rate) to `[T, C]`, float64.
            derivative: the same arguments to `[T, C, K]`, with respect to the physical values.
        """
        self.name = name
        self.parameters = parameters
        self.failures = FailureLog()
        self._function = function
        self._derivative = derivative

    def render(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render`."""
        return self.render_variants(audio, np.asarray(unit_params)[:, None], sample_rate)[:, 0]

    def render_variants(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render_variants`."""
        audio, unit_params = np.asarray(audio), np.asarray(unit_params)
        out = np.empty((*unit_params.shape[:2], *audio.shape[1:]), np.float32)
        physical = self.parameters.to_physical(unit_params)
        for b, r in np.ndindex(*unit_params.shape[:2]):
            out[b, r] = self._function(audio[b].astype(np.float64), physical[b, r], sample_rate)
        return out

    def jacobian(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """The exact derivative of `render` with respect to `unit_params`.

        Args:
            audio: `[B, T, C]`.
            unit_params: `[B, K]` strictly inside (0, 1).
            sample_rate: Hz.

        Returns:
            float64 `[B, T, C, K]`.
        """
        physical = self.parameters.to_physical(unit_params)
        spans = np.array([p.maximum - p.minimum for p in self.parameters])
        ratios = np.array([p.maximum / p.minimum if p.scale == "log" else 1.0 for p in self.parameters])
        is_log = np.array([p.scale == "log" for p in self.parameters])
        chain_rule = np.where(is_log, physical * np.log(ratios), spans)  # d physical / d unit, [B, K]
        return np.stack(
            [
                self._derivative(np.asarray(audio[b], np.float64), physical[b], sample_rate) * chain_rule[b]
                for b in range(len(physical))
            ]
        )

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


DB = np.log(10.0) / 20.0  # d/dx of 10^(x/20) is DB * 10^(x/20)


def reference_gain() -> ReferenceHost:
    """`y = 10^(gain_db/20) x`."""
    space = ParameterSpace((Parameter("gain_db", "dB", -24.0, 24.0, 0.0),))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.exp(DB * params[0]) * audio

    return ReferenceHost(
        "reference_gain", space, function, lambda audio, params, rate: (DB * function(audio, params, rate))[..., None]
    )


def reference_soft_clip() -> ReferenceHost:
    """`y = 10^(level_db/20) tanh(10^(drive_db/20) x)`: two parameters, one of them nonlinear."""
    space = ParameterSpace((Parameter("drive_db", "dB", 0.0, 36.0, 12.0), Parameter("level_db", "dB", -24.0, 6.0, 0.0)))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.exp(DB * params[1]) * np.tanh(np.exp(DB * params[0]) * audio)

    def derivative(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        driven, level = np.exp(DB * params[0]) * audio, np.exp(DB * params[1])
        return DB * level * np.stack([driven / np.cosh(driven) ** 2, np.tanh(driven)], axis=-1)

    return ReferenceHost("reference_soft_clip", space, function, derivative)


def reference_one_pole() -> ReferenceHost:
    """One-pole low-pass, `y[t] = (1 - a) x[t] + a y[t-1]`, `a = exp(-2 pi cutoff_hz / sample_rate)`; log scale."""
    space = ParameterSpace((Parameter("cutoff_hz", "Hz", 50.0, 5000.0, 1000.0, scale="log"),))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        from scipy.signal import lfilter  # slow to import, and needed here alone

        a = np.exp(-2 * np.pi * params[0] / sample_rate)
        return np.asarray(lfilter([1 - a], [1, -a], audio, axis=0))

    def derivative(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        from scipy.signal import lfilter

        a = np.exp(-2 * np.pi * params[0] / sample_rate)
        y = function(audio, params, sample_rate)
        previous = np.concatenate([np.zeros_like(y[:1]), y[:-1]])
        by_a = np.asarray(lfilter([1], [1, -a], previous - audio, axis=0))  # dy/da obeys the same recursion
        return (by_a * a * (-2 * np.pi / sample_rate))[..., None]

    return ReferenceHost("reference_one_pole", space, function, derivative)
