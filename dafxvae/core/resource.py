"""A base class for what holds processes, threads or files."""

from types import TracebackType
from typing import Self


class Closable:
    """Base of a class with `close()`: the end of a `with` statement calls it."""

    def close(self) -> None:
        """Gives back what is held; a second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
