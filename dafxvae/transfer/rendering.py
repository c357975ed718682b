"""Render a whole recording through the chain: level, tail, file."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from dafxvae.audio.loudness import LoudnessMeter
from dafxvae.audio.true_peak import MOST_OVERSHOOT, true_peak
from dafxvae.core.errors import UserError
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.playback import CHUNK, ChainStream
from dafxvae.transfer.recordings import InStereo, Recording, Scan, chunks, played_loudness

TAIL_DB = -60.0  # below the output's own peak a tail has ended
TAIL_FLOOR_DB = -90.0  # and below this everything has
HEADROOM = 0.9999  # of full scale or the ceiling, for the rounding of samples
LEVELS = ("on", "off", "none")


@dataclass
class Rendered:
    """The output before its final gain, float32 in a temporary file that vanishes with it."""

    file: IO[bytes]
    sample_rate: int
    num_channels: int
    frames: int  # the tail included, to where it has faded
    scan: Scan
    states: list[tuple[str, bytes]]  # of VST3 plugins: label, raw_state

    def read(self, start: int, frames: int) -> np.ndarray:
        """As `Source.read`."""
        self.file.seek(4 * self.num_channels * start)
        count = max(0, min(frames, self.frames - start)) * self.num_channels
        return np.frombuffer(self.file.read(4 * count), np.float32).reshape(-1, self.num_channels)

    def chunks(self, factor: np.float32) -> Iterator[np.ndarray]:
        """The output with its gain, in chunks `[T, C]`."""
        for start in range(0, self.frames, CHUNK):
            yield self.read(start, CHUNK) * factor

    @property
    def is_dual_mono(self) -> bool:
        """Two channels that are equal throughout."""
        blocks = self.chunks(np.float32(1.0))
        return self.num_channels == 2 and all(np.array_equal(block[:, 0], block[:, 1]) for block in blocks)

    def replace_by(self, source: Recording, scan: Scan) -> None:
        """Holds a recording as it is instead of its render."""
        self.file.seek(0)
        for block in chunks(source):
            self.file.write(np.ascontiguousarray(block, np.float32).tobytes())
        self.frames, self.scan, self.states = source.frames, scan, []

    def close(self) -> None:
        """Frees the temporary file."""
        self.file.close()


def render(
    source: Recording,
    host: ChainHost,
    unit_params: np.ndarray,
    max_tail_sec: float,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Rendered:
    """Plays a recording through a chain.

    Args:
        source: mono or stereo.
        host: the effect; its limits of time hold for plugins.
        unit_params: `[K]`.
        max_tail_sec: how long the output may go on after the input's end; it ends where it has fallen by 60 dB.
        folder: for the temporary file, of the output's size; None for the system's.
        progress: called with the number of samples, as they come.

    Raises:
        UserError: the recording is damaged, or the disk is full.
        EffectError: the chain failed.
    """
    rate, channels = source.sample_rate, source.num_channels
    end = source.frames + round(max_tail_sec * rate)
    meter, peak = LoudnessMeter(rate, channels), 0.0
    file = tempfile.TemporaryFile(dir=folder, prefix=".dafxvae-")  # noqa: SIM115  it is the result
    try:
        with ChainStream(host.chain, unit_params, rate, channels, end, host.pool.limits) as stream:
            for block in stream.play(chunks(source)):
                meter.feed(block)
                peak = max(peak, float(np.abs(block).max()))
                file.write(np.ascontiguousarray(block, np.float32).tobytes())
                progress(len(block))
            states = stream.states()
        output = Rendered(file, rate, channels, end, Scan(peak, np.zeros(0), channels, np.zeros(0), 0), states)
        tail = np.abs(output.read(source.frames, end - source.frames)).max(axis=1, initial=0.0)
        audible = np.flatnonzero(tail > max(peak * 10.0 ** (TAIL_DB / 20.0), 10.0 ** (TAIL_FLOOR_DB / 20.0)))
        output.frames = source.frames + (int(audible[-1]) + 1 if len(audible) else 0)
        output.scan = replace(output.scan, blocks=meter.blocks(output.frames))
    except OSError as error:
        file.close()
        raise UserError(f"cannot write the temporary file of the render: {error}; make room on the disk") from error
    except BaseException:
        file.close()
        raise
    return output


@dataclass(frozen=True)
class Level:
    """The final gain and notes on it."""

    factor: np.float32
    notes: tuple[str, ...] = ()

    @property
    def gain_db(self) -> float:
        return float(20.0 * np.log10(self.factor))


def level(
    match_level: str,
    source: Scan,
    references: list[Scan],
    output: Rendered,
    ceiling_db: float | None = None,
    *,
    is_integer: bool,
) -> Level:
    """The gain that gives the output the requested loudness, with its peaks below the ceiling.

    Args:
        match_level: "on" for the loudness of the references, "off" for that of the input, "none" for no gain.
        source, references: scans.
        output: the render.
        ceiling_db: see `limit`.
        is_integer: the file can hold nothing beyond full scale.

    Raises:
        UserError: another `match_level`.
    """
    if match_level not in LEVELS:
        raise UserError(f"match_level {match_level!r}: give one of {', '.join(LEVELS)}")
    factor, notes = 1.0, []
    if match_level != "none":
        wanted = played_loudness(references) if match_level == "on" else source.loudness
        whose = "the reference" if match_level == "on" else "the input"
        if np.isfinite(wanted) and np.isfinite(output.scan.loudness):
            factor = 10.0 ** ((wanted - output.scan.loudness) / 20.0)
        else:
            which = whose if not np.isfinite(wanted) else "the output"
            notes.append(f"{which} has no loudness (below -70 LUFS or shorter than .4 s): the level is left alone")
    return limit(factor, output, notes, ceiling_db, is_integer=is_integer)


def limit(
    factor: float, output: Rendered, notes: list[str], ceiling_db: float | None = None, *, is_integer: bool
) -> Level:
    """A gain that keeps the output below a ceiling, and what there is to say of it.

    Args:
        factor: the gain that is wanted.
        output: the render.
        notes: said before.
        ceiling_db: true peak that the output must not exceed, dBTP; None for no ceiling. What an integer format cannot
            hold is turned down all the same.
        is_integer: the file can hold nothing beyond full scale.
    """
    peak = output.scan.peak
    if ceiling_db is not None:
        ceiling = 10.0 ** (ceiling_db / 20.0)
        if peak * factor * MOST_OVERSHOOT > ceiling:
            peak = true_peak(output.read, output.frames, output.sample_rate)
        if peak * factor > ceiling:
            less_db = 20.0 * np.log10(peak * factor / ceiling)
            factor = HEADROOM * ceiling / peak
            notes.append(f"{less_db:.1f} dB quieter, so that its peaks stay below {ceiling_db:g} dBTP")
        return Level(np.float32(factor), tuple(notes))
    over = peak * factor
    if over > 1.0:
        over_db = 20.0 * np.log10(over)
        if is_integer:
            factor = HEADROOM / peak
            notes.append(f"the peak would be {over_db:+.1f} dBFS, which the file cannot hold: {over_db:.1f} dB quieter")
        else:
            notes.append(f"the peak is {over_db:+.1f} dBFS: a float file holds it; turn it down to play it")
    return Level(np.float32(factor), tuple(notes))


def width_notes(source: Recording, references: Sequence[Recording], rendered: Rendered) -> tuple[str, ...]:
    """What a user should know of the width of a mono input's render."""
    if isinstance(source, InStereo):
        return ("the effect gives both channels the same: the output sounds as mono",) * rendered.is_dual_mono
    if source.num_channels == 1 and any(one.num_channels == 2 for one in references):
        return ("the input is mono and the reference stereo: its width is left out (--stereo makes the output stereo)",)
    return ()
