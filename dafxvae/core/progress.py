"""Progress of long jobs: a bar on a terminal, a line every half minute elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SEC = 30.0  # between two lines in a log


class ProgressLines:
    """Lines for a log, where no bar can be seen; none on a terminal."""

    def __init__(self, what: str, total: int, console: Console, done: int = 0) -> None:
        self._what, self._total, self._console = what, total, console
        self._begin, self._first, self._last = time.monotonic(), done, time.monotonic()

    def show(self, done: int, more: str = "") -> None:
        """Prints how many of all are done, and how long the rest will take, if the last line is old."""
        now = time.monotonic()
        if self._console.is_terminal or now - self._last < LINE_SEC or done <= self._first:
            return
        self._last = now
        left_sec = (now - self._begin) / (done - self._first) * (self._total - done)
        line = f"{self._what}: {done:,} of {self._total:,}, about {left_sec / 60.0:.1f} min left{more}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress_bar(what: str, total: int, show: bool) -> Iterator[Callable[[], None]]:
    """Shows `what` with a bar on stderr, or lines; yields the function that moves it one on.

    Args:
        what: what is being done.
        total: steps in all; none shows nothing.
        show: False shows nothing.
    """
    if not show or total == 0:
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    lines, done = ProgressLines(what, total, console), 0
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=total)

        def advance() -> None:
            nonlocal done
            done += 1
            bar.advance(task)
            lines.show(done)

        yield advance
