"""Keeps the C library from handing freed batches back to the system, only to fault their pages in again."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_TRIM_BYTES = 1 << 30
_MMAP_BYTES = 32 << 20  # the most that glibc takes


def keep_freed_memory() -> bool:
    """Asks glibc's allocator to keep up to 1 GiB of freed memory for reuse; elsewhere it does nothing.

    Batches are arrays of megabytes that are made and dropped many times a second. By default each comes from the system
    anew, and its first touch costs a page fault per 4 KiB: measured, a third of the rendering throughput of two cores
    (see docs/data.md). Process-wide; calling it again changes nothing.

    Returns:
        Whether it took effect.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has none
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)) and bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES))
