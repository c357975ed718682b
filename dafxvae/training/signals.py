"""Ctrl-C and SIGTERM as a request: the step under way ends, a checkpoint is saved, then the run stops."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import jax

from dafxvae.training import parallel


class Stopped(BaseException):
    """The run stops at a signal, and everything that it needs to go on is saved.

    Like KeyboardInterrupt no `Exception`: it may come anywhere outside the steps, and nothing may take it for an error.
    """

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


class StopRequest:
    """While entered, SIGINT and SIGTERM stop the run: at once, or inside `deferred` at the next `check`.

    A second Ctrl-C always interrupts at once. Outside the main thread, where Python allows no handlers, signals keep
    their usual effect. In a run of several processes JAX itself listens for SIGTERM and tells all of them, which stop
    after the same step; Ctrl-C interrupts.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._deferred = self._seen = False
        self._looks = 0
        self._previous: dict[int, object] = {}

    def _handle(self, signal_number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal_number == signal.SIGINT == signal_number:
            raise KeyboardInterrupt
        self.signal_number = signal_number
        if not self._deferred:
            raise Stopped(signal_number)

    def __enter__(self) -> "StopRequest":
        if jax.process_count() > 1:
            return self
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        except ValueError:  # not the main thread
            self._previous.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, a signal waits until `check`, or the end: what is under way is ended and saved first."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.signal_number is not None:
            raise Stopped(self.signal_number)

    @property
    def requested(self) -> bool:
        """Whether a signal has come; in a run of several processes the same at the same call of each."""
        self._looks += 1
        if parallel.preempted(self._looks):
            self.signal_number = signal.SIGTERM
        self._seen = self.signal_number is not None
        return self._seen

    def check(self) -> None:
        """Raises `Stopped` if a signal had come at the last call of `requested`; later ones are not saved yet."""
        if self._seen and self.signal_number is not None:
            raise Stopped(self.signal_number)
