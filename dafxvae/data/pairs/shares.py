"""The share of a batch that each process makes, without coordination."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import UserError


@dataclass(frozen=True)
class ProcessShare:
    """Part `index` of `count` equal, contiguous parts of every batch; by default the whole."""

    index: int = 0
    count: int = 1

    def rows(self, size: int) -> slice:
        """Rows of a batch of `size` examples that belong to this part.

        Raises:
            UserError: the batch cannot be divided evenly.
        """
        if size % self.count:
            raise UserError(f"a batch of {size} does not divide into {self.count} equal shares: choose a multiple")
        part = size // self.count
        return slice(self.index * part, (self.index + 1) * part)

    def items(self, step: int, batch_size: int) -> np.ndarray:
        """Global indices of this part's examples at a step, int64 `[B / count]`."""
        first = int(step) * batch_size
        return np.arange(first, first + batch_size, dtype=np.int64)[self.rows(batch_size)]


WHOLE = ProcessShare()


class Exchange(NamedTuple):
    """Combine the shares that the processes of a run have computed."""

    gather: Callable[[Any], Any]  # arrays of every share `[B / P, ...]`, joined in order
    all_have: Callable[[bool], bool]  # is a flag set in every process?


ALONE = Exchange(lambda batch: batch, lambda flag: flag)
