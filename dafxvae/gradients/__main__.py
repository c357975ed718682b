"""Measure the gradients of an effect.

dafxvae gradients calibrate Compressor    measures each parameter's step and stores it for later runs
dafxvae gradients calibrate --builtins    the same for every built-in, into the file that the package ships
dafxvae gradients report Compressor       compares the estimators: cosine, bias, variance, seconds
"""

from functools import partial

from dafxvae.core.command_line import dispatch, run_cli
from dafxvae.gradients.measure.commands import COMMANDS

main = partial(dispatch, "dafxvae gradients", __doc__, COMMANDS)

if __name__ == "__main__":
    run_cli(main)
