"""The render contract between effects and the rest, and its failure log."""

import threading
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from dafxvae.core.errors import EffectError
from dafxvae.effects.parameters import ParameterSpace

MAX_CONSECUTIVE_FAILURES = 10
KEPT = 20  # of the latest failures


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

    def __init__(self, max_consecutive: int = MAX_CONSECUTIVE_FAILURES) -> None:
        self._lock = threading.Lock()
        self._last: deque[Failure] = deque(maxlen=KEPT)
        self._runs: dict[str, FailedRun] = {}
        self._cause: dict[str, Failure] = {}
        self.max_consecutive = max_consecutive
        self.count = 0

    @property
    def last(self) -> tuple[Failure, ...]:
        """The latest failures, oldest first."""
        with self._lock:
            return tuple(self._last)

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
                "`dafxvae effects check EFFECT`, narrow its parameters, or leave it out."
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
