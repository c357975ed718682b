"""Analyse the latents of f and g.

dafxvae latent report runs/pretrain    every measure as a page, JSON and pictures (in its folder latent)
dafxvae latent sweep runs/pretrain     g trained again at other sizes
dafxvae latent prune runs/pretrain     the model without its idle dimensions (in pruned)

Given is the folder of a run, or a *.safetensors file of f and g.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial

from rich.console import Console

from dafxvae.core.command_line import Command, dispatch_jax, run_cli
from dafxvae.core.paths import user_path
from dafxvae.core.rng import check_seed


def _add_shared(parser: argparse.ArgumentParser, pairs: int) -> None:
    parser.add_argument("workdir", type=user_path, help="of a run, or a *.safetensors file of f and g")
    parser.add_argument("-o", "--output", type=user_path, help="folder for the results")
    parser.add_argument("--corpus", metavar="DIR", help="held-out audio; default: the test split of the run's own")
    parser.add_argument("--pairs", type=int, default=pairs, help=f"training pairs of the probes (default {pairs})")
    parser.add_argument("--seed", type=int, default=0, help="of pairs and probes (default 0)")


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    _add_shared(parser, 3000)
    parser.add_argument("--sizes", type=int, nargs="+", help="of g; default: half, once, twice the recommended")
    parser.add_argument("--seeds", type=int, help="trainings of each size (default 3)")
    parser.add_argument("--beta", type=float, help="weight of g's KL term in the sweep (default: the run's)")


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_sweep(parser)
    parser.add_argument("--retrain", action="store_true", help="run the sweep too, and show it")


def _add_prune(parser: argparse.ArgumentParser) -> None:
    _add_shared(parser, 1000)
    parser.add_argument("--keep-f", action="store_true", help="leave f as it is: prune g alone")


def _run(command: str, arguments: argparse.Namespace) -> None:
    check_seed(arguments.seed)
    from dafxvae.latent.commands import run_command  # imports jax, which must come after the environment is set
    from dafxvae.training.signals import Stopped

    arguments.command = command
    try:
        run_command(arguments, Console(stderr=True), Console())
    except Stopped as stopped:  # while g is trained again; the same command goes on from there
        sys.exit(130 if stopped.signal_number == signal.SIGINT else 0)


def _command(name: str, summary: str, add_arguments: Callable[[argparse.ArgumentParser], None]) -> Command:
    return Command(name, summary, add_arguments, partial(_run, name))


COMMANDS = (
    _command("report", "measures, probes, traversals, projections", _add_report),
    _command("sweep", "g trained again at other sizes", _add_sweep),
    _command("prune", "writes the model without its idle dimensions", _add_prune),
)


main = partial(dispatch_jax, "dafxvae latent", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
