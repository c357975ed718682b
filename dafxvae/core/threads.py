"""Run a function over many jobs in threads."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MAX_THREADS = 16
Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Job], Result], jobs: Iterable[Job], num_threads: int | None = None
) -> Iterator[Result]:
    """Yield the results of all jobs in the order of the jobs.

    The first error is raised; jobs that have not begun by then, or when the caller stops early, are dropped.

    Args:
        function: safe to call from several threads.
        jobs: its arguments; all are submitted at once.
        num_threads: None for one a core, at most 16.
    """
    with ThreadPoolExecutor(num_threads or min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        futures = [pool.submit(function, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
