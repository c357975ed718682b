"""Errors that a person can mend, and the one place where they become exit code 2."""

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console


class UserError(Exception):
    """Bad input from outside (a path, a name, a value). The message carries the value and the fix."""


class EffectError(RuntimeError):
    """An effect failed so often that a run cannot go on. The message names the effect and the settings."""


def run_cli(main: Callable[[], Any]) -> None:
    """Runs a command line's `main`, and ends the process as a shell expects.

    A `UserError` or `EffectError` prints its message alone (no traceback) on stderr and exits with code 2; Ctrl-C exits
    with code 130; every other exception is a defect of ours and keeps its traceback.
    """
    try:
        main()
    except (UserError, EffectError) as error:
        Console(stderr=True).print(f"error: {error}", style="bold red", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted", style="yellow")
        sys.exit(130)
