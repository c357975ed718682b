"""Named random streams: host numbers that depend on (seed, stream, index) alone, never on order, workers or devices."""

import zlib

import numpy as np


def stream_id(name: str) -> int:
    """A stable 32-bit number for a stream's name (CRC-32, the same in every process and version)."""
    return zlib.crc32(name.encode())


def host_rng(seed: int, stream: str, *index: int) -> np.random.Generator:
    """NumPy generator of the stream `stream` at `index` (a step, an item, ...).

    Args:
        seed: the run's seed, >= 0.
        stream: a name such as "crops" or "settings".
        *index: any number of non-negative integers.
    """
    return np.random.default_rng((seed, stream_id(stream), *index))
