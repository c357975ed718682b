"""Give a recording the style of another.

python -m dafxvae.transfer input.wav reference.wav --controller reverb -o out.wav
python -m dafxvae.transfer input.wav reference.wav --effect 'Compressor | Reverb' --refine 200 -o out.wav
python -m dafxvae.transfer --apply out.wav.settings.json stem1.wav stem2.wav -o folder

Beside out.wav it writes out.wav.settings.json and out.wav.py, a script of pedalboard that gives the same samples.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m dafxvae.transfer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="the input, then one or more references")
    parser.add_argument("-o", "--output", type=Path, required=True, help="wav (float), flac, aiff, ogg, opus or mp3")
    parser.add_argument("--controller", metavar="NAME", help="a stored controller, the folder of a run, or a file")
    parser.add_argument("--effect", help="without a controller: an effect or chain, whose settings --refine searches")
    parser.add_argument("--amount", type=float, default=1.0, help="0 leaves the style alone, 1 (default), up to 1.5")
    parser.add_argument(
        "--lock", action="append", default=[], metavar="NAME=VALUE", help="hold a parameter; physical units; repeatable"
    )
    parser.add_argument(
        "--match-level", choices=("on", "off", "none"), default="on", help="loudness of the reference, the input, as is"
    )
    parser.add_argument("--refine", type=int, default=0, metavar="N", help="search by N renders for better settings")
    parser.add_argument("--max-tail", type=float, default=10.0, metavar="SEC", help="longest tail (default 10)")
    parser.add_argument("--subtype", choices=("PCM_16", "PCM_24", "FLOAT"), help="of the samples in the output")
    parser.add_argument("--picture", action="store_true", help="write OUT.png: spectra and levels")
    parser.add_argument("--page", action="store_true", help="write OUT.html: players, settings, picture in one file")
    parser.add_argument("--apply", type=Path, metavar="SETTINGS", help="play FILEs through stored settings instead")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments, console = parse(words), Console(stderr=True)
    if arguments.apply is not None:
        if not arguments.files:
            raise UserError("--apply: give the files to play through the settings")
        from dafxvae.transfer.files import apply_settings

        stems = [Path(path).expanduser() for path in arguments.files]
        apply_settings(arguments.apply, stems, arguments.output.expanduser(), arguments.subtype, console)
        return
    if len(arguments.files) < 2:
        raise UserError(f"{len(arguments.files)} files given: give the input and at least one reference")
    # Before jax is imported: XLA's thread pool must outnumber the devices that sit in callbacks. Compiled programs are
    # not kept: storing them makes the first transfer as much slower as later ones get faster (docs/transfer.md).
    os.environ.setdefault("NPROC", str(max(16, 2 * (os.cpu_count() or 1))))
    from dafxvae.transfer.commands import run

    run(arguments, console)


if __name__ == "__main__":
    run_cli(lambda: main(sys.argv[1:]))
