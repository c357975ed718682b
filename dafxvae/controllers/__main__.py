"""Stored controllers: the package's and your own.

dafxvae controllers list                                the package's and your own
dafxvae controllers show reverb                         parameters, training, measured results
dafxvae controllers import runs/my_reverb --name hall   stores a run's controller under a name
"""

from functools import partial

from dafxvae.controllers.commands import COMMANDS
from dafxvae.core.command_line import dispatch, run_cli

main = partial(dispatch, "dafxvae controllers", __doc__, COMMANDS)

if __name__ == "__main__":
    run_cli(main)
