"""The transfer in a browser.

dafxvae app                                   on this machine alone; prints its address
dafxvae app --host 0.0.0.0 --port 8765        for everybody who reaches this machine
"""

import argparse
from functools import partial

from dafxvae.core.command_line import Command, dispatch, prepare_jax, run_cli
from dafxvae.core.optional import load

LOOPBACK = "127.0.0.1"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default=LOOPBACK, help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one (default 8765)")
    parser.add_argument("--max-upload", type=int, default=500, metavar="MB", help="largest upload (default 500)")


def _run(arguments: argparse.Namespace) -> None:
    prepare_jax()
    load("uvicorn", "uvicorn", "app")
    load("starlette", "starlette", "app")
    from dafxvae.app.serving import serve

    serve(arguments.host, arguments.port, arguments.max_upload * 1_000_000)


COMMANDS = (Command("", "the transfer in a browser", _add_arguments, _run),)
main = partial(dispatch, "dafxvae app", __doc__, COMMANDS)


if __name__ == "__main__":
    run_cli(main)
