"""One process of a run in which one fails: process_failing.py WHO FOLDER, where the others wait for it.

WHO is "first", whose only checkpoint in FOLDER is damaged, or "second", in which an exception is a fault of ours.
"""

import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"

import jax.numpy as jnp

from dafxvae.core.command_line import run_cli
from dafxvae.training import parallel
from dafxvae.training.checkpoint import Checkpoints
from dafxvae.training.state import TrainState


def main():
    parallel.join_processes()
    who, folder = sys.argv[1:]
    with parallel.ending_together():
        if who == "second" and not parallel.is_first_process():
            raise ZeroDivisionError
        Checkpoints(Path(folder)).restore_newest(TrainState(jnp.zeros((), "int32"), {"x": jnp.zeros(2)}, ()))
        parallel.all_have(True)


if __name__ == "__main__":
    run_cli(main)
