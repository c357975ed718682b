"""Hear it in a minute: a take and a reference are rendered, the take gets the sound of the reference, and a page opens.

dafxvae demo
dafxvae demo --no-open -o /tmp/dafxvae-demo

The take is a guitar as dry as it comes; the reference is somebody else's drums in a hall. Nothing is downloaded.
"""

import argparse
import os
import sys
import webbrowser
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.command_line import Command, dispatch, run_cli
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path

SEED, TAKE, REFERENCE = 2026, 14, 8  # pieces of the composer that no controller of the package was trained on
SECONDS, RING_SECONDS = 12, 3
SAMPLE_RATE, FADE = 44100, 441
CONTROLLER = "reverb"
EFFECT, SETTINGS = "Reverb", {"room_size": 0.8, "wet_level": 0.5, "dry_level": 0.5}


def render_take() -> np.ndarray:
    """Float32 `[T, 1]`: a guitar without any effect."""
    return _excerpt(TAKE)


def render_reference() -> np.ndarray:
    """Float32 `[T, 1]`: drums through `EFFECT` at `SETTINGS`, until they have rung out."""
    return apply_effect(np.pad(_excerpt(REFERENCE), ((0, RING_SECONDS * SAMPLE_RATE), (0, 0))))


def apply_effect(audio: np.ndarray) -> np.ndarray:
    """What the reference went through; `[T, C] -> [T, C]`."""
    from dafxvae.effects.factory import open_host

    with open_host(EFFECT, num_workers=1) as host:
        return host.render(audio[None], host.parameters.from_values(SETTINGS)[None], SAMPLE_RATE)[0]


def _excerpt(piece: int) -> np.ndarray:
    from dafxvae.data.composer.pieces import render_piece

    audio = render_piece(SEED, piece, SAMPLE_RATE, 1)[-SECONDS * SAMPLE_RATE :] / np.float32(32768)  # to its last note
    audio[:FADE] *= np.linspace(0.0, 1.0, FADE, dtype=np.float32)[:, None]
    return audio


def _check_folder(folder: Path, take: np.ndarray) -> None:
    """Raises UserError for a folder with files that the demo has not made."""
    path = folder / "take.wav"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give a folder with -o")
    is_own = path.is_file() and np.array_equal(read_audio(path)[0], take)
    if folder.is_dir() and any(folder.iterdir()) and not is_own:
        raise UserError(f"{folder} holds other files: give an empty folder, or a new one, with -o")


def has_browser() -> bool:
    """Whether a page can be shown in a window; a browser of the terminal would take that over."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=user_path, default=Path("dafxvae-demo"), metavar="DIR", help="a folder")
    parser.add_argument("--no-open", action="store_true", help="only write the page, do not show it")


def _run(arguments: argparse.Namespace) -> None:
    from dafxvae.transfer import __main__ as transfer

    console, folder = Console(stderr=True), arguments.output
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    take = render_take()
    _check_folder(folder, take)
    folder.mkdir(parents=True, exist_ok=True)
    write_audio(folder / "take.wav", take, SAMPLE_RATE)
    write_audio(folder / "reference.wav", render_reference(), SAMPLE_RATE)
    made = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    say(f"{folder / 'take.wav'}: a dry guitar; {folder / 'reference.wav'}: drums through a {EFFECT} of {made}")
    words = [*(str(folder / f"{name}.wav") for name in ("take", "reference")), "--controller", CONTROLLER]
    words += ["-o", str(folder / "out.wav"), "--page"]
    say(f"dafxvae transfer {' '.join(words)}")
    transfer.main(words)
    page = (folder / "out.wav.html").resolve()
    if arguments.no_open or not has_browser() or not webbrowser.open(page.as_uri()):
        say(f"hear it: open {page.as_uri()} in a browser")


COMMANDS = (Command("", "hear a transfer", _add_arguments, _run),)
main = partial(dispatch, "dafxvae demo", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
