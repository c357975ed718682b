"""Named random streams: host numbers that depend on (seed, stream, index) alone, never on order, workers or devices."""

import zlib

import numpy as np

from dafxvae.core.errors import UserError

LARGEST_SEED = (1 << 31) - 1  # that jax takes as a key


def stream_id(name: str) -> int:
    """A stable 32-bit number for a stream's name (CRC-32, the same in every process and version)."""
    return zlib.crc32(name.encode())


def check_seed(seed: int, option: str = "--seed") -> None:
    """Raises UserError for a seed that some generator cannot take."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"{option} {seed}: give a number that is not negative, up to {LARGEST_SEED}")


def host_rng(seed: int, stream: str, *index: int) -> np.random.Generator:
    """NumPy generator of the stream `stream` at `index` (a step, an item, ...).

    Args:
        seed: the run's seed, >= 0.
        stream: a name such as "crops" or "settings".
        *index: any number of non-negative integers.
    """
    return np.random.default_rng((seed, stream_id(stream), *index))
