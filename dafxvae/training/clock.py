"""Where the time of a run goes: renders on the host, waiting for data, and the rest."""

import threading
import time
from typing import NamedTuple

import numpy as np

from dafxvae.types import RenderVariants


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

    def timed(self, render: RenderVariants) -> RenderVariants:
        """`render`, for which a step waits, with its clips and seconds counted."""

        def wrapped(audio: np.ndarray, unit_params: np.ndarray) -> np.ndarray:
            start = time.perf_counter()
            result = render(audio, unit_params)
            elapsed = time.perf_counter() - start
            with self._lock:
                self._renders += int(np.prod(result.shape[:2]))
                self._host_seconds += elapsed
            return result

        return wrapped

    def got_batch(self, seconds: float, renders: int) -> None:
        """Adds a batch: the time in which the loop waited for it, and the renders that went into it."""
        with self._lock:
            self._data_seconds += seconds
            self._renders += renders

    def lap(self, steps: int) -> Lap:
        """Everything since the last call, in which the loop made `steps` steps; starts the next lap."""
        with self._lock:
            now = time.perf_counter()
            lap = Lap(now - self._start, steps, self._renders, self._host_seconds, self._data_seconds)
            self._start, self._renders, self._host_seconds, self._data_seconds = now, 0, 0.0, 0.0
        return lap
