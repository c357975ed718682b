"""Recordings as the transfer sees them, files and arrays alike, and the one pass over all of their samples."""

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dafxvae.audio.io import to_channels
from dafxvae.audio.loudness import DUAL_MONO_LU, HOP_SEC, LoudnessMeter, integrated_loudness
from dafxvae.core.errors import UserError
from dafxvae.effects.playback import CHUNK

SHORTEST_SEC = 0.25
FULL_SCALE = 0.98  # equal neighbours beyond it are flat tops
MIN_FLAT_TOPS = 8
SILENCE_DB = -120.0
LOWEST_RATE, HIGHEST_RATE = 4000, 768000  # Hz; K-weighting has a filter at 1682 Hz
MANY_CHANNELS = 64  # an array of more "channels" and fewer samples is a transposed one
HIGHEST_PEAK = 64.0  # 36 dB over full scale


class Recording(Protocol):
    """A recording that can be read in parts; `dafxvae.audio.io.AudioReader` is one."""

    name: str  # for messages
    sample_rate: int  # Hz
    num_channels: int
    frames: int

    def read(self, start: int, frames: int) -> np.ndarray:
        """`frames` samples from `start` on, float32 `[T, C]`; fewer at the end."""
        ...


class ArrayRecording:
    """A recording in memory."""

    def __init__(self, audio: np.ndarray, sample_rate: int, name: str) -> None:
        """Wraps an array.

        Args:
            audio: float `[T, C]` or `[T]`, of numpy or what it converts.
            sample_rate: Hz, a whole number.
            name: for messages.

        Raises:
            UserError: it is not of that shape, or not of floats; or the rate is no such number.
        """
        try:
            audio = np.asarray(audio)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{name} cannot be made an array of numpy ({error}): give floats [T] or [T, C]") from error
        if audio.ndim not in (1, 2) or not np.issubdtype(audio.dtype, np.floating):
            raise UserError(
                f"{name} is {audio.dtype} of shape {audio.shape}: give floats [T] or [T, C] in [-1, 1]; 16-bit samples "
                "divided by 32768"
            )
        if audio.ndim == 2 and audio.shape[0] <= MANY_CHANNELS < audio.shape[1]:
            raise UserError(f"{name} has the shape {audio.shape}, which is [C, T]: give [T, C], its transpose")
        is_number = isinstance(sample_rate, numbers.Real) and math.isfinite(sample_rate)
        if not is_number or sample_rate != int(sample_rate):
            raise UserError(f"the sample rate of {name} is {sample_rate!r}: give a whole number in Hz, such as 44100")
        self.audio = np.ascontiguousarray(audio[:, None] if audio.ndim == 1 else audio, np.float32)
        self.name, self.sample_rate = name, int(sample_rate)
        self.frames, self.num_channels = self.audio.shape

    def read(self, start: int, frames: int) -> np.ndarray:
        """See `Source.read`."""
        return self.audio[start : start + frames]


class InStereo:
    """A mono recording in two equal channels, for effects that make them differ."""

    num_channels = 2

    def __init__(self, source: Recording) -> None:
        self._source, self.name = source, source.name
        self.sample_rate, self.frames = source.sample_rate, source.frames

    def read(self, start: int, frames: int) -> np.ndarray:
        """See `Recording.read`."""
        return to_channels(self._source.read(start, frames), 2)


def as_played(source: Recording, stereo: bool) -> Recording:
    """The recording as the chain gets it: a mono one in two channels where stereo is asked for."""
    return InStereo(source) if stereo and source.num_channels == 1 else source


def references_of(reference: np.ndarray | Sequence[np.ndarray], sample_rate: int) -> list[ArrayRecording]:
    """One array or several as recordings, named for messages."""
    several: list[Any] = list(reference) if isinstance(reference, list | tuple) else [reference]
    names = ["the reference"] if len(several) == 1 else [f"reference {i}" for i in range(len(several))]
    return [ArrayRecording(one, sample_rate, name) for one, name in zip(several, names, strict=True)]


@dataclass(frozen=True)
class Scan:
    """Peak, loudness blocks, levels and clipping of a recording, from one pass over it."""

    peak: float
    blocks: np.ndarray  # mean powers of its loudness blocks
    num_channels: int
    levels_db: np.ndarray  # RMS of every tenth of a second, dBFS
    flat_tops: int  # neighbouring samples that are equal near full scale

    @property
    def is_clipped(self) -> bool:
        return self.flat_tops >= MIN_FLAT_TOPS

    @property
    def loudness(self) -> float:
        """Integrated, in LUFS as played: mono comes from both loudspeakers. -inf for silence."""
        return played_loudness([self])


def clipping_notes(sources: Sequence[Recording], scans: Sequence[Scan]) -> list[str]:
    """Says of which recordings the scans found that they are clipped, once of each."""
    clipped = dict.fromkeys(one.name for one, found in zip(sources, scans, strict=True) if found.is_clipped)
    return [f"{name} is clipped: its distortion counts as part of its sound" for name in clipped]


def played_loudness(scans: list[Scan]) -> float:
    """Integrated loudness in LUFS of recordings together, mono counted as played by both loudspeakers."""
    doubled = 10.0 ** (DUAL_MONO_LU / 10.0)
    return integrated_loudness(np.concatenate([s.blocks * (doubled if s.num_channels == 1 else 1.0) for s in scans]))


def check_channels(source: Recording) -> None:
    """Raises UserError for more than two channels."""
    if source.num_channels > 2:
        raise UserError(f"{source.name} has {source.num_channels} channels: mix it to mono or stereo first")


def check_header(source: Recording) -> None:
    """Refuses what cannot be transferred, before anything is read.

    Raises:
        UserError: more than two channels, a sample rate out of range, or too short.
    """
    check_channels(source)
    if not LOWEST_RATE <= source.sample_rate <= HIGHEST_RATE:
        raise UserError(
            f"{source.name} has a sample rate of {source.sample_rate} Hz: give {LOWEST_RATE} to {HIGHEST_RATE} Hz"
        )
    length_sec = source.frames / source.sample_rate
    if length_sec < SHORTEST_SEC:
        raise UserError(
            f"{source.name} holds {source.frames} samples ({length_sec:.4f} s at {source.sample_rate} Hz): give at "
            f"least {SHORTEST_SEC} s"
        )


def chunks(source: Recording) -> Iterator[np.ndarray]:
    """The recording in chunks `[CHUNK, C]`, the last one shorter.

    Raises:
        UserError: it cannot be read to its end, or holds NaN or inf.
    """
    for start in range(0, source.frames, CHUNK):
        chunk = source.read(start, min(CHUNK, source.frames - start))
        flat = chunk.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            is_finite = np.isfinite(np.dot(flat, flat))  # one fast pass; what it finds is looked at below
        bad = np.zeros(1, bool) if is_finite else ~np.isfinite(chunk).all(axis=1)
        if bad.any():
            at = start + int(np.argmax(bad))
            raise UserError(
                f"{source.name} holds NaN or inf, first at sample {at} ({at / source.sample_rate:.3f} s): "
                "repair or export it again"
            )
        yield chunk


def scan(source: Recording, *, with_loudness: bool = True) -> Scan:
    """One pass over all samples.

    Args:
        source: the recording.
        with_loudness: False where nobody asks for it; it is most of the work.

    Raises:
        UserError: see `chunks`; or it is silent.
    """
    meter = LoudnessMeter(source.sample_rate, source.num_channels)
    hop = round(HOP_SEC * source.sample_rate)
    powers, rest = [], np.zeros(0, np.float32)
    peak, flat_tops = 0.0, 0
    for chunk in chunks(source):
        if with_loudness:
            meter.feed(chunk)
        magnitude = np.abs(chunk)
        top = float(magnitude.max())
        peak = max(peak, top)
        if top >= FULL_SCALE:
            flat_tops += int(np.count_nonzero((magnitude[1:] >= FULL_SCALE) & (chunk[1:] == chunk[:-1])))
        power = np.concatenate([rest, np.einsum("tc,tc->t", chunk, chunk) / source.num_channels])
        count = len(power) // hop
        powers.append(power[: count * hop].reshape(count, hop).mean(axis=1))
        rest = power[count * hop :]
    if peak < 10.0 ** (SILENCE_DB / 20.0):
        raise UserError(f"{source.name} is silent (peak {peak:.3g}): give another file")
    if peak > HIGHEST_PEAK:
        raise UserError(
            f"{source.name} peaks at {peak:.6g}, but full scale is 1: these are integers as floats, or no audio; "
            "divide 16-bit samples by 32768"
        )
    return Scan(peak, meter.blocks(), source.num_channels, power_db(np.concatenate(powers)), flat_tops)


def power_db(power: np.ndarray) -> np.ndarray:
    """Mean power in dBFS; `SILENCE_DB` is added, so that silence has a level."""
    return 10.0 * np.log10(power + 10.0 ** (SILENCE_DB / 10.0))
