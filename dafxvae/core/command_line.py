"""Start and end of every command line: subcommands, the environment of jax, exit codes."""

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dafxvae.core.errors import EffectError, UserError


@dataclass(frozen=True)
class Command:
    """One subcommand of a command line.

    Attributes:
        name: the word; "" for what runs where the first word is no command.
        summary: one line for `--help`.
        add_arguments: declares its options; None for a command that parses its words itself.
        run: is given what was parsed, or the words where nothing is declared.
    """

    name: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], Any] | None
    run: Callable[[Any], Any]


def imported(path: str) -> Callable[..., Any]:
    """The function "MODULE:NAME", imported once it is called: jax takes seconds, for which `--help` does not wait."""

    def run(*arguments: Any) -> Any:
        module, _, name = path.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments)

    return run


def dispatch(
    program: str, description: str | None, commands: Sequence[Command], words: Sequence[str] | None = None
) -> None:
    """Parses the words of a command line and runs the command that they name.

    Args:
        program: as a user types it, such as "dafxvae data".
        description: for `--help`, printed as it is.
        commands: one of the name "" is taken where the first word names no other.
        words: None for those that the process was started with.

    Raises:
        SystemExit: code 2 for words that cannot be parsed, 0 after `--help`.
    """
    words = list(sys.argv[1:] if words is None else words)
    named = {command.name: command for command in commands}
    chosen = named.get(words[0]) if words else None
    if chosen is not None and chosen.add_arguments is None:
        chosen.run(words[1:])
        return
    form = argparse.RawDescriptionHelpFormatter
    if chosen is None and "" in named:
        parser = argparse.ArgumentParser(program, description=description, formatter_class=form)
        command = named[""]
        assert command.add_arguments is not None
        command.add_arguments(parser)
        command.run(parser.parse_args(words))
        return
    parser = argparse.ArgumentParser(program, description=description, formatter_class=form)
    parsers = parser.add_subparsers(dest="command", required=True)
    for command in commands:
        if command.name:
            part = parsers.add_parser(command.name, help=command.summary, description=command.summary)
            if command.add_arguments is not None:
                command.add_arguments(part)
    arguments = parser.parse_args(words)
    named[arguments.command].run(arguments)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declares `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def print_rows(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool = False) -> None:
    """Prints a list on stdout: a table on a terminal, a line of fields between tabs for each row elsewhere, or JSON."""
    if as_json:
        sys.stdout.write(json.dumps([dict(zip(headings, row)) for row in rows], indent=2, ensure_ascii=False) + "\n")
    elif sys.stdout.isatty():
        table = Table(*(Column(heading, no_wrap=True) for heading in headings), title=title)
        for row in rows:
            table.add_row(*map(escape, row))
        Console().print(table)
    else:
        sys.stdout.write("".join("\t".join(row) + "\n" for row in (headings, *rows)))


def prepare_jax() -> None:
    """Sets what jax reads from the environment when it is imported; call it before that. What a user has set stays."""
    # XLA's thread pool must outnumber the devices that sit in callbacks, or they wait for each other for ever.
    os.environ.setdefault("NPROC", str(max(16, 2 * (os.cpu_count() or 1))))


def dispatch_jax(
    program: str, description: str | None, commands: Sequence[Command], words: Sequence[str] | None = None
) -> None:
    """As `dispatch`, for commands that import jax: prepares its environment, and hides what absl says below errors."""
    from absl import logging

    prepare_jax()
    logging.set_verbosity(logging.ERROR)
    dispatch(program, description, commands, words)


def run_cli(main: Callable[[], Any]) -> None:
    """Runs a command line's `main`, and ends the process as a shell expects.

    A `UserError` or `EffectError` prints its message alone (no traceback) on stderr and exits with code 2; Ctrl-C exits
    with code 130; a reader that has gone with 141; every other exception is a defect of ours and keeps its traceback.
    """
    os.environ["MPLBACKEND"] = "agg"  # a notebook's, which is inherited, may be none that is installed here
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the command
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
        sys.stdout.flush()
    except (UserError, EffectError) as error:
        console = Console(stderr=True)
        whole = not console.is_terminal  # one line in a log, whose reader may search for it
        console.print(f"error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=whole)
        sys.exit(2)
    except (
        BrokenPipeError
    ):  # `dafxvae effects list | head`: the reader has what it wanted (workers' pipes have handlers)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted", style="yellow")
        sys.exit(130)
