"""Errors that a user can fix; command lines print them without a traceback."""

import difflib
from collections.abc import Iterable

LISTED = 40  # names of a list that is shown


class UserError(Exception):
    """Bad input from outside (a path, a name, a value). The message carries the value and the fix."""


class EffectError(RuntimeError):
    """An effect failed so often that a run cannot go on. The message names the effect and the settings."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist, with the nearest ones that do."""
    known = list(known)
    folded = {candidate.lower(): candidate for candidate in known}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    near += [c for c in known if name and name.lower() in c.lower() and c not in near][:3]
    listed = ", ".join(known[:LISTED]) + ", …" * (len(known) > LISTED)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {listed or 'none'}"
    return UserError(f"no {what} is called {name!r}: {hint}")
