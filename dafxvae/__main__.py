"""Make one recording sound like another, with the effects that you own.

dafxvae demo
dafxvae transfer take.wav reference.wav -o out.wav --page
dafxvae transfer take.wav reference.wav --controller eq_compressor -o out.wav
dafxvae train --config reverb

`dafxvae COMMAND --help` says more of each; `python -m dafxvae.COMMAND` is the same. Documents: README.md and docs/.
"""

import importlib
import sys
from collections.abc import Sequence

from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import unknown_name
from dafxvae.core.version import __version__

PROGRAMS = {  # name: what it does; each is a module with main()
    "demo": "hear it in a minute: renders two recordings, transfers, opens the page",
    "transfer": "give a recording the sound of another",
    "app": "the same in a browser",
    "studio": "train what finds the effects between two recordings",
    "controllers": "list, show and store trained controllers",
    "effects": "list, check and play effects: Pedalboard's and VST3 plugins",
    "train": "train a controller for an effect",
    "data": "fetch and measure recordings to train on",
    "evaluate": "measure controllers on held-out recordings",
    "gradients": "measure the gradients of an effect",
    "latent": "look into the latents of f and g",
}


def module_of(name: str) -> str:
    """The module of a command."""
    return f"dafxvae.{name}" if name in ("demo", "train") else f"dafxvae.{name}.__main__"


def help_text() -> str:
    """The commands, in a line each."""
    lines = [f"  {name:<12} {summary}" for name, summary in PROGRAMS.items()]
    return "\n".join(["usage: dafxvae [--version] COMMAND ...", "", str(__doc__).strip(), "", "commands:", *lines])


def dispatch_program(words: Sequence[str]) -> None:
    """Runs the command that the first word names.

    Raises:
        UserError: there is no such command; with the nearest.
    """
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        print(help_text())  # noqa: T201
    elif name == "--version":
        print(f"dafxvae {__version__}")  # noqa: T201
    elif name in PROGRAMS:
        importlib.import_module(module_of(name)).main(list(words[1:]))
    else:
        raise unknown_name("command", name, PROGRAMS)


def main() -> None:
    """Entry point."""
    run_cli(lambda: dispatch_program(sys.argv[1:]))


if __name__ == "__main__":
    main()
