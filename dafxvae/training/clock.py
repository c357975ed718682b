"""Where the time of a run goes: renders on the host, waiting for data, and the rest."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Lap(NamedTuple):
    """What happened since the last lap."""

    seconds: float
    steps: int
    renders: int  # clips through an effect, by training steps and data pipeline together
    host_seconds: float  # in which a step waited for its renders
    data_seconds: float  # in which the loop waited for a batch


class Clock:
    """Counts of renders and seconds; may be used from the callback's and the pipeline's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self._renders = 0
        self._host_seconds = self._data_seconds = 0.0

    def timed_render(self, render: Callable[..., np.ndarray], *, in_step: bool) -> Callable[..., np.ndarray]:
        """`render` with its clips counted, and, for a render that a step waits for, its seconds too."""

        def wrapped(audio: np.ndarray, *arguments: object) -> np.ndarray:
            start = time.perf_counter()
            result = render(audio, *arguments)
            elapsed = time.perf_counter() - start
            with self._lock:
                self._renders += int(np.prod(result.shape[:-2]))
                self._host_seconds += elapsed if in_step else 0.0
            return result

        return wrapped

    def waited_for_data(self, seconds: float) -> None:
        """Adds to the time in which the loop had no batch."""
        with self._lock:
            self._data_seconds += seconds

    def lap(self, steps: int) -> Lap:
        """Everything since the last call, in which the loop made `steps` steps; starts the next lap."""
        with self._lock:
            now = time.perf_counter()
            lap = Lap(now - self._start, steps, self._renders, self._host_seconds, self._data_seconds)
            self._start, self._renders, self._host_seconds, self._data_seconds = now, 0, 0.0, 0.0
        return lap
