"""The commands of `dafxvae gradients`: calibrate an effect, and report how good the estimators are."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from dafxvae.core.command_line import Command, add_json
from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.gradients.measure.calibration import calibrate
from dafxvae.gradients.measure.measured_steps import (
    SHIPPED,
    calibratable_builtins,
    calibrate_builtins,
    save_calibration,
)
from dafxvae.gradients.measure.problems import Sampling
from dafxvae.gradients.measure.report import report

MOST_SETTINGS, MOST_SAMPLES = 100_000, 1 << 24


class Shown(NamedTuple):
    """The result of a command, for JSON and as a table."""

    data: dict[str, Any]
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    notes: list[str]


def show_report(host: ChainHost, sampling: Sampling) -> Shown:
    """A line for each estimator, level, step and number of renders."""
    found = report(host, sampling)
    keys = ["name", "level", "step_size", "num_renders", "cosine", "cosine_smooth", "bias", "variance"]
    rows = [[row[key] for key in keys] + [f"{1e3 * row['seconds']:.1f}"] for row in found["rows"]]
    columns = ["estimator", "level", "step", "R", "cosine", "smooth", "bias", "variance", "ms"]
    note = (
        f"{host.name}, K = {len(found['parameters'])}, {found['settings']} settings. R: renders an example; "
        "cosine to the fine gradient, smooth: to that smoothed over .03; ms: an example's renders and loss."
    )
    return Shown(found, columns, rows, [note])


def show_calibration(host: ChainHost, sampling: Sampling) -> Shown:
    """A line for each parameter."""
    calibration = calibrate(host, sampling)
    found = asdict(calibration)
    columns = ["name", "step_size", "roughness", "num_values"]
    rows = list(zip(*(found["names" if key == "name" else key] for key in columns)))
    notes = [f"{host.name}: level {calibration.level}, stored as {save_calibration(calibration)}"]
    notes += [f"rough, so that differences are those of losses: {', '.join(calibration.rough)}"] * bool(
        calibration.rough
    )
    return Shown(found, columns, rows, notes)


def _add_sampling(parser: argparse.ArgumentParser, num_samples: int) -> None:
    parser.add_argument("effect", nargs="?", help="such as 'Reverb', 'Compressor | Reverb' or path/plugin.vst3")
    add_json(parser)
    parser.add_argument("--settings", type=int, default=64, help="random settings to measure at (default 64)")
    parser.add_argument(
        "--samples", type=int, default=num_samples, help=f"length of a clip in samples (default {num_samples})"
    )
    parser.add_argument("--rate", type=int, default=24000, help="sample rate in Hz (default 24000)")
    parser.add_argument("--folder", type=user_path, help="audio to measure on; default: the embedded corpus")


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    # How far an LFO's rate or a delay moves the sound grows with the clip: the default is the length of training clips.
    _add_sampling(parser, 131072)
    parser.add_argument("--builtins", action="store_true", help="every built-in, into the file that the package ships")


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_sampling(parser, 32768)


def _sampling(arguments: argparse.Namespace) -> Sampling:
    if not (1 <= arguments.settings <= MOST_SETTINGS and 1024 <= arguments.samples <= MOST_SAMPLES):
        raise UserError(
            f"--settings {arguments.settings}, --samples {arguments.samples}: give 1 to {MOST_SETTINGS} and 1024 to "
            f"{MOST_SAMPLES} of them"
        )
    return Sampling(arguments.settings, arguments.samples, arguments.rate, arguments.folder)


def _calibrate(arguments: argparse.Namespace) -> None:
    if not arguments.builtins:
        _print(arguments, show_calibration)
        return
    if arguments.effect:
        raise UserError(
            f"calibrate {arguments.effect} --builtins: give one of the two, --builtins measures all of them"
        )
    if arguments.json:
        raise UserError("calibrate --builtins --json: leave --json out, the steps are written into a file")
    console = Console()
    calibrate_builtins(calibratable_builtins(), _sampling(arguments), progress=console.print)
    console.print(f"written to {SHIPPED}", highlight=False, soft_wrap=True)


def _report(arguments: argparse.Namespace) -> None:
    _print(arguments, show_report)


def _print(arguments: argparse.Namespace, show: Callable[[ChainHost, Sampling], Shown]) -> None:
    """Measure one effect and print the result."""
    sampling, console = _sampling(arguments), Console()
    if not arguments.effect:
        raise UserError("name an effect, such as 'Reverb'")
    with open_host(arguments.effect) as host:
        shown = show(host, sampling)
    if arguments.json:
        console.out(json.dumps(shown.data, indent=1), highlight=False)
        return
    table = Table(*shown.columns, box=None)
    for row in shown.rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)
    for note in shown.notes:
        console.print(note, markup=False, highlight=False)


COMMANDS = (
    Command("calibrate", "measure each parameter's step, and store it for later runs", _add_calibrate, _calibrate),
    Command("report", "compare the estimators: cosine, bias, variance, seconds", _add_report, _report),
)
