"""Audio files of a folder: each one found once, their headers, their samples."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.decoding import CONVERTIBLE
from dafxvae.audio.io import AUDIO_SUFFIXES, audio_info, read_audio
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path
from dafxvae.data.corpora.layouts import Layout, detect_layout

SILENT_PEAK = 1e-3  # -60 dBFS
SHORTEST_SEC = 0.02
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


class FoundAudio(NamedTuple):
    """What a folder holds."""

    paths: list[Path]  # sorted
    unreadable: list[tuple[Path, str]]  # folders, and why


def find_audio(folder: Path) -> FoundAudio:
    """All audio files below a folder, hidden ones left out; a folder to which several links lead is read once.

    Raises:
        UserError: no such folder, or no audio file in it; says what was looked for and where.
    """
    folder = user_path(folder)
    if not folder.is_dir():
        raise UserError(f"no such folder of audio: {folder}")
    suffixes = AUDIO_SUFFIXES | CONVERTIBLE | {".g722"}
    found, others, seen, waiting = FoundAudio([], []), 0, set(), [str(folder)]

    def unreadable(error: OSError) -> None:
        found.unreadable.append((Path(error.filename), f"cannot be read: {error.strerror}"))

    while waiting:  # folders come before what links lead to, which os.walk does not follow
        for parent, folders, names in os.walk(waiting.pop(0), onerror=unreadable):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            waiting += [path for name in folders if os.path.islink(path := os.path.join(parent, name))]
            audio = [name for name in names if Path(name).suffix.lower() in suffixes and not name.startswith(".")]
            found.paths.extend(Path(parent, name) for name in audio)
            others += len(names) - len(audio)
    if not found.paths:
        looked = " ".join(f"*{suffix}" for suffix in sorted(suffixes))
        raise UserError(f"no audio in {folder}: looked there and below for {looked} and found {others} other files")
    found.paths.sort()
    return found


def content_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_stamp(path: Path) -> str:
    """Size and time of change; "" for what cannot be read, such as a link that leads nowhere."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def folder_layout(root: Path, found: FoundAudio, digest: Callable[[Path], str] = content_digest) -> Layout:
    """The files of a folder in their groups, each content once: of equal files the first by name is used, links last.

    Args:
        root: the folder, without links in its path.
        found: in it.
        digest: of a file that can be read; called for files that have the size of another one.
    """
    left_out, by_size = list(found.unreadable), defaultdict(list)
    for path in sorted(found.paths, key=lambda path: (os.path.realpath(path) != str(path), path)):
        by_size[file_stamp(path).partition("-")[0]].append(path)
    for size, alike in by_size.items():
        if size in ("", "0") or len(alike) == 1:
            continue
        first: dict[str, Path] = {}
        for path in alike:
            try:
                twin = first.setdefault(digest(path), path)
            except OSError:
                continue  # its header cannot be read, either, and says why
            if twin is not path:
                left_out.append((path, f"the same content as {twin.relative_to(root).as_posix()}"))
    unused = {path for path, _ in left_out}
    layout = detect_layout(root, [path for path in found.paths if path not in unused])
    return layout._replace(left_out=[*left_out, *layout.left_out])


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


def decode(source: AudioFile, start: int = 0, frames: int = -1) -> tuple[np.ndarray, str]:
    """A file's samples, float32 `[T, C]`, and why they cannot be used ('' if they can)."""
    if source.path.suffix.lower() == ".g722":
        audio = _decode_g722(source.path)
    else:
        try:
            audio, _ = read_audio(source.path, start=start, frames=frames)
        except UserError as error:
            return np.zeros((0, 1), np.float32), str(error)
    if audio.shape[0] == 0:
        return audio, "zero length"
    if not np.isfinite(audio).all():
        return audio, "holds NaN or infinite samples"
    if float(np.abs(audio).max()) < SILENT_PEAK:
        return audio, "silent: its peak is below -60 dBFS"
    return audio, ""


def _decode_g722(path: Path) -> np.ndarray:
    try:
        from G722 import G722  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"{path.name} is G.722 speech: install its decoder with `pip install G722`") from error
    samples = G722(G722_RATE, 64000).decode(path.read_bytes())
    return (np.asarray(samples, dtype=np.float32) / 32768.0)[:, None]
