"""List, describe, render and check effects: `python -m dafxvae.effects list | show | render | check`.

python -m dafxvae.effects show 'Reverb | Compressor'
python -m dafxvae.effects render in.wav out.wav 'Reverb(room_size, wet_level)' --set room_size=0.7
python -m dafxvae.effects check /usr/lib/vst3/ZamComp.vst3
"""

import argparse
import json
import sys

from rich.console import Console

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import EffectError, UserError
from dafxvae.effects import tables
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.check import check
from dafxvae.effects.factory import open_host
from dafxvae.effects.vst3.unit import installed

DESCRIPTION = "Lists, shows, tries out and uses effects: Pedalboard's, VST3 plugins, and chains of them."
EFFECT_HELP = "for example 'HighpassFilter | Compressor(threshold_db, ratio=4) | path/suite.vst3::Plugin Name'"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m dafxvae.effects", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="built-in effects, and VST3 files in the standard folders")
    show = commands.add_parser("show", help="the parameters of an effect or chain")
    render = commands.add_parser("render", help="an audio file through an effect")
    render.add_argument("input")
    render.add_argument("output")
    checking = commands.add_parser("check", help="determinism, cost, latency, parameters without use")
    for command in (show, render, checking):
        command.add_argument("effect", help=EFFECT_HELP)
    render.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="physical units")
    for command in (listing, show, checking):
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def main() -> None:
    """Runs the command."""
    arguments, console = parse_arguments(), Console()
    if arguments.command == "list":
        if arguments.json:
            console.print_json(json.dumps({"builtins": list(BUILTINS), "vst3": installed()}))
        else:
            console.print(tables.builtin_table())
            console.print("VST3 files:", *(installed() or ["none in the standard folders"]), sep="\n  ", markup=False)
    elif arguments.command == "show":
        with open_host(arguments.effect, num_workers=1) as host:
            if arguments.json:
                console.print_json(json.dumps(tables.chain_data(host.chain)))
            else:
                console.print(tables.parameter_table(host.name, host.parameters))
    elif arguments.command == "render":
        render_file(arguments.input, arguments.output, arguments.effect, arguments.set)
    else:
        report = check(arguments.effect)
        if arguments.json:
            console.print_json(json.dumps(report.as_dict()))
        else:
            if report.parameters:
                console.print(tables.check_table(report))
            console.print(*tables.check_lines(report), sep="\n", markup=False)
        if report.verdict in ("unusable", "fails"):
            sys.exit(1)


def render_file(source: str, target: str, effect: str, settings: list[str]) -> None:
    """Renders a file through an effect, with settings as NAME=VALUE; what is not set stays at its default."""
    values: dict[str, str] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if not name or not value:
            raise UserError(f"--set {setting}: give NAME=VALUE, for example --set room_size=0.7")
        values[name] = value
    with open_host(effect, num_workers=1) as host:
        unit_params = host.parameters.from_values(values)[None]
        audio, sample_rate = read_audio(source)
        if audio.shape[1] > 2:
            raise UserError(f"{source} has {audio.shape[1]} channels: give a mono or stereo file")
        out = host.render(audio[None], unit_params, sample_rate)[0]
        if host.failures.count:
            raise EffectError(f"the render failed: {host.failures.last[-1]}")
    write_audio(target, out, sample_rate)


if __name__ == "__main__":
    run_cli(main)
