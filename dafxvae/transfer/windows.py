"""Windows of a recording that are encoded: of the controller's length, spread over its active parts."""

from typing import NamedTuple

import numpy as np

from dafxvae.audio.io import resample, to_channels
from dafxvae.audio.loudness import HOP_SEC
from dafxvae.transfer.recordings import ArrayRecording, Recording, Scan, power_db

MAX_WINDOWS = 24
SILENCE_DB = -60.0  # quieter windows are left out
RANGE_DB = 40.0  # so are those that far below the loudest
EXCERPT_SEC = 6.0


class WindowFormat(NamedTuple):
    """What a controller was trained to be given."""

    num_samples: int  # T of a window
    sample_rate: int  # Hz
    num_channels: int


def window_starts(levels_db: np.ndarray, length_sec: float, window_sec: float) -> list[float]:
    """Choose the beginnings of windows, in seconds.

    Args:
        levels_db: `[H]` of a `Scan`.
        length_sec: of the recording.
        window_sec: of a window.

    Returns:
        At most `MAX_WINDOWS` beginnings, in order, spread evenly over the windows that are not silent; one at 0 for a
        recording that is no longer than a window. At least one.
    """
    last = length_sec - window_sec
    if last <= 0:
        return [0.0]
    count = max(2, int(np.ceil(length_sec / window_sec)))
    starts = np.linspace(0.0, last, count)  # they touch or overlap by less than a window in all
    powers = np.concatenate([[0.0], np.cumsum(10.0 ** (levels_db / 10.0))])
    edges = np.arange(len(powers)) * HOP_SEC
    energy = np.interp(starts + window_sec, edges, powers) - np.interp(starts, edges, powers)
    level = 10.0 * np.log10(np.maximum(energy * HOP_SEC / window_sec, 1e-12))
    active = np.flatnonzero((level >= SILENCE_DB) & (level >= level.max() - RANGE_DB))
    if not len(active):
        active = np.array([int(np.argmax(level))])  # a quiet recording has its loudest window
    chosen = np.unique(np.round(np.linspace(0, len(active) - 1, min(MAX_WINDOWS, len(active)))).astype(int))
    return [float(starts[i]) for i in active[chosen]]


def read_window(source: Recording, start_sec: float, form: WindowFormat) -> np.ndarray:
    """One window, float32 `[T, C]`; a recording that is shorter is repeated to fill it."""
    frames = int(np.ceil(form.num_samples * source.sample_rate / form.sample_rate)) + 1
    start = max(0, min(round(start_sec * source.sample_rate), source.frames - frames))
    mixed = to_channels(source.read(start, frames), form.num_channels)
    audio = resample(mixed, source.sample_rate, form.sample_rate)
    return np.resize(audio, (form.num_samples, form.num_channels)).astype(np.float32)  # numpy's resize repeats


def read_windows(source: Recording, levels_db: np.ndarray, form: WindowFormat) -> np.ndarray:
    """Read the windows from which a recording is encoded.

    Args:
        source: the recording.
        levels_db: `[H]`, of its scan.
        form: of the windows.

    Returns:
        float32 `[W, T, C]`, W at most `MAX_WINDOWS`.
    """
    starts = window_starts(levels_db, source.frames / source.sample_rate, form.num_samples / form.sample_rate)
    return np.stack([read_window(source, start, form) for start in starts])


def clip_windows(clip: np.ndarray, form: WindowFormat) -> np.ndarray:
    """Cut a clip in memory into the windows that `read_windows` would read from a file of it.

    Args:
        clip: float32 `[T, C]` at the windows' rate, finite; it may be silent.
        form: of the windows.

    Returns:
        float32 `[W, T, C]`.
    """
    hop = round(HOP_SEC * form.sample_rate)
    hops = clip[: len(clip) // hop * hop].reshape(-1, hop * clip.shape[1])
    source = ArrayRecording(clip, form.sample_rate, "clip")
    return read_windows(source, power_db(np.square(hops).mean(axis=1)), form)


def excerpt(source: Recording, scan: Scan, seconds: float = EXCERPT_SEC) -> tuple[int, int]:
    """The most active part of a recording: (first sample, number of samples), at its own rate."""
    count = min(source.frames, round(seconds * source.sample_rate))
    hops = max(1, round(count / source.sample_rate / HOP_SEC))
    if len(scan.levels_db) <= hops:
        return 0, count
    energy = np.convolve(10.0 ** (scan.levels_db / 10.0), np.ones(hops), mode="valid")
    start = round(int(np.argmax(energy)) * HOP_SEC * source.sample_rate)
    return min(start, source.frames - count), count


def read_excerpt(source: Recording, scan: Scan, seconds: float) -> tuple[np.ndarray, int]:
    """The samples of `excerpt`, float32 `[T, C]`, and their rate in Hz."""
    start, count = excerpt(source, scan, seconds)
    return np.asarray(source.read(start, count), np.float32), source.sample_rate


def mixed_excerpt(source: Recording, scan: Scan, form: WindowFormat) -> np.ndarray:
    """The samples of `excerpt`, float32 `[T, C]`, at a format's rate and channels."""
    start, count = excerpt(source, scan)
    return resample(to_channels(source.read(start, count), form.num_channels), source.sample_rate, form.sample_rate)
