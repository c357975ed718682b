"""True peak: the greatest value of the waveform between its samples, ITU-R BS.1770-4, annex 2."""

from collections.abc import Callable

import numpy as np
import soxr

OVERSAMPLING = 4
BLOCK = 1 << 14
MARGIN = 256  # samples to both sides of a block, in which the resampler settles
MOST_OVERSHOOT = 1.5  # of the true peak over that of the samples; a tone at a quarter of the rate has 1.41


def true_peak(read: Callable[[int, int], np.ndarray], frames: int, sample_rate: int) -> float:
    """Measure the true peak of a recording, in constant memory.

    Only blocks whose samples come near the greatest value are oversampled, the loudest first.

    Args:
        read: gives `frames` samples from `start` on, float `[T, C]`, fewer at the end.
        frames: T of the whole recording.
        sample_rate: Hz.

    Returns:
        Linear, 1 for full scale; never below the greatest sample.
    """
    starts = range(0, frames, BLOCK)
    peaks = np.array([np.abs(read(start, BLOCK)).max(initial=0.0) for start in starts])
    greatest = float(peaks.max(initial=0.0))
    for place in np.argsort(peaks)[::-1]:
        if peaks[place] * MOST_OVERSHOOT <= greatest:
            break
        first = max(0, starts[place] - MARGIN)
        audio = read(first, starts[place] + BLOCK + MARGIN - first)
        between = soxr.resample(audio, sample_rate, OVERSAMPLING * sample_rate)
        greatest = max(greatest, float(np.abs(between).max(initial=0.0)))
    return greatest
