"""The studio chooses the effects, too: `dafxvae transfer` without --controller and --effect uses it.

dafxvae studio train --folder DIR --workdir DIR    the decoder that proposes chains

A training goes on where it was stopped. See docs/studio.md.
"""

import argparse
from functools import partial

from dafxvae.core.command_line import Command, dispatch_jax, imported, run_cli
from dafxvae.core.paths import user_path


def add_training(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a training."""
    parser.add_argument("--folder", required=True, help="of recordings, stereo music above all")
    parser.add_argument("--workdir", type=user_path, required=True, metavar="DIR", help="of pairs and the decoder")
    parser.add_argument(
        "--pairs",
        default="16384",
        metavar="N[,FROM-TO]",
        help="to render and learn from: how many, or places, for several processes with --steps 0 (default 16384)",
    )
    parser.add_argument("--steps", type=int, default=12000, help="of training; 0 renders pairs alone (default 12000)")
    parser.add_argument("--length-sec", type=float, default=5.0, help="of a recording (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of pairs and weights (default 0)")


COMMANDS = (
    Command(
        "train",
        "Render pairs and train the decoder on them.",
        add_training,
        imported("dafxvae.studio.commands:run_training"),
    ),
)


main = partial(dispatch_jax, "dafxvae studio", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
