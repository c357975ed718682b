"""The commands of `dafxvae effects`: list, show, render and check effects."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.command_line import Command, add_json
from dafxvae.core.errors import EffectError, UserError
from dafxvae.core.files import check_output
from dafxvae.core.paths import user_path
from dafxvae.effects import tables
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.check import check
from dafxvae.effects.factory import open_host
from dafxvae.effects.parameters import parse_values
from dafxvae.effects.response import audibility, measure_response
from dafxvae.effects.vst3.discovery import installed_vst3

EFFECT_HELP = "for example 'HighpassFilter | Compressor(threshold_db, ratio=4) | path/suite.vst3::Plugin Name'"


def list_effects(arguments: argparse.Namespace) -> None:
    """Print the built-ins, and the VST3 files in the standard folders."""
    console, files = Console(), installed_vst3()
    if arguments.json:
        console.print_json(json.dumps({"builtins": list(BUILTINS), "vst3": files}))
        return
    console.print(tables.builtin_table())
    console.print("VST3 files:", *(files or ["none in the standard folders"]), sep="\n  ", markup=False)


def show_effect(arguments: argparse.Namespace) -> None:
    """Print the parameters of an effect or chain."""
    with open_host(arguments.effect, num_workers=1) as host:
        if arguments.json:
            Console().print_json(json.dumps(tables.chain_data(host.chain)))
        else:
            Console().print(tables.parameter_table(host.name, host.parameters))


def check_effect(arguments: argparse.Namespace) -> None:
    """Print what `effects.check` finds; exit code 1 for an effect that cannot be used."""
    console, report = Console(), check(arguments.effect)
    if arguments.json:
        console.print_json(json.dumps(report.as_dict()))
    else:
        if report.parameters:
            console.print(tables.check_table(report))
        console.print(*tables.check_lines(report), sep="\n", markup=False)
    if report.verdict in ("unusable", "fails"):
        sys.exit(1)


def render_file(arguments: argparse.Namespace) -> None:
    """Render a file through an effect; settings that are not given stay at their defaults."""
    source, target, effect = arguments.input, arguments.output, arguments.effect
    check_output(user_path(target), [Path(source)])
    values = parse_values(arguments.set, "--set")
    with open_host(effect, num_workers=1) as host:
        unit_params = host.parameters.from_values(values)[None]
        audio, sample_rate = read_audio(source)
        if audio.shape[1] > 2:
            raise UserError(f"{source} has {audio.shape[1]} channels: give a mono or stereo file")
        if not np.isfinite(audio).all():
            raise UserError(f"{source} holds NaN or inf: repair or export it again")
        out = host.render(audio[None], unit_params, sample_rate)[0]
        if host.failures.count:
            raise EffectError(f"the render failed: {host.failures.last[-1]}")
    write_audio(target, out, sample_rate)


def show_response(arguments: argparse.Namespace) -> None:
    """Print what an effect does to the probe, and how much each of its parameters can be heard there."""
    values, picture = parse_values(arguments.set, "--set"), arguments.output
    if picture:
        if picture.suffix.lower() != ".png":
            raise UserError(f"-o {arguments.output}: the picture is a PNG file, for example -o response.png")
        check_output(picture, [])
    with open_host(arguments.effect) as host:
        unit_params = host.parameters.from_values(values)[None]
        response = measure_response(host, unit_params, arguments.sample_rate)
        heard = audibility(host, unit_params[0], arguments.sample_rate)
        if host.failures.count:
            raise EffectError(f"the render failed: {host.failures.last[-1]}")
        if arguments.json:
            Console().print_json(json.dumps(tables.response_data(host, unit_params[0], response, heard)))
        else:
            Console().print(tables.response_table(response), tables.audibility_table(host, unit_params[0], heard))
    if picture:
        from dafxvae.reporting.pictures import save_png  # here: matplotlib takes a second to import
        from dafxvae.reporting.response_picture import draw_response

        save_png(picture, draw_response(response, host.name))


def _effect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("effect", help=EFFECT_HELP)


def _effect_and_json(parser: argparse.ArgumentParser) -> None:
    _effect(parser)
    add_json(parser)


def _render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input")
    parser.add_argument("output")
    _effect(parser)
    _set(parser)


def _set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="physical units")


def _response(parser: argparse.ArgumentParser) -> None:
    _effect_and_json(parser)
    _set(parser)
    parser.add_argument("-o", "--output", type=user_path, metavar="FILE.png", help="draw it, too")
    parser.add_argument("--sample-rate", type=int, default=44100, metavar="HZ", help="default 44100")


COMMANDS = (
    Command("list", "built-in effects, and VST3 files in the standard folders", add_json, list_effects),
    Command("show", "the parameters of an effect or chain", _effect_and_json, show_effect),
    Command("render", "an audio file through an effect", _render, render_file),
    Command(
        "response",
        "what an effect does to noise, clicks and tones, and which settings are heard",
        _response,
        show_response,
    ),
    Command(
        "check",
        "determinism, cost, latency, parameters without use; exit code 0: usable, 1: not, 2: no such effect",
        _effect_and_json,
        check_effect,
    ),
)
