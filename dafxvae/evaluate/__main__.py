"""Evaluate trained controllers on held-out recordings.

dafxvae evaluate --controllers all --corpus songs --pairs 200 -o scores             every method and metric
dafxvae evaluate table scores                                                       folders as one table
dafxvae evaluate styles --controller eq_compressor --corpus songs -o styles         five styles, each to each
dafxvae evaluate counterfx --corpus songs -o hidden                                 hidden chains of effects
dafxvae evaluate masters --controllers all --corpus songs -o masters                takes and finished records

The same command goes on where it was stopped. See docs/evaluation.md.
"""

import argparse
from functools import partial

from dafxvae.core.command_line import Command, add_json, dispatch_jax, imported, run_cli
from dafxvae.core.paths import user_path

CORPUS_HELP = "a name in the data folder's held_out, a folder of audio, or 'embedded'; may be repeated"


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME_OR_DIR", help=CORPUS_HELP)
    parser.add_argument("-o", "--output", type=user_path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--seed", type=int, default=0, help="of pairs, random settings and searches (default 0)")
    parser.add_argument("--clip-sec", type=float, default=5.46, help="length of the clips in seconds (default 5.46)")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=0, help="renders at once (default: one a core)")


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Declare the options of an evaluation."""
    parser.add_argument("--controllers", required=True, help="'all', or names, folders or files, with commas between")
    parser.add_argument("--pairs", type=int, required=True, help="for each controller, corpus, mode and input")
    _add_shared(parser)
    parser.add_argument(
        "--modes", default="other_file", help="other_file, other_section, same_clip (default the first)"
    )
    parser.add_argument("--inputs", default="dry", help="dry, styled (default dry)")
    parser.add_argument("--search-pairs", type=int, help="pairs that are searched as well (default 40)")
    parser.add_argument(
        "--baseline-pairs", type=int, default=1500, help="training pairs of the learned baselines (default 1500)"
    )
    parser.add_argument("--pesq-pairs", type=int, help="pairs of speech with PESQ (default 40)")
    _add_workers(parser)


def add_table(parser: argparse.ArgumentParser) -> None:
    """Declare the folders of a joint table."""
    parser.add_argument("folders", type=user_path, nargs="+", metavar="DIR", help="of a finished evaluation")
    add_json(parser)


def add_styles(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the case study of styles."""
    parser.add_argument("--controller", required=True, help="name, folder or file")
    parser.add_argument("--pairs", type=int, default=20, help="pairs for each of the 25 cells (default 20)")
    _add_shared(parser)
    _add_workers(parser)


def add_counterfx(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the CounterFX protocol."""
    parser.add_argument("--corpus", action="append", metavar="NAME_OR_DIR", help="music: a held-out name, or a folder")
    parser.add_argument(
        "--items", type=user_path, metavar="DIR", help="folders that the public benchmark's prepare wrote, instead"
    )
    parser.add_argument("-o", "--output", type=user_path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--pairs", type=int, default=200, help="items to draw from a corpus (default 200)")
    parser.add_argument("--candidates", default="1,16", metavar="N,N", help="chains to compare (default 1,16)")
    parser.add_argument("--decoder", type=user_path, metavar="FILE", help="another than the shipped one")
    parser.add_argument("--seed", type=int, default=0, help="of items and candidates (default 0)")
    _add_workers(parser)


def add_masters(parser: argparse.ArgumentParser) -> None:
    """Declare the options of transfers from finished records."""
    parser.add_argument("--controllers", required=True, help="'all', or names, folders or files, with commas between")
    parser.add_argument("--pairs", type=int, default=40, help="takes for each controller (default 40)")
    parser.add_argument(
        "--masters", action="append", metavar="NAME_OR_DIR", help="records, as --corpus (default: all fetched ones)"
    )
    _add_shared(parser)


COMMANDS = (
    Command("", "every method and metric", add_evaluation, imported("dafxvae.evaluate.commands:run_evaluation")),
    Command(
        "table", "Results of several folders as one table.", add_table, imported("dafxvae.evaluate.commands:show_table")
    ),
    Command("styles", "Five styles, each to each.", add_styles, imported("dafxvae.evaluate.styles:run_styles")),
    Command(
        "counterfx",
        "Hidden chains, by the public CounterFX protocol.",
        add_counterfx,
        imported("dafxvae.evaluate.counterfx.benchmark:run_counterfx"),
    ),
    Command(
        "masters", "Dry takes and finished records.", add_masters, imported("dafxvae.evaluate.masters:run_masters")
    ),
)


main = partial(dispatch_jax, "dafxvae evaluate", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
