"""What benchmarks share: arguments, timing, JSON on stdout, and result files that are completed and shown.

Imports neither jax nor numpy, so that a benchmark can set the environment first.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dafxvae.core.errors import UserError
from dafxvae.core.files import write_text
from dafxvae.core.paths import data_dir


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose `--help` prints the module's docstring as it is."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def print_json(result: Any, indent: int | None = 1) -> None:
    """Prints the one JSON object of a benchmark."""
    sys.stdout.write(json.dumps(result, indent=indent) + "\n")


def print_row(*columns: Any) -> None:
    """Prints one line at once, as progress or as a table."""
    sys.stdout.write(" ".join(map(str, columns)) + "\n")
    sys.stdout.flush()


def seconds_of(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that a call takes."""
    start = clock()
    call()
    return clock() - start


def interleave(variants: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Seconds of each variant in each round, after one round to compile and warm up.

    The variants take turns, so that a slow moment of the machine counts for all of them.
    """
    times: dict[Any, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            seconds = seconds_of(run)
            if number:
                times[name].append(seconds)
    return times


def median_ratio(numerators: list[float], denominators: list[float]) -> float:
    """Median over the rounds of the ratio of two variants."""
    return statistics.median(over / under for over, under in zip(numerators, denominators, strict=True))


def use_training_corpora(config: Any) -> None:
    """Sets a configuration to the recordings that the shipped weights were trained on (`dafxvae.data fetch train`)."""
    config.data.update({"folder": str(data_dir() / "train"), "with_embedded": True})


def open_results(path: Path, setup: dict[str, Any] | None = None, part: str = "effects") -> dict[str, Any]:
    """What a result file holds already; an empty one without a file.

    Args:
        path: JSON.
        setup: sizes and weights of this measurement, which the file must have been measured with; None for files that
            store none.
        part: key of the results in the file.

    Raises:
        UserError: the file was measured with another setup.
    """
    if setup is None:
        return json.loads(path.read_text()) if path.exists() else {}
    setup = json.loads(json.dumps(setup))  # tuples become lists, as in the file
    results = json.loads(path.read_text()) if path.exists() else {"setup": setup, part: {}}
    if results["setup"] != setup:
        raise UserError(f"{path} was measured with {results['setup']}, not {setup}: delete it, or name another --json")
    return results


def save_results(path: Path, results: dict[str, Any], line_per: str = "") -> None:
    """Writes a result file; `line_per` names the key before which a line breaks."""
    text = json.dumps(results, separators=(",", ":"))
    write_text(path, (text.replace(f'{{"{line_per}"', f'\n{{"{line_per}"') if line_per else text) + "\n")


def measure_or_show(
    description: str | None,
    path: Path,
    measure: Callable[[argparse.Namespace], None],
    show: Callable[[dict[str, Any], Path], None],
    *,
    with_encoders: bool = True,
) -> None:
    """Runs the command line `measure [--json PATH] [--encoders NAME] [--tiny]` or `show [--json PATH]`.

    Args:
        description: for `--help`.
        path: default of `--json`.
        measure: completes the file.
        show: prints and draws what the file holds.
        with_encoders: whether there are `--encoders` and `--tiny`.
    """
    parser = make_parser(description)
    parser.add_argument("command", choices=("measure", "show"))
    parser.add_argument("--json", type=Path, default=path)
    if with_encoders:
        parser.add_argument("--encoders", default="shipped", help="name of stored f and g, or a path to *.safetensors")
        parser.add_argument("--tiny", action="store_true", help="everything small")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments)
    else:
        show(json.loads(arguments.json.read_text()), arguments.json)


def pyplot() -> Any:
    """matplotlib without a display."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt
