"""Analyse the latents of f and g.

python -m dafxvae.latent report WORKDIR    every measure as a page, JSON and pictures (in WORKDIR/latent)
python -m dafxvae.latent sweep WORKDIR     g trained again at other sizes
python -m dafxvae.latent prune WORKDIR     the model without its idle dimensions (in WORKDIR/pruned)

WORKDIR is the folder of a run, or a *.safetensors file of f and g.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from absl import logging
from rich.console import Console

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m dafxvae.latent", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("report", "measures, probes, traversals, projections"),
        ("sweep", "g trained again at other sizes"),
        ("prune", "writes the model without its idle dimensions"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("workdir", type=Path, help="of a run, or a *.safetensors file of f and g")
        command.add_argument("-o", "--output", type=Path, help="folder for the results")
        command.add_argument("--corpus", metavar="DIR", help="held-out audio; default: the test split of the run's own")
        pairs = 3000 if name != "prune" else 1000
        command.add_argument("--pairs", type=int, default=pairs, help=f"training pairs of the probes (default {pairs})")
        command.add_argument("--seed", type=int, default=0, help="of pairs and probes (default 0)")
        if name == "report":
            command.add_argument("--retrain", action="store_true", help="run the sweep too, and show it")
        if name in ("report", "sweep"):
            command.add_argument(
                "--sizes", type=int, nargs="+", help="of g; default: half, once, twice the recommended"
            )
            command.add_argument("--seeds", type=int, default=3, help="trainings of each size (default 3)")
            command.add_argument("--beta", type=float, help="weight of g's KL term in the sweep (default: the run's)")
        if name == "prune":
            command.add_argument("--keep-f", action="store_true", help="leave f as it is: prune g alone")
    return parser.parse_args()


def main() -> None:
    """Runs the command."""
    arguments = parse()
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: give a number that is not negative")
    # XLA's thread pool must outnumber the devices that sit in callbacks, or they wait for each other for ever.
    os.environ.setdefault("NPROC", str(max(16, 2 * (os.cpu_count() or 1))))
    from dafxvae.latent.commands import run  # imports jax, which must come after the environment is set
    from dafxvae.training.stopping import Stopped

    logging.set_verbosity(logging.ERROR)
    try:
        run(arguments, Console(stderr=True), Console())
    except Stopped as stopped:  # while g is trained again; the same command goes on from there
        sys.exit(130 if stopped.signal_number == signal.SIGINT else 0)


if __name__ == "__main__":
    run_cli(main)
