"""Audio files to and from float32 `[T, C]`; by soundfile.

Reads what libsndfile reads: wav, flac, ogg (Vorbis, Opus), mp3, aiff, opus and more.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from dafxvae.audio.decoding import cut_off, existing_audio, native_name, open_audio, reason
from dafxvae.audio.formats import encoding_of, set_tags
from dafxvae.core.arguments import check_number, check_rate, number_array
from dafxvae.core.errors import UserError
from dafxvae.core.files import whole_file
from dafxvae.core.paths import user_path
from dafxvae.core.resource import Closable

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".aifc", ".opus", ".w64", ".caf"})
CANCELLED = 0.01  # of the channels' power: a mean below it has lost what they hold
_WRITE_BLOCK = 65536  # libsndfile's lossy encoders overflow their stack on one long write


class AudioInfo(NamedTuple):
    """Header of an audio file."""

    sample_rate: int  # Hz
    num_channels: int
    frames: int  # samples per channel
    format: str
    subtype: str

    @property
    def length_sec(self) -> float:
        return self.frames / self.sample_rate


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Reads the header of an audio file.

    Raises:
        UserError: see `open_audio`.
    """
    with open_audio(path) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames, file.format, file.subtype)


def to_channels(audio: np.ndarray, num_channels: int) -> np.ndarray:
    """Down-mixes to mono by the mean (the loudest channel where they cancel), or copies mono to every channel; of more
    than two channels stereo keeps the first two.

    Args:
        audio: float `[T, C]`.
        num_channels: channels wanted.

    Returns:
        `[T, num_channels]`.
    """
    if audio.shape[1] == num_channels:
        return audio
    if num_channels == 1:
        mixed, powers = audio.mean(axis=1, keepdims=True), np.square(audio).mean(axis=0, dtype=np.float64)
        if len(audio) and np.square(mixed).mean(dtype=np.float64) < CANCELLED * powers.mean():
            return np.ascontiguousarray(audio[:, [int(powers.argmax())]])
        return mixed
    if audio.shape[1] == 1:
        return np.repeat(audio, num_channels, axis=1)
    if audio.shape[1] > num_channels:
        return np.ascontiguousarray(audio[:, :num_channels])
    raise UserError(f"cannot make {num_channels} channels of {audio.shape[1]}")


def resample(audio: np.ndarray, from_rate: float, to_rate: float) -> np.ndarray:
    """Band-limited resampling (soxr, high quality, linear phase).

    Args:
        audio: float32 `[T, C]`.
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        float32 `[T * to_rate / from_rate, C]`; the input itself where the rates are equal.
    """
    check_rate(from_rate)
    check_rate(to_rate)
    if from_rate == to_rate or audio.shape[0] == 0:
        return audio
    return np.asarray(soxr.resample(audio, from_rate, to_rate, quality="HQ"), dtype=np.float32)


def read_audio(
    path: str | os.PathLike[str],
    sample_rate: int | None = None,
    num_channels: int | None = None,
    start: int = 0,
    frames: int = -1,
) -> tuple[np.ndarray, int]:
    """Reads a file, or a part of it, as float32.

    Args:
        path: the file.
        sample_rate: Hz to resample to; None keeps the file's.
        num_channels: channels to mix to (see `to_channels`); None keeps the file's.
        start: first frame to read, at the file's own rate.
        frames: how many frames of the file to read; -1 reads to the end. A file that ends earlier gives fewer.

    Returns:
        (float32 `[T, C]`, the sample rate in Hz).

    Raises:
        UserError: the file is missing, empty, damaged or unknown (the message says which), or a number cannot be.
    """
    check_number(start, "start", 0)
    check_number(frames, "frames", -1)
    if sample_rate is not None:
        check_rate(sample_rate)
    if num_channels is not None:
        check_number(num_channels, "num_channels", 1, 2)
    with AudioReader(path) as file:
        audio, rate = file.read(start, frames), file.sample_rate
    if num_channels is not None:
        audio = to_channels(audio, num_channels)
    if sample_rate is not None and sample_rate != rate:
        audio, rate = resample(audio, rate, sample_rate), sample_rate
    return audio, rate


def decode_audio(data: bytes) -> tuple[np.ndarray, int]:
    """Decodes an audio file held in memory: (float32 `[T, C]`, the sample rate in Hz)."""
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)


def encode_flac(audio: np.ndarray, sample_rate: int) -> bytes:
    """A FLAC file of 16 bit in memory, of float `[T, C]` in [-1, 1]."""
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def read_pcm16(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a 16-bit file whole without conversion: int16 `[T, C]` (half the memory of float32, the same bits)."""
    found = existing_audio(path)
    try:
        audio, _ = soundfile.read(native_name(found), dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"cannot read {found}: {reason(error)}") from error
    return audio


class AudioReader(Closable):
    """An open file of which parts are read, at its own rate; use it in a `with` statement.

    Raises:
        UserError: see `open_audio`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open_audio(path)
        self.path = user_path(path)
        self.name = str(self.path)
        self.sample_rate: int = self._file.samplerate  # Hz
        self.num_channels: int = self._file.channels
        self.is_mended = isinstance(self._file.name, io.BytesIO)  # soundfile alone reads another number of samples
        self.frames: int = self._file.frames
        self.subtype: str = self._file.subtype  # libsndfile's name of the encoding
        self.tags: dict[str, str] = self._file.copy_metadata()  # title, artist and so on

    def read(self, start: int, frames: int) -> np.ndarray:
        """`frames` samples from `start` on (-1: all), float32 `[T, C]`; fewer at the end of the file.

        Raises:
            UserError: the file is damaged there, or ends before its header says.
        """
        try:
            if start != self._file.tell():
                self._file.seek(min(start, self.frames))
            audio = self._file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError, ValueError) as error:
            where = start / self.sample_rate
            raise UserError(f"cannot read {self.path} at {where:.2f} s: {reason(error)}") from error
        left = max(self.frames - start, 0)
        if len(audio) < (left if frames < 0 else min(frames, left)):
            end = start + len(audio)
            raise cut_off(self.path, f"it ends at sample {end} of the {self.frames} that its header promises")
        return audio

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


@contextlib.contextmanager
def audio_writer(
    path: str | os.PathLike[str],
    sample_rate: int,
    num_channels: int,
    frames: int,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Callable[[np.ndarray], None]]:
    """Writes a file block by block, whole or not at all: a temporary file next to it, renamed when all went well.

    Args:
        path: see `write_audio`; folders are made.
        sample_rate: Hz.
        num_channels: C.
        frames: T of all blocks together, at most.
        subtype: see `write_audio`.
        tags: of an `AudioReader`; what the format does not have is left out.

    Yields:
        The function that appends a block, float `[T, C]` or int16.

    Raises:
        UserError: unknown suffix, a rate, subtype or length that the format refuses, or the disk refuses.
        ValueError: there are more frames than announced.
    """
    target = user_path(path)
    container, encoding = encoding_of(target, subtype, frames * num_channels)
    if os.path.isdir(target):
        raise UserError(f"cannot write {target}: it is a folder")

    def refused(error: Exception) -> UserError:
        return UserError(f"cannot write {target}: {reason(error)}")

    # Only errors of this file are translated: what the caller's block raises passes through.
    with whole_file(target) as temporary:
        try:
            file = soundfile.SoundFile(
                native_name(temporary), "w", sample_rate, num_channels, encoding, format=container
            )
        except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
            raise refused(error) from error

        def write(block: np.ndarray) -> None:
            if file.frames + len(block) > frames:
                raise ValueError(f"{target}: more than the {frames} frames that were announced")
            try:
                for first in range(0, len(block), _WRITE_BLOCK):
                    file.write(block[first : first + _WRITE_BLOCK])
            except (soundfile.SoundFileError, OSError, ValueError) as error:
                raise refused(error) from error

        with file:
            set_tags(file, tags or {})
            yield write


def write_audio(path: str | os.PathLike[str], audio: np.ndarray, sample_rate: int, subtype: str | None = None) -> None:
    """Writes a file whole or not at all (a temporary file next to it, then a rename); the suffix names the format.

    Args:
        path: where to; .wav (32-bit float), .flac and .aiff (24 bit), .ogg, .opus, .mp3.
        audio: float `[T, C]`, or int16 with `subtype="PCM_16"`; integer formats clip at ±1.
        sample_rate: Hz.
        subtype: libsndfile's name of another encoding, e.g. "PCM_16".

    Raises:
        UserError: unknown suffix, wrong shape, a rate that the format refuses, or the disk refuses.
    """
    audio = number_array(audio, f"the audio for {path}", "[T, C]")
    with audio_writer(path, sample_rate, audio.shape[1], len(audio), subtype) as write:
        write(audio)
