"""Measure the gradients of an effect.

python -m dafxvae.gradients calibrate EFFECT    measures each parameter's step and stores it for later runs
python -m dafxvae.gradients calibrate --builtins    the same for every built-in, into the file that dafxvae ships
python -m dafxvae.gradients report EFFECT       compares the estimators: cosine, bias, variance, seconds
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError
from dafxvae.effects.factory import ChainHost, open_host
from dafxvae.gradients.measure.calibration import calibrate, warnings_for
from dafxvae.gradients.measure.problems import Sampling
from dafxvae.gradients.measure.report import report
from dafxvae.gradients.measure.stored import SHIPPED, calibratable_builtins, calibrate_builtins, save_calibration
from dafxvae.gradients.schemes import Estimator


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m dafxvae.gradients", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("calibrate", "report"))
    parser.add_argument("effect", nargs="?", help="such as 'Reverb', 'Compressor | Reverb' or path/plugin.vst3")
    parser.add_argument(
        "--builtins", action="store_true", help="calibrate: every built-in, for the file in the package"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--settings", type=int, default=64, help="random settings to measure at (default 64)")
    # what an LFO's rate or a delay moves grows with the clip: steps are measured at the length of training clips
    parser.add_argument("--samples", type=int, help="length of a clip (default: calibrate 131072, report 32768)")
    parser.add_argument("--rate", type=int, default=24000, help="sample rate in Hz (default 24000)")
    parser.add_argument("--folder", help="audio to measure on; default: the embedded corpus")
    return parser.parse_args()


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
    return Shown(found, columns, rows, notes + warnings_for(Estimator(), host, calibration))


def main() -> None:
    arguments = parse()
    samples = arguments.samples or (131072 if arguments.command == "calibrate" else 32768)
    if arguments.settings < 1 or samples < 1024:
        raise UserError("--settings must be at least 1, and --samples at least 1024")
    sampling = Sampling(arguments.settings, samples, arguments.rate, arguments.folder)
    console = Console()
    if arguments.builtins:
        if arguments.command != "calibrate" or arguments.effect:
            raise UserError("--builtins goes with calibrate, and takes no effect: it measures all of them")
        calibrate_builtins(calibratable_builtins(), sampling, progress=console.print)
        console.print(f"written to {SHIPPED}", highlight=False, soft_wrap=True)
        return
    if not arguments.effect:
        raise UserError("name an effect, such as 'Reverb'")
    with open_host(arguments.effect) as host:
        shown = (show_report if arguments.command == "report" else show_calibration)(host, sampling)
    if arguments.json:
        console.out(json.dumps(shown.data, indent=1), highlight=False)
        return
    table = Table(*shown.columns, box=None)
    for row in shown.rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)
    for note in shown.notes:
        console.print(note, markup=False, highlight=False)


if __name__ == "__main__":
    run_cli(main)
