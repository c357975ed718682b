"""Entry point of `python -m dafxvae.controllers`."""

import sys

from dafxvae.controllers.commands import main
from dafxvae.core.command_line import run_cli

if __name__ == "__main__":
    run_cli(lambda: main(sys.argv[1:]))
