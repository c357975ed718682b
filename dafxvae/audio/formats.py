"""Formats of audio files that are written: by suffix, with the encoding and the tags of a recording."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import soundfile

from dafxvae.core.errors import UserError

_FORMATS = {  # suffix: (libsndfile's format, the subtype written unless asked otherwise)
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # of a sample in WAV and AIFF
LARGEST = (1 << 32) - (1 << 20)  # bytes of samples that the 32 bits of WAV and AIFF can count, with room for a header


def encoding_of(
    path: str | os.PathLike[str], subtype: str | None = None, num_values: int | None = None
) -> tuple[str, str]:
    """libsndfile's names of the format and subtype in which a file of that name is written.

    Args:
        path: its suffix names the format.
        subtype: None for the format's usual one.
        num_values: samples of all channels together, at most; above 4 GiB .wav is RF64. None where it does not matter.

    Raises:
        UserError: unknown suffix, or more samples than the format can hold.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise UserError(f"cannot write {path}: no format for '{suffix}', use one of {', '.join(_FORMATS)}")
    container, usual = _FORMATS[suffix]
    encoding = subtype or usual
    if (num_values or 0) * _BYTES.get(encoding, 0) > LARGEST and container in ("WAV", "AIFF"):
        if container == "AIFF":
            raise UserError(f"cannot write {path}: AIFF holds 4 GiB, and this may become more; give .wav or .flac")
        return "RF64", encoding
    return container, encoding


def kept_subtype(path: str | os.PathLike[str], subtype: str) -> str | None:
    """The subtype that keeps the depth of a recording, at least 16 bits; where it cannot, None for the usual one.

    Args:
        path: of what is written; its suffix names the format.
        subtype: of the recording.
    """
    container, kept = encoding_of(path)[0], {"PCM_U8": "PCM_16", "PCM_S8": "PCM_16"}.get(subtype, subtype)
    return kept if kept in _BYTES and soundfile.check_format(container, kept) else None


def set_tags(file: soundfile.SoundFile, tags: Mapping[str, str]) -> None:
    """Writes the tags that the format has; to MP3, which soundfile gives UTF-8 for Latin-1, those of ASCII alone."""
    for name, text in tags.items():
        if name != "software" and (file.format != "MP3" or text.isascii()):
            with contextlib.suppress(soundfile.SoundFileError):
                setattr(file, name, text)
