"""Statistics of a folder of recordings: minutes, rates, bandwidth, loudness, licences, unusable files."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dafxvae.audio.io import to_channels
from dafxvae.core.paths import user_path
from dafxvae.data.corpora.files import AudioFile, decode, find_audio, folder_layout, read_header
from dafxvae.data.corpora.tracks import Skipped

MAX_DECODED = 400  # files of a folder whose samples are looked at, evenly spaced; the headers of all are read
MAX_SEC = 30.0  # of each
WINDOW = 2048
BANDWIDTH_DB = -60.0


@dataclass
class FolderStats:
    """Numbers of a folder; shares and levels are of the files whose samples were read."""

    name: str
    files: int = 0
    minutes: float = 0.0
    groups: int = 0
    minutes_by_rate: dict[int, float] = field(default_factory=dict)  # Hz: minutes
    splits: dict[str, float] = field(default_factory=dict)  # official splits: minutes
    licences: tuple[str, ...] = ()
    bandwidth_hz: float = 0.0  # where the mean spectrum falls 60 dB below its maximum for good
    rms_db: tuple[float, float, float] = (0.0, 0.0, 0.0)  # 10, 50, 90 % of the files, dBFS
    silent_share: float = 0.0  # of the tenths of a second below -60 dBFS
    stereo_share: float = 0.0  # of the files
    clipped_share: float = 0.0  # of the files with samples at full scale
    skipped: tuple[Skipped, ...] = ()


def folder_stats(folder: Path) -> FolderStats:
    """Measures a folder of audio at its own rates.

    Args:
        folder: any audio, known data sets by their layout.

    Raises:
        UserError: no such folder, or no audio in it.
    """
    root = user_path(folder).resolve()
    layout = folder_layout(root, find_audio(root))
    stats = FolderStats(layout.name or root.name)
    skipped = [Skipped(str(path.relative_to(root)), reason) for path, reason in layout.left_out]
    by_rate: Counter[int] = Counter()
    splits: Counter[str] = Counter()
    sources: list[AudioFile] = []
    for item in layout.files:
        header, name = read_header(item.path), item.path.relative_to(root).as_posix()
        if header["reason"]:
            skipped.append(Skipped(name, header["reason"]))
            continue
        seconds = header["frames"] / header["rate"]
        by_rate[header["rate"]] += seconds / 60.0
        splits[item.split] += seconds / 60.0
        sources.append(AudioFile(name, item.path, "", header["frames"], header["rate"], item.group, item.split))
    stats.files, stats.minutes = len(sources), float(sum(by_rate.values()))
    stats.groups = len({source.group for source in sources})
    stats.minutes_by_rate = dict(sorted(by_rate.items()))
    stats.splits = {split: minutes for split, minutes in splits.items() if split}
    stats.licences = tuple(sorted({item.licence for item in layout.files} - {""}))
    skipped += _measure(stats, sources[:: max(len(sources) // MAX_DECODED, 1)])
    stats.skipped = tuple(sorted(skipped))
    return stats


def _measure(stats: FolderStats, sources: list[AudioFile]) -> list[Skipped]:
    levels, stereo, clipped, skipped = [], 0, 0, []
    quiet = total = 0
    spectra: dict[int, list[np.ndarray]] = defaultdict(list)
    for source in sources:
        audio, reason = decode(source, 0, min(source.frames, round(MAX_SEC * source.sample_rate)))
        if reason:
            skipped.append(Skipped(source.name, reason))
            continue
        mono = to_channels(audio, 1)[:, 0]
        levels.append(10.0 * np.log10(float(np.mean(mono**2)) + 1e-12))
        stereo += audio.shape[1] > 1
        clipped += bool(np.abs(audio).max() >= 0.9999)
        step = max(source.sample_rate // 10, 1)
        power = np.mean(mono[: len(mono) // step * step].reshape(-1, step) ** 2, axis=1)
        quiet, total = quiet + int(np.sum(power < 1e-6)), total + len(power)
        if len(mono) >= WINDOW:
            frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::WINDOW] * np.hanning(WINDOW)
            spectra[source.sample_rate].append(np.mean(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=0))
    count = max(len(levels), 1)
    if levels:
        low, middle, high = np.percentile(levels, [10, 50, 90])
        stats.rms_db = (float(low), float(middle), float(high))
    stats.silent_share, stats.stereo_share, stats.clipped_share = quiet / max(total, 1), stereo / count, clipped / count
    stats.bandwidth_hz = max((_bandwidth(np.mean(power, axis=0), rate) for rate, power in spectra.items()), default=0.0)
    return skipped


def _bandwidth(power: np.ndarray, sample_rate: int) -> float:
    """The highest frequency whose mean power is above -60 dB of the strongest, in Hz."""
    above = np.flatnonzero(power > power.max() * 10.0 ** (BANDWIDTH_DB / 10.0))
    return float(above[-1]) * sample_rate / WINDOW
