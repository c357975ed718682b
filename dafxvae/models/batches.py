"""Compiled functions over any number of rows."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def in_batches(function: Callable[..., Any], size: int, *arrays: Any) -> Any:
    """Apply a function to batches of one size, so that one compilation serves all, and join what it returns.

    Args:
        function: arrays `[size, ...]` to arrays, or a tree of them, with the same leading axis.
        size: of a batch; the last one is filled up with copies of the last row.
        arrays: its arguments, `[B, ...]` each, B at least 1.

    Returns:
        The same as `function` returns, numpy, `[B, ...]`.
    """
    count, parts = len(arrays[0]), []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        parts.append(jax.device_get(function(*(array[rows] for array in arrays))))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
