"""A pool of render threads that lives as long as a run; each thread may own a child process for plugins."""

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dafxvae.core.resource import Closable
from dafxvae.effects.vst3.process import Limits

Task = Callable[["RenderWorker"], "Sequence[Task] | None"]


class RenderWorker:
    """State of one thread of the pool, with a place for resources that must stay with it."""

    def __init__(self, slot: int, limits: Limits) -> None:
        self.slot = slot
        self.limits = limits
        self.busy_seconds = 0.0  # in tasks
        self.resource: Any = None  # anything with close(); the plugin process, made by the first task that needs it

    def close(self) -> None:
        if self.resource is not None:
            self.resource.close()
            self.resource = None


class _Group:
    """The tasks of one `run` call and everything that they spawn."""

    def __init__(self, pending: int) -> None:
        self.lock = threading.Lock()
        self.pending = pending
        self.done = threading.Event()
        self.error: BaseException | None = None

    def finish(self, spawned: int) -> None:
        with self.lock:
            self.pending += spawned - 1
            if self.pending == 0:
                self.done.set()


class _State:
    """Shared by the threads; the pool itself is not, so that a forgotten pool is collected and its threads end."""

    def __init__(self) -> None:
        self.ready = threading.Condition()
        self.stack: deque[tuple[_Group, Task]] = deque()
        self.closed = False
        self.threads: list[threading.Thread] = []
        self.workers: list[RenderWorker] = []


def keep_pages() -> None:
    """Lets clips reuse memory instead of faulting it in page by page, for every render anew.

    glibc returns large blocks to the system when they are freed; having seen one freed of nearly 32 MiB, it keeps
    blocks up to that size (mallopt(3), M_MMAP_THRESHOLD). Elsewhere this does nothing.
    """
    np.empty((32 << 20) - 65536, np.uint8)  # freed at once, never touched


def default_num_workers() -> int:
    """One per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class RenderPool(Closable):
    """Runs tasks on a fixed number of threads; a task may return more tasks, which go first.

    Several threads may call `run` at once. Going depth first bounds the number of intermediate renders held.
    """

    def __init__(self, num_workers: int | None = None, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.num_workers = max(1, num_workers or default_num_workers())
        self._state = _State()
        self._start = threading.Lock()
        self._finalizer = weakref.finalize(self, _shut_down, self._state)  # runs at exit too, before threads are torn

    @property
    def closed(self) -> bool:
        return self._state.closed

    @property
    def busy_seconds(self) -> float:
        """Seconds that all workers together have spent in tasks so far."""
        return sum(worker.busy_seconds for worker in self._state.workers)

    def run(self, tasks: Sequence[Task]) -> None:
        """Runs the tasks and all that they return, and waits for the last.

        Raises:
            BaseException: what a task raised (a defect: failed renders are recorded, not raised).
            RuntimeError: the pool is closed.
        """
        if not tasks:
            return
        state = self._state
        self._ensure_started()
        group = _Group(len(tasks))
        with state.ready:
            if state.closed:
                raise RuntimeError("the render pool is closed: open the host or bank again")
            state.stack.extend((group, task) for task in reversed(tasks))
            state.ready.notify_all()
        try:
            group.done.wait()
        except BaseException:  # Ctrl-C: what has not begun need not be
            with state.ready:
                kept = [entry for entry in state.stack if entry[0] is not group]
                state.stack.clear()
                state.stack.extend(kept)
            raise
        if group.error is not None:
            raise group.error

    def close(self) -> None:
        """Ends the threads after the task in hand, and the plugin processes at once. May be called twice."""
        self._finalizer()

    def _ensure_started(self) -> None:
        state = self._state
        with self._start:
            if not state.threads and not state.closed:
                keep_pages()
                for slot in range(self.num_workers):
                    worker = RenderWorker(slot, self.limits)
                    thread = threading.Thread(target=_work, args=(state, worker), name=f"render-{slot}", daemon=True)
                    state.workers.append(worker)
                    state.threads.append(thread)
                    thread.start()


def _work(state: _State, worker: RenderWorker) -> None:
    while True:
        with state.ready:
            while not state.stack and not state.closed:
                state.ready.wait()
            if state.closed:
                break
            group, task = state.stack.pop()
        spawned: Sequence[Task] = ()
        started = time.perf_counter()
        try:
            if group.error is None:
                spawned = task(worker) or ()
        except BaseException as error:  # noqa: BLE001  it is raised again where run() waits
            group.error = error
        worker.busy_seconds += time.perf_counter() - started
        if spawned:
            with state.ready:
                state.stack.extend((group, child) for child in reversed(spawned))
                state.ready.notify(len(spawned))
        group.finish(len(spawned))
        del group, task, spawned  # an idle thread holds no audio
    worker.close()


def _shut_down(state: _State) -> None:
    with state.ready:
        state.closed = True
        abandoned = list(state.stack)
        state.stack.clear()
        state.ready.notify_all()
    for worker in state.workers:
        if worker.resource is not None:
            with contextlib.suppress(OSError):
                worker.resource.kill()  # so that a thread that waits for a plugin comes back at once
    for thread in state.threads:
        if thread is not threading.current_thread():
            thread.join()
    for group, _ in abandoned:
        group.error = RuntimeError("the render pool was closed while renders were waiting")
        group.finish(0)
