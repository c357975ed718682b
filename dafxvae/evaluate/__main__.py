"""Evaluate trained controllers on held-out recordings.

python -m dafxvae.evaluate --controllers all --corpus NAME_OR_DIR --pairs 200 -o DIR    every method and metric
python -m dafxvae.evaluate table DIR [DIR...]                                           results of folders as one table
python -m dafxvae.evaluate styles --controller NAME --corpus NAME_OR_DIR -o DIR         five styles, each to each

The same command goes on where it was stopped. See docs/evaluation.md.
"""

import argparse
import os
import sys
from pathlib import Path

from absl import logging
from rich.console import Console

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError

CORPUS_HELP = "a name in the data folder's held_out, a folder of audio, or 'embedded'; may be repeated"


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME_OR_DIR", help=CORPUS_HELP)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--seed", type=int, default=0, help="of pairs, random settings and searches (default 0)")
    parser.add_argument("--workers", type=int, default=0, help="renders at once (default: one a core)")
    parser.add_argument("--clip-sec", type=float, default=5.46, help="length of the clips in seconds (default 5.46)")


def parse(words: list[str]) -> argparse.Namespace:
    """The command line; "table" and "styles" as the first word are commands of their own."""
    form = argparse.RawDescriptionHelpFormatter
    name = "python -m dafxvae.evaluate"
    if words[:1] == ["table"]:
        parser = argparse.ArgumentParser(f"{name} table", description="Results of several folders as one table.")
        parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="of a finished evaluation")
        return argparse.Namespace(command="table", **vars(parser.parse_args(words[1:])))
    if words[:1] == ["styles"]:
        parser = argparse.ArgumentParser(f"{name} styles", description="Five styles, each to each.")
        parser.add_argument("--controller", required=True, help="name, folder or file")
        parser.add_argument("--pairs", type=int, default=20, help="pairs for each of the 25 cells (default 20)")
        _shared(parser)
        return argparse.Namespace(command="styles", **vars(parser.parse_args(words[1:])))
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=form)
    parser.add_argument("--controllers", required=True, help="'all', or names, folders or files, with commas between")
    parser.add_argument("--pairs", type=int, required=True, help="for each controller, corpus, mode and input")
    _shared(parser)
    parser.add_argument(
        "--modes", default="other_file", help="other_file, other_section, same_clip (default the first)"
    )
    parser.add_argument("--inputs", default="dry", help="dry, styled (default dry)")
    parser.add_argument("--search-pairs", type=int, default=40, help="pairs that are searched as well (default 40)")
    parser.add_argument(
        "--baseline-pairs", type=int, default=1500, help="training pairs of the learned baselines (default 1500)"
    )
    parser.add_argument("--pesq-pairs", type=int, default=40, help="pairs of speech with PESQ (default 40)")
    return argparse.Namespace(command="evaluate", **vars(parser.parse_args(words)))


def main() -> None:
    """Runs the command."""
    arguments = parse(sys.argv[1:])
    # XLA's thread pool must outnumber the devices that sit in callbacks, or they wait for each other for ever.
    os.environ.setdefault("NPROC", str(max(16, 2 * (os.cpu_count() or 1))))
    from dafxvae.evaluate import commands, styles  # import jax, which must come after the environment is set

    logging.set_verbosity(logging.ERROR)
    if arguments.command == "table":
        commands.show_table(arguments, Console())
        return
    if arguments.workers < 0:
        raise UserError(f"--workers {arguments.workers}: give a number that is not negative")
    run = styles.run if arguments.command == "styles" else commands.run
    run(arguments, Console(stderr=True), Console())


if __name__ == "__main__":
    run_cli(main)
