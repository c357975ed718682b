"""Lengths of files whose headers are wrong: MP3 without a count of frames, FLAC from a pipe, what was cut off."""

import io
import mmap
from pathlib import Path
from typing import NamedTuple

_MPEG1, _MPEG2, _MPEG25 = 3, 2, 0  # the version bits of a frame
_RATES = {_MPEG1: (44100, 48000, 32000), _MPEG2: (22050, 24000, 16000), _MPEG25: (11025, 12000, 8000)}  # Hz
_KBPS1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_ROOMY = 9 << 4  # bits of a bitrate at which a frame of any version has room for a count
_COUNT, _SIZE = 1, 2  # flags of the fields of a count: frames, bytes
_TOLERANCE = 0.01  # of the file, within which a count is of the file that it is in
_FLAC = b"fLaC\0\0\0\x22"
_OGG_PAGE, _OGG_FIRST_PAGE = b"OggS\0", b"OggS\0\x02"
_STREAMED = 0x7F000000  # bytes: from here on a size of 32 bits may say that a pipe did not know it
_PADDING = 8  # bytes that may be missing without a sample being lost that anybody would hear


class _Frame(NamedTuple):
    """A frame of MPEG layer III."""

    size: int  # bytes
    kind: tuple[int, int]  # version and rate, the same in all frames of a stream
    count_at: int  # where a first frame holds a count, if it does


def _frame(data: bytes | mmap.mmap, at: int) -> _Frame | None:
    """The frame that begins there, if one does."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version not in _RATES or bitrate in (0, 15) or rate == 3:
        return None
    kbps, factor = (_KBPS1, 144000) if version == _MPEG1 else (_KBPS2, 72000)
    size = factor * kbps[bitrate] // _RATES[version][rate] + (head[2] >> 1 & 1)
    is_mono = head[3] >> 6 == 3
    side = (17 if is_mono else 32) if version == _MPEG1 else (9 if is_mono else 17)
    return _Frame(size, (version, rate), 4 + side)


def _find_frame(data: bytes | mmap.mmap, at: int) -> tuple[int, _Frame] | None:
    """The first frame from there on that is followed by one of its kind, or by the end."""
    while at >= 0:
        found = _frame(data, at)
        if found is not None:
            following = _frame(data, at + found.size)
            if at + found.size >= len(data) or (following is not None and following.kind == found.kind):
                return at, found
        at = data.find(b"\xff", at + 1)
    return None


def _count_frames(data: bytes | mmap.mmap, at: int) -> int:
    """How many frames follow; what lies between them is skipped."""
    count = 0
    while True:
        found = _frame(data, at)
        if found is None:
            place = _find_frame(data, at)
            if place is None:
                return count
            at, found = place
        at, count = at + found.size, count + 1


def _number(data: bytes | mmap.mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _after_id3(data: bytes | mmap.mmap) -> int:
    """Where the audio begins: behind the tags of ID3v2."""
    size = sum((data[6 + i] & 0x7F) << 7 * (3 - i) for i in range(4)) if data[:3] == b"ID3" else -10
    return 10 + size


def counted_mp3(path: Path) -> io.BytesIO | None:
    """An MP3 file behind a frame that counts its frames (an Xing header), of which decoders else estimate the number.

    Returns:
        None where its own first frame counts them all, or more than there are (it is cut off), or no frame is found.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = _find_frame(data, _after_id3(data))
        if place is None:
            return None
        start, first = place
        at, promised = start + first.count_at, 0
        if data[at : at + 4] in (b"Xing", b"Info"):
            flags = _number(data, at + 4)
            promised = _number(data, at + 8) if flags & _COUNT else 0
            size = _number(data, at + 12) if flags & _SIZE else 0
            if promised and abs(size - (len(data) - start)) <= _TOLERANCE * len(data):
                return None
            start += first.size
        count = _count_frames(data, start)
        return None if count <= promised else io.BytesIO(_counting_frame(data, start, count) + data[start:])


def _counting_frame(data: mmap.mmap, at: int, count: int) -> bytes:
    """A silent frame of the kind of that at `at`, with the number of frames and bytes that follow."""
    head = bytes((data[at], data[at + 1] | 1, _ROOMY | data[at + 2] & 0x0C, data[at + 3]))  # without a checksum
    frame = _frame(head, 0)
    assert frame is not None
    fields = (_COUNT | _SIZE, count, frame.size + len(data) - at)
    content = head + bytes(frame.count_at - 4) + b"Info" + b"".join(field.to_bytes(4, "big") for field in fields)
    return content.ljust(frame.size, b"\0")


def flac_of_length(path: Path, num_samples: int) -> io.BytesIO:
    """A FLAC file whose header does not say how many samples it holds, with their number."""
    data = bytearray(path.read_bytes())
    at = data.index(_FLAC) + 21  # 36 bits
    data[at : at + 5] = (data[at] >> 4 << 36 | num_samples).to_bytes(5, "big")
    return io.BytesIO(data)


def second_stream(path: Path) -> int | None:
    """At which byte a second FLAC or Ogg stream begins behind the first, which alone a decoder plays; None for one."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            at = 0
            while data[at : at + 6] == _OGG_FIRST_PAGE:  # several streams may begin, and go on, together
                at = data.find(_OGG_PAGE, at + 6)
            found = data.find(_OGG_FIRST_PAGE, at)
        else:
            found = data.find(_FLAC, _after_id3(data) + 1)
        return None if found < 0 else found


def _promised(data: mmap.mmap) -> tuple[int, int]:
    """How many bytes of samples a header promises, and how many there are; (0, 0) where it does not say."""
    kind, order = data[:4], "little" if data[:4] in (b"RIFF", b"RF64", b"riff") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    if kind == b".snd":
        return number(8, 4), len(data) - number(4, 4)
    if kind not in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff"):
        return 0, 0
    name, head, at = (16, 24, 40) if kind == b"riff" else (4, 8, 12)  # W64: names of 16 bytes, sizes of 8 with the head
    large = 0
    while at + head <= len(data):
        chunk, size = data[at : at + 4], number(at + name, head - name) - (head if kind == b"riff" else 0)
        if chunk in (b"data", b"SSND"):
            return large or size, len(data) - at - head
        if chunk == b"ds64":
            large = number(at + head + 8, 8)
        step = 8 if kind == b"riff" else 2
        at += head + -(-max(size, 0) // step) * step
    return 0, 0


def missing_end(path: Path) -> str:
    """What a file lacks that was cut off: WAV, RF64, W64, AIFF, AU and Ogg; "" where nothing does."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            at = data.rfind(_OGG_PAGE)
            size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]]) if at + 27 <= len(data) else 27
            return "" if at + size <= len(data) else "its last page is not whole"  # some encoders mark no page as last
        promised, held = _promised(data)
        is_unknown = promised >= _STREAMED and data[:4] not in (b"RF64", b"riff")
        if is_unknown or promised - held <= _PADDING:
            return ""
        return f"it holds {held} of the {promised} bytes of samples that its header promises"
