"""Files in and out: what may be read and written, and stored settings applied to other files. Free of jax."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dafxvae.audio.formats import encoding_of, kept_subtype
from dafxvae.audio.io import AudioReader, audio_writer
from dafxvae.core.errors import UserError
from dafxvae.core.files import check_output
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.transfer import recordings, rendering
from dafxvae.transfer.document import StoredTransfer, read_document

FLOATS = ("FLOAT", "DOUBLE")


DEPTHS = {"16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float": "FLOAT"}  # of the option: libsndfile's names


def subtype_of(output: Path, depth: str | None, take: AudioReader) -> str | None:
    """The encoding of an output: what was asked for, else the take's; None for the format's usual one."""
    return kept_subtype(output, take.subtype) if depth is None else DEPTHS[depth]


def is_integer(output: Path, subtype: str | None) -> bool:
    """Whether the file will hold nothing beyond full scale: all but floats (lossy codecs clip when they are played)."""
    return encoding_of(output, subtype)[1] not in FLOATS


def warn(console: Console, notes: Sequence[str]) -> None:
    """Prints a warning."""
    for note in notes:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def sample_progress(console: Console, total: int) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """A bar of `total` samples; yields the functions that say what is done, and that move it on."""
    columns = (TextColumn("{task.description:10}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda words: bar.update(task, description=words), lambda samples: bar.advance(task, samples)


def stem_outputs(stems: Sequence[Path], output: Path) -> list[Path]:
    """Where the stems go: a file for one, a folder for several.

    Raises:
        UserError: several stems and a file, or two stems of one name.
    """
    if os.path.isdir(output) or not output.suffix:
        outputs = [output / stem.name for stem in stems]
    elif len(stems) == 1:
        outputs = [output]
    else:
        raise UserError(f"{len(stems)} files cannot become one {output}: give -o a folder")
    if len(set(outputs)) < len(outputs):
        raise UserError(f"two of the files have the same name and would both be written to {output}: rename one")
    return outputs


@contextmanager
def open_stored(settings: Path, stored: StoredTransfer) -> Iterator[ChainHost]:
    """The chain of stored settings.

    Args:
        settings: the file, for messages.
        stored: what it holds.

    Raises:
        UserError: the chain cannot be opened, or a plugin has other parameters now.
    """
    with open_host(stored.effect, num_workers=1) as host:
        if len(host.parameters) != len(stored.unit_params):
            raise UserError(
                f"{settings} holds {len(stored.unit_params)} settings, {host.name} has {len(host.parameters)} "
                "parameters: install the version of the plugin that it was made with"
            )
        yield host


def apply_settings(settings: Path, stems: Sequence[Path], output: Path, depth: str | None, console: Console) -> None:
    """Plays files through stored settings, with the stored gain.

    Args:
        settings: `OUT.settings.json`.
        stems: files.
        output: a file for one, a folder for several.
        depth: of `DEPTHS`; None for that of each file.
        console: for progress and notes.

    Raises:
        UserError: bad input.
        EffectError: the effect failed.
    """
    stored = read_document(settings)
    outputs = stem_outputs(stems, output)
    for path in outputs:
        check_output(path, [settings, *stems])
        encoding_of(path, DEPTHS.get(depth or ""))
    with open_stored(settings, stored) as host:
        for stem, target in zip(stems, outputs, strict=True):
            with AudioReader(stem) as file:
                recordings.check_channels(file)
                source, subtype = recordings.as_played(file, stored.stereo), subtype_of(target, depth, file)
                tail = round(stored.max_tail_sec * source.sample_rate)
                with (
                    audio_writer(
                        target, source.sample_rate, source.num_channels, source.frames + tail, subtype, file.tags
                    ) as write,
                    sample_progress(console, source.frames + tail) as (notify, advance),
                ):
                    notify(stem.name[:40])
                    played = rendering.render(
                        source, host, stored.unit_params, stored.max_tail_sec, target.parent, advance
                    )
                    with closing(played):
                        notes: list[str] = []
                        level = rendering.limit(
                            float(stored.factor),
                            played,
                            notes,
                            stored.ceiling_db,
                            is_integer=is_integer(target, subtype),
                        )
                        for block in played.chunks(level.factor):
                            write(block)
            warn(console, [f"{target}: {note}" for note in level.notes])
            console.print(f"{target}", markup=False, highlight=False, soft_wrap=True)
