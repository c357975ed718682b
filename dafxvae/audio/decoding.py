"""Open an audio file with the number of samples that it holds, whatever its header says."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import soundfile

from dafxvae.audio import headers
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path

UNKNOWN_FRAMES = (1 << 63) - 1  # as libsndfile says it
CONVERTIBLE = frozenset(  # audio of which libsndfile knows nothing
    {".m4a", ".m4b", ".mp4", ".mov", ".mkv", ".mka", ".webm", ".aac", ".ac3", ".wma", ".ape", ".wv", ".amr"}
)
_BLOCK = 65536

MISLEADING = ("File does not exist or is not a regular file", "Internal error")  # of what is there, and is no audio
UNKNOWN = "it is no audio, or its header is damaged; export it again"


class _Sequence(soundfile.SoundFile):
    """A file of unknown length, which can be read from its beginning to its end, but not sought."""

    def seekable(self) -> bool:
        return False

    def count(self) -> int:
        """How many samples there are."""
        total = 0
        while block := len(self.read(_BLOCK, dtype="int16")):
            total += block
        return total


def existing_audio(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is there.

    Raises:
        UserError: it is missing, empty, a folder, or a pipe.
    """
    found = user_path(path)
    try:
        status = found.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise UserError(f"no such audio file: {found}") from error
        raise UserError(f"cannot read {found}: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"not an audio file but a folder: {found}")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(
            f"not an audio file but a pipe or device, and a recording is read more than once: {found}; save it"
        )
    if status.st_size == 0:
        raise UserError(f"audio file is empty (0 bytes): {found}")
    return found


def native_name(path: Path) -> Any:
    """A path as soundfile opens it, whatever bytes are in it."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def reason(error: Exception) -> str:
    """What libsndfile or the system says, without a full stop."""
    said = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return UNKNOWN if said.startswith(MISLEADING) else said


def _advice(path: Path) -> str:
    """How to convert what other programs read."""
    if path.suffix.lower() not in CONVERTIBLE:
        return ""
    return f"; convert it first, for example by `ffmpeg -i {path.name} {path.stem}.wav`"


def cut_off(path: Path, missing: str) -> UserError:
    """The refusal of a file whose end is missing."""
    return UserError(
        f"{path} is cut off: {missing}; export it again, or keep what there is, for example by "
        f"`ffmpeg -i {path.name} {path.stem}-rest.wav`"
    )


def open_audio(path: str | os.PathLike[str]) -> soundfile.SoundFile:
    """Opens a file; `frames` are those that it holds, also where its header leaves them out or estimates them.

    Raises:
        UserError: it is missing, empty, cut off, in no format that libsndfile reads, without a sample, or holds two
            streams.
    """
    found = existing_audio(path)
    counted, second, missing = None, None, ""
    try:
        file = soundfile.SoundFile(native_name(found))
        missing = headers.missing_end(found)
        if file.format in ("MP3", "MPEG"):
            counted = headers.counted_mp3(found)
        elif file.format in ("FLAC", "OGG"):
            second = headers.second_stream(found)
        if second is None and file.format == "FLAC" and file.frames == UNKNOWN_FRAMES:
            with _Sequence(native_name(found)) as sequence:
                counted = headers.flac_of_length(found, sequence.count())
        if counted is not None or second is not None or missing:
            file.close()
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UserError(f"cannot read {found}: {reason(error)}{_advice(found)}") from error
    if second is not None:
        raise UserError(
            f"{found} holds a second recording from byte {second} on, which would be lost: split them, or join them, "
            f"for example by `ffmpeg -i {found.name} {found.stem}.wav`"
        )
    if missing:
        raise cut_off(found, missing)
    if counted is None and file.frames == 0:
        file.close()
        raise UserError(f"cannot read {found}: it holds no samples, or its header says so; export it again")
    return file if counted is None else soundfile.SoundFile(counted)
