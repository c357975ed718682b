"""Open an audio file with the number of samples that it holds, whatever its header says."""

import os
from pathlib import Path

import soundfile

from dafxvae.audio import headers
from dafxvae.core.errors import UserError

UNKNOWN_FRAMES = (1 << 63) - 1  # as libsndfile says it
_BLOCK = 65536


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
        UserError: it is missing, empty, or a folder.
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(f"no such audio file: {found}")
    if not found.is_file():
        raise UserError(f"not an audio file but a folder: {found}")
    if found.stat().st_size == 0:
        raise UserError(f"audio file is empty (0 bytes): {found}")
    return found


def reason(error: Exception) -> str:
    """What libsndfile or the system says, without a full stop."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def open_audio(path: str | os.PathLike[str]) -> soundfile.SoundFile:
    """Opens a file; `frames` are those that it holds, also where its header leaves them out or estimates them.

    Raises:
        UserError: it is missing, empty, in no format that libsndfile reads, or holds a second stream.
    """
    found = existing_audio(path)
    counted, second = None, None
    try:
        file = soundfile.SoundFile(str(found))
        if file.format in ("MP3", "MPEG"):
            counted = headers.counted_mp3(found)
        elif file.format in ("FLAC", "OGG"):
            second = headers.second_stream(found)
        if second is None and file.format == "FLAC" and file.frames == UNKNOWN_FRAMES:
            with _Sequence(str(found)) as sequence:
                counted = headers.flac_of_length(found, sequence.count())
        if counted is not None or second is not None:
            file.close()
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise UserError(f"cannot read {found}: {reason(error)}") from error
    if second is not None:
        raise UserError(
            f"{found} holds a second recording from byte {second} on, which would be lost: split them, or join them, "
            f"for example by `ffmpeg -i {found.name} {found.stem}.wav`"
        )
    return file if counted is None else soundfile.SoundFile(counted)
