"""L_d, the distance of the CounterFX protocol: spectral convergence and logarithmic magnitudes at three resolutions."""

from functools import lru_cache

import numpy as np
import scipy.fft

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop and window in samples
LEAST_POWER = 1e-8  # of a bin; its root is the least magnitude


@lru_cache(maxsize=8)
def _window(size: int, length: int) -> np.ndarray:
    """A periodic Hann window of `length` in the middle of `size`."""
    padded = np.zeros(size, np.float32)
    start = (size - length) // 2
    padded[start : start + length] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    return padded


def magnitudes(audio: np.ndarray) -> list[np.ndarray]:
    """Magnitude spectrograms of a recording, one a resolution; `[T, C] -> [C, N, bins]` each."""
    found = []
    for size, hop, length in RESOLUTIONS:
        padded = np.pad(np.asarray(audio, np.float32).T, ((0, 0), (size // 2, size // 2)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop] * _window(size, length)
        power = np.square(np.abs(np.asarray(scipy.fft.rfft(frames, axis=-1))))
        found.append(np.sqrt(np.maximum(power, LEAST_POWER)))
    return found


def counterfx_distance(output: list[np.ndarray], target: list[np.ndarray]) -> float:
    """L_d of an output to its target, of the `magnitudes` of both; 0 for the target itself."""
    parts = [
        np.linalg.norm(wanted - made) / np.linalg.norm(wanted) + np.abs(np.log(made) - np.log(wanted)).mean()
        for made, wanted in zip(output, target, strict=True)
    ]
    return float(np.mean(parts))
