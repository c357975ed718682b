"""A folder of audio as a corpus: decoded, resampled and checked once, kept as FLAC in the cache."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.audio.io import AUDIO_SUFFIXES, audio_info, read_audio, resample, to_channels, write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.progress import progress_bar
from dafxvae.core.threads import map_in_threads
from dafxvae.data.composer.rendering import pcm_rms_db, pcm_sha256
from dafxvae.data.corpora.index import CorpusIndex
from dafxvae.data.corpora.layouts import Layout, detect_layout
from dafxvae.data.corpora.tracks import Corpus, Skipped, track_of

STORE_VERSION = 2
SEGMENT_SEC = 300.0  # longer recordings become several tracks
SHORT_SEC = 15.0  # shorter ones of one speaker or song are joined
JOINED_SEC = 60.0
SILENT_PEAK = 1e-3  # -60 dBFS
SHORTEST_SEC = 0.02
PEAK = 0.99
G722_RATE = 16000
_FORMATS_OF_SUFFIX = {  # what libsndfile must find inside; other suffixes may hold anything
    ".wav": {"WAV", "WAVEX", "RF64"},
    ".flac": {"FLAC", "OGG"},
    ".ogg": {"OGG"},
    ".oga": {"OGG"},
    ".opus": {"OGG"},
    ".mp3": {"MP3", "MPEG"},
    ".aiff": {"AIFF"},
    ".aif": {"AIFF"},
    ".aifc": {"AIFF"},
}


@dataclass(frozen=True)
class AudioFile:
    """A file of the folder, as its header describes it."""

    name: str  # path below the folder, with forward slashes
    path: Path
    stamp: str  # size and time of change: another stamp is another file
    frames: int
    sample_rate: int
    group: str
    split: str
    licence: str = ""


@dataclass(frozen=True)
class Unit:
    """What becomes one track: a stretch of one file, or several short files in a row."""

    sources: tuple[AudioFile, ...]
    start: int = 0
    frames: int = -1

    @property
    def key(self) -> str:
        text = "\n".join(f"{s.name}\t{s.stamp}\t{s.group}\t{s.split}\t{s.licence}" for s in self.sources)
        return hashlib.sha256(f"{text}\n{self.start}\t{self.frames}".encode()).hexdigest()[:20]

    @property
    def name(self) -> str:
        first = self.sources[0]
        if len(self.sources) > 1:
            return f"{first.name} and {len(self.sources) - 1} more"
        return first.name if self.start == 0 else f"{first.name}@{self.start / first.sample_rate:.0f}s"


def find_audio(folder: Path) -> list[Path]:
    """All audio files below a folder, sorted, hidden ones left out.

    Raises:
        UserError: no such folder, or no audio file in it; says what was looked for and where.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder of audio: {folder}")
    suffixes = AUDIO_SUFFIXES | {".g722"}
    found, others = [], 0
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                found.append(Path(parent) / name)
            else:
                others += 1
    if not found:
        looked = " ".join(f"*{suffix}" for suffix in sorted(suffixes))
        raise UserError(f"no audio in {folder}: looked there and below for {looked} and found {others} other files")
    return sorted(found)


def open_folder(
    folder: str | os.PathLike[str], *, sample_rate: int, num_channels: int, cache: Path, progress: bool = True
) -> Corpus:
    """A folder of audio as a corpus; what the cache lacks is prepared first, what cannot be used is in `.skipped`.

    Args:
        folder: any audio of any rate, mono or stereo, in any depth; known data sets are recognised by their layout.
        sample_rate: Hz to resample to.
        num_channels: 1 or 2.
        cache: folder of prepared corpora.
        progress: show a progress bar on stderr.

    Raises:
        UserError: nothing usable is in the folder, or the cache cannot be written.
    """
    root = Path(folder).expanduser().resolve()
    layout = detect_layout(root, find_audio(root))
    short = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    store = CorpusIndex(cache / f"folder-v{STORE_VERSION}-{root.name[:40]}-{short}-{sample_rate}hz-{num_channels}ch")
    with store.lock():
        skipped, units = _scan(root, layout, store)
        entries = _known(store)
        missing = [unit for unit in units if unit.key not in entries]
        prepare = _Preparer(store, sample_rate, num_channels)
        with progress_bar(f"preparing {root.name}", len(missing), progress) as advance:
            for entry in map_in_threads(prepare, missing):
                store.append(entry)
                entries[entry["key"]] = entry
                advance()
    used = [entries[unit.key] for unit in units]
    skipped += [Skipped(path, reason) for entry in used for path, reason in entry["skipped"]]
    tracks = tuple(track_of(entry, store.folder) for entry in used if "file" in entry)
    if not tracks:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
        raise UserError(f"nothing usable among the {len(skipped)} audio files below {root}: {reasons}")
    return Corpus(layout.name or root.name, sample_rate, num_channels, tracks, tuple(sorted(set(skipped))))


def _known(store: CorpusIndex) -> dict[str, dict[str, Any]]:
    entries = {}
    for entry in store.entries():
        if entry.get("kind") == "unit" and ("file" not in entry or (store.folder / entry["file"]).is_file()):
            entries[entry["key"]] = entry
    return entries


def _scan(root: Path, layout: Layout, store: CorpusIndex) -> tuple[list[Skipped], list[Unit]]:
    """Reads the headers (once: they are in the index) and plans the tracks."""
    headers: dict[tuple[str, str], dict[str, Any]] = {
        (e["name"], e["stamp"]): e for e in store.entries() if e.get("kind") == "header"
    }
    skipped, sources = [Skipped(str(path.relative_to(root)), reason) for path, reason in layout.left_out], []
    for item in layout.files:
        name, status = item.path.relative_to(root).as_posix(), item.path.stat()
        stamp = f"{status.st_size}-{status.st_mtime_ns}"
        header = headers.get((name, stamp))
        if header is None:
            header = {"kind": "header", "name": name, "stamp": stamp, **read_header(item.path)}
            store.append(header)
        if header["reason"]:
            skipped.append(Skipped(name, header["reason"]))
        else:
            sources.append(
                AudioFile(
                    name, item.path, stamp, header["frames"], header["rate"], item.group, item.split, item.licence
                )
            )
    return skipped, plan_units(sources)


def read_header(path: Path) -> dict[str, Any]:
    """Frames, rate in Hz, and why a file cannot be used ("" if it can), from its header."""
    suffix = path.suffix.lower()
    if suffix == ".g722":
        frames = 2 * path.stat().st_size  # 4 bits a sample
        return {"frames": frames, "rate": G722_RATE, "reason": "" if frames else "empty (0 bytes)"}
    try:
        info = audio_info(path)
    except UserError as error:
        return {"frames": 0, "rate": 0, "reason": str(error)}
    reason = ""
    if info.format not in _FORMATS_OF_SUFFIX.get(suffix, {info.format}):
        reason = f"mislabelled: the suffix says {suffix[1:]}, the content is {info.format}"
    elif info.length_sec < SHORTEST_SEC:
        reason = f"too short: {info.frames} samples"
    return {"frames": info.frames, "rate": info.sample_rate, "reason": reason}


def plan_units(sources: Sequence[AudioFile]) -> list[Unit]:
    """Long files are cut, short ones of one group and split joined in order, the rest are tracks as they are."""
    units, short = [], defaultdict(list)
    for source in sources:
        length_sec = source.frames / source.sample_rate
        if length_sec < SHORT_SEC:
            short[source.group, source.split].append(source)
        elif length_sec <= 1.5 * SEGMENT_SEC:
            units.append(Unit((source,)))
        else:
            segment = round(SEGMENT_SEC * source.sample_rate)
            for start in range(0, source.frames - segment // 4, segment):
                units.append(Unit((source,), start, segment))
    for group in short.values():
        row: list[AudioFile] = []
        for source in group:
            if row and sum(s.frames / s.sample_rate for s in row) + source.frames / source.sample_rate > JOINED_SEC:
                units.append(Unit(tuple(row)))
                row = []
            row.append(source)
        units.append(Unit(tuple(row)))
    return sorted(units, key=lambda unit: (unit.sources[0].name, unit.start))


@dataclass(frozen=True)
class _Preparer:
    store: CorpusIndex
    sample_rate: int
    num_channels: int

    def __call__(self, unit: Unit) -> dict[str, Any]:
        """Decodes, checks, resamples and stores one track; returns its line of the index."""
        pieces, used, skipped = [], [], []
        for source in unit.sources:
            audio, reason = decode(source, unit.start, unit.frames)
            if reason:
                where = "" if unit.start == 0 else f" (from {unit.start / source.sample_rate:.0f} s)"
                skipped.append((source.name, reason + where))
                continue
            audio = resample(to_channels(audio, self.num_channels), source.sample_rate, self.sample_rate)
            peak = float(np.abs(audio).max(initial=0.0))
            if (
                peak < SILENT_PEAK
            ):  # in what is kept of it: its first two channels, or what is below the new rate's half
                skipped.append((source.name, f"silent in {self.num_channels} channels at {self.sample_rate} Hz"))
                continue
            pieces.append(audio * np.float32(min(1.0, PEAK / peak)))
            used.append(source.name)
        entry: dict[str, Any] = {"kind": "unit", "key": unit.key, "skipped": skipped}
        if not pieces:
            return entry
        pcm = np.round(np.concatenate(pieces) * np.float32(32767.0)).astype(np.int16)
        write_audio(self.store.folder / f"{unit.key}.flac", pcm, self.sample_rate, subtype="PCM_16")
        return entry | {
            "name": unit.name,
            "file": f"{unit.key}.flac",
            "frames": pcm.shape[0],
            "group": unit.sources[0].group,
            "split": unit.sources[0].split,
            "rms_db": round(pcm_rms_db(pcm), 2),
            "sha256": pcm_sha256(pcm),
            "sources": used,
            "licence": unit.sources[0].licence,
        }


def decode(source: AudioFile, start: int = 0, frames: int = -1) -> tuple[np.ndarray, str]:
    """A file's samples, float32 `[T, C]`, and why they cannot be used ('' if they can)."""
    expected = source.frames - start if frames < 0 else min(frames, source.frames - start)
    if source.path.suffix.lower() == ".g722":
        audio = _decode_g722(source.path)
    else:
        try:
            audio, _ = read_audio(source.path, start=start, frames=frames)
        except UserError as error:
            return np.zeros((0, 1), np.float32), str(error)
    if audio.shape[0] == 0:
        return audio, "zero length"
    if audio.shape[0] < 0.98 * expected:
        return audio, f"truncated: {audio.shape[0]} of {expected} samples could be decoded"
    if not np.isfinite(audio).all():
        return audio, "holds NaN or infinite samples"
    if float(np.abs(audio).max()) < SILENT_PEAK:
        return audio, "silent: its peak is below -60 dBFS"
    return audio, ""


def _decode_g722(path: Path) -> np.ndarray:
    try:
        from G722 import G722  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f"{path.name} is G.722 speech: install its decoder with `pip install 'dafxvae[corpora]'`"
        ) from error
    samples = G722(G722_RATE, 64000).decode(path.read_bytes())
    return (np.asarray(samples, dtype=np.float32) / 32768.0)[:, None]
