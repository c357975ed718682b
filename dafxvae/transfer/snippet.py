"""A script of Pedalboard and soundfile alone that renders the same samples."""

import inspect
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.version import __version__
from dafxvae.effects.chain import Chain
from dafxvae.effects.playback import CHUNK
from dafxvae.effects.segments import Segments, Vst3
from dafxvae.effects.units import BuiltinUnit
from dafxvae.effects.vst3.plugin import stream_arguments

TEMPLATE = '''"""{effect}

Plays SOURCE through these settings into TARGET, as dafxvae {version} did: the same samples.
Needs pedalboard and soundfile.
    python {script} [SOURCE TARGET]
"""

import os
import sys

import numpy as np
import pedalboard
import soundfile

NAMES = sys.argv[1:3] if len(sys.argv) == 3 else ({source!r}, {target!r})
SOURCE, TARGET = NAMES if os.name == "nt" else map(os.fsencode, NAMES)  # names may be other than UTF-8
GAIN = np.float32({gain!r})  # {gain_db:+.2f} dB
FRAMES = {frames}  # of the output, the tail included; {end} were played to find its end
CHUNK = {chunk}
{classes}

with soundfile.SoundFile(SOURCE) as source:
    rate, channels = source.samplerate, {channels}
    board = [
{board}
    ]
    with soundfile.SoundFile(TARGET, "w", rate, channels, {subtype!r}, format={container!r}) as target:
        written = 0
        while written < FRAMES:
            chunk = np.zeros((CHUNK, channels), np.float32)
            block = source.read(CHUNK, dtype="float32", always_2d=True)
            chunk[: len(block)] = block
            for plugin in board:
                if len(chunk):
                    chunk = plugin.process(chunk, rate, reset=False)
            chunk = chunk[: FRAMES - written] * GAIN
            for first in range(0, len(chunk), 65536):
                target.write(chunk[first : first + 65536])
            written += len(chunk)
'''


def _escaped(text: str) -> str:
    """Text for the inside of a docstring."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _value(value: Any) -> str:
    if isinstance(value, Enum) or type(value).__module__.startswith("pedalboard"):
        return f"pedalboard.{type(value).__qualname__}.{value.name}"
    return repr(value)


def _entry(unit: Any, physical: np.ndarray, sample_rate: int, num_channels: int, end: int) -> str:
    """The expression that makes one effect of the board."""
    if isinstance(unit, BuiltinUnit):
        arguments = unit.arguments(physical, sample_rate)
        written = f"pedalboard.{unit.spec.name}({', '.join(f'{k}={_value(v)}' for k, v in arguments.items())})"
        return f"Segments({written}, {end})" if unit.builtin.segmented else written
    path, name, values, _, _, takes, lead = stream_arguments(unit, physical, sample_rate, num_channels)
    return f"Vst3({path!r}, {name!r}, {values!r}, rate, channels, {takes!r}, {lead})"


def snippet(
    chain: Chain,
    unit_params: np.ndarray,
    sample_rate: int,
    num_channels: int,
    *,
    factor: np.float32,
    frames: int,
    end: int,
    in_stereo: bool = False,
    encoding: tuple[str, str] = ("WAV", "FLOAT"),
    source_name: str = "input.wav",
    target_name: str = "output.wav",
) -> str:
    """The script.

    Args:
        chain: the effects.
        unit_params: `[K]`.
        sample_rate: Hz, of the recording.
        num_channels: as it is played.
        factor: the final gain.
        frames: of the output.
        end: that were played.
        in_stereo: a mono recording is played in two channels.
        encoding: libsndfile's names of format and subtype.
        source_name, target_name: files that it reads and writes when it is given none.
    """
    physical = chain.settings(chain.parameters.to_physical(unit_params), 0, len(chain.units))
    entries = [
        _entry(unit, values, sample_rate, num_channels, end) for unit, values in zip(chain.units, physical, strict=True)
    ]
    needed = [kind for kind in (Segments, Vst3) if any(entry.startswith(f"{kind.__name__}(") for entry in entries)]
    classes = "".join("\n\n" + inspect.getsource(kind).replace("list[Any]", "list") for kind in needed)
    return TEMPLATE.format(
        effect=_escaped(chain.name) or "The recording as it is, without an effect.",
        version=__version__,
        script=_escaped(f"{Path(target_name).name}.py"),
        source=source_name,
        target=target_name,
        gain=float(factor),
        gain_db=20.0 * np.log10(float(factor)),
        frames=frames,
        end=end,
        channels="2" if in_stereo else "source.channels",
        chunk=CHUNK,
        classes=classes,
        board="\n".join(f"        {entry}," for entry in entries),
        container=encoding[0],
        subtype=encoding[1],
    )
