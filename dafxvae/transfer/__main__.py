"""Give a recording the style of another.

dafxvae transfer input.wav reference.wav -o out.wav
dafxvae transfer input.wav reference.wav --controller reverb -o out.wav
dafxvae transfer input.wav reference.wav --effect 'Compressor | Reverb' --refine 200 -o out.wav
dafxvae transfer --apply out.wav.settings.json stem1.wav stem2.wav -o folder
dafxvae transfer export out.wav.settings.json --format dawproject

Beside out.wav it writes out.wav.settings.json and out.wav.py, a script of pedalboard that gives the same samples.
"""

import argparse
from functools import partial

from rich.console import Console

from dafxvae.core.command_line import Command, dispatch, prepare_jax, run_cli
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path

OF_STORED = ("files", "output", "bit_depth", "apply")  # what settings that are stored can be played with


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which effect plays."""
    parser.add_argument(
        "--controller",
        metavar="NAME",
        help="a stored controller, the folder of a run, a file, or auto: the stored one that fits best",
    )
    parser.add_argument("--effect", help="without a controller: an effect or chain, whose settings --refine searches")
    parser.add_argument(
        "--palette",
        metavar="EFFECT[,EFFECT]",
        help="without a controller and --effect: what the chain that is found may be made of, plugins too",
    )
    parser.add_argument("--effort", type=int, metavar="N", help="to find the chain: how many are compared (default 16)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the chains that are compared (default 0)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="the input, then one or more references; ref.wav:2 counts twice, ref.wav:space is for such effects",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=user_path,
        required=True,
        help="wav, flac, aiff, ogg, opus or mp3; as the take without any",
    )
    _add_choice(parser)
    parser.add_argument(
        "--amount", type=float, help="0 leaves alone, up to 1.5 (default 1, less where that fits worse)"
    )
    parser.add_argument(
        "--amount-of",
        action="append",
        metavar="EFFECT=AMOUNT",
        help="of one effect of the chain, by its name or number; repeatable",
    )
    parser.add_argument(
        "--only",
        metavar="KIND[,KIND]",
        help="effects of these kinds alone: spectrum, dynamics, space, modulation, distortion, pitch, level",
    )
    parser.add_argument("--max-eq", type=float, metavar="DB", help="filters raise and lower by no more")
    parser.add_argument(
        "--lock", action="append", metavar="NAME=VALUE", help="hold a parameter; physical units; repeatable"
    )
    parser.add_argument(
        "--match-level", choices=("on", "off", "none"), help="loudness of the reference (default), the input, as is"
    )
    parser.add_argument("--refine", type=int, metavar="N", help="search by N renders for better settings")
    parser.add_argument("--max-tail", type=float, metavar="SEC", help="longest tail (default 10)")
    parser.add_argument("--ceiling", metavar="DB", help="true peak of the output: -1 dBTP (default), or none")
    parser.add_argument("--bit-depth", choices=("16", "24", "32", "float"), help="of the output; the take's by default")
    parser.add_argument(
        "--only-if-better", action="store_true", help="keep the input as it is where the effect would fit it worse"
    )
    parser.add_argument("--stereo", action="store_true", help="a mono input becomes a stereo output")
    parser.add_argument("--picture", action="store_true", help="write OUT.png: spectra and levels")
    parser.add_argument("--page", action="store_true", help="write OUT.html: players, settings, picture in one file")
    parser.add_argument(
        "--export",
        action="append",
        default=[],
        metavar="FORMAT[:PATH]",
        help="vstpreset, dawproject, ir or reascript, beside the output or at PATH; repeatable",
    )
    parser.add_argument(
        "--apply", type=user_path, metavar="SETTINGS", help="play FILEs through stored settings instead"
    )


def _run(arguments: argparse.Namespace) -> None:
    """Transfer a file, or apply stored settings, which needs no jax."""
    console = Console(stderr=True)
    if arguments.apply is not None:
        options = {name: value for name, value in vars(arguments).items() if name not in OF_STORED}
        is_given = {name: not (value is None or value is False or value == []) for name, value in options.items()}
        given = [f"--{name.replace('_', '-')}" for name in options if is_given[name]]
        if given:
            raise UserError(f"--apply plays what the settings hold: leave {', '.join(given)} out, or transfer again")
        if not arguments.files:
            raise UserError("--apply: give the files to play through the settings")
        from dafxvae.transfer.files import apply_settings

        stems = [user_path(path) for path in arguments.files]
        apply_settings(arguments.apply, stems, arguments.output, arguments.bit_depth, console)
        return
    if len(arguments.files) < 2:
        raise UserError(f"{len(arguments.files)} files given: give the input and at least one reference")
    # Compiled programs are not kept: storing them slows the first transfer by as much as it speeds up later ones.
    prepare_jax()
    from dafxvae.transfer import commands

    commands.run_transfer(arguments, console)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `export`."""
    parser.add_argument("settings", type=user_path, metavar="SETTINGS", help="OUT.settings.json of a transfer")
    parser.add_argument(
        "--format",
        action="append",
        required=True,
        metavar="FORMAT[:PATH]",
        help="vstpreset, dawproject, ir or reascript, beside the settings or at PATH; repeatable",
    )


def _export(arguments: argparse.Namespace) -> None:
    """Write stored settings in other formats; needs no jax."""
    from dafxvae.transfer.exports.formats import export_settings, parse_exports

    export_settings(arguments.settings, parse_exports(arguments.format), Console(stderr=True))


COMMANDS = (
    Command(
        "export", "stored settings for a DAW: presets, a project, an impulse response", add_export_arguments, _export
    ),
    Command("", "a recording in the style of another", add_arguments, _run),
)
main = partial(dispatch, "dafxvae transfer", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
