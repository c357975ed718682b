"""Time of a run, divided into renders on the host, waiting for data, and the device."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np

from dafxvae.types import RenderVariants

WARM_UP = 2  # steps that compile, or wait for one that does


class Workers(Protocol):
    """Whoever renders; an `EffectBank`."""

    @property
    def num_workers(self) -> int: ...

    @property
    def busy_seconds(self) -> float: ...


class Lap(NamedTuple):
    """Renders and seconds since the last lap."""

    seconds: float
    steps: int
    renders: int  # clips through an effect, by training steps and data pipeline together
    host_seconds: float  # in which a step waited for its renders
    data_seconds: float  # in which the loop waited for a batch


class StepReport(NamedTuple):
    """Mean time of a step and its parts, in milliseconds; evaluations, checkpoints and compilation are left out."""

    steps: int
    step_ms: float
    render_ms: float  # in which the step waited for its renders
    data_ms: float  # in which the loop waited for a batch
    device_ms: float  # the rest: networks, losses, updates
    worker_ms: float  # of rendering for a step, steps and data pipeline together, spread evenly over the workers

    @property
    def bound_ms(self) -> float:
        """No step can be shorter than its renders on all workers, nor than its work on the device."""
        return max(self.worker_ms, self.device_ms)

    @property
    def of_bound(self) -> float:
        """The bound over the step: 1 where rendering and device overlap perfectly."""
        return self.bound_ms / self.step_ms

    def __str__(self) -> str:
        limit = "rendering" if self.worker_ms >= self.device_ms else "the device"
        return (
            f"{self.step_ms:.1f} ms a step: {self.render_ms:.1f} rendering, {self.data_ms:.1f} waiting for data, "
            f"{self.device_ms:.1f} on the device; no less than {self.bound_ms:.1f} for {limit} ({self.of_bound:.0%})"
        )


class _Counts(NamedTuple):
    """Sums since the beginning."""

    steps: int
    step_seconds: float
    host_seconds: float
    data_seconds: float
    busy_seconds: float


class Clock:
    """Counts of renders and seconds; may be used from the callback's and the pipeline's threads."""

    def __init__(self, workers: Workers | None = None) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self._renders = 0
        self._sums = {"steps": 0, "step": 0.0, "host": 0.0, "data": 0.0, "aside": 0.0}
        self._lap_began = (0.0, 0.0)  # sums of host and data
        self._warm: _Counts | None = None

    def timed(self, render: RenderVariants) -> RenderVariants:
        """`render`, for which a step waits, with its clips and seconds counted."""

        def wrapped(audio: np.ndarray, unit_params: np.ndarray) -> np.ndarray:
            start = time.perf_counter()
            result = render(audio, unit_params)
            elapsed = time.perf_counter() - start
            with self._lock:
                self._renders += int(np.prod(result.shape[:2]))
                self._sums["host"] += elapsed
            return result

        return wrapped

    def got_batch(self, seconds: float, renders: int) -> None:
        """Adds a batch: the time in which the loop waited for it, and the renders that went into it."""
        with self._lock:
            self._sums["data"] += seconds
            self._renders += renders

    def made_step(self, seconds: float) -> None:
        """Adds a training step, from waiting for its batch on."""
        with self._lock:
            self._sums["steps"] += 1
            self._sums["step"] += seconds
            if self._sums["steps"] == WARM_UP:
                self._warm = self._counts()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is rendered inside belongs to no step."""
        before = self._counts()
        try:
            yield
        finally:
            after = self._counts()
            with self._lock:
                self._sums["host"] -= after.host_seconds - before.host_seconds
                self._sums["aside"] += after.busy_seconds - before.busy_seconds

    def report(self) -> StepReport | None:
        """How the steps so far divide; None before there are some."""
        if self._warm is None or self._counts().steps == self._warm.steps:
            return None
        now, warm = self._counts(), self._warm
        steps = now.steps - warm.steps
        step, host, data, busy = (1e3 * (after - before) / steps for after, before in zip(now[1:], warm[1:]))
        workers = self._workers.num_workers if self._workers else 1
        return StepReport(steps, step, host, data, max(step - host - data, 0.0), busy / workers)

    def lap(self, steps: int) -> Lap:
        """Everything since the last call, in which the loop made `steps` steps; starts the next lap."""
        with self._lock:
            now, (host, data) = time.perf_counter(), self._lap_began
            sums = self._sums["host"], self._sums["data"]
            lap = Lap(now - self._start, steps, self._renders, sums[0] - host, sums[1] - data)
            self._start, self._renders, self._lap_began = now, 0, sums
        return lap

    def _counts(self) -> _Counts:
        busy = self._workers.busy_seconds if self._workers else 0.0
        sums = self._sums
        return _Counts(int(sums["steps"]), sums["step"], sums["host"], sums["data"], busy - sums["aside"])
