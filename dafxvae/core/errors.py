"""Errors that a user can fix; command lines print them without a traceback."""


class UserError(Exception):
    """Bad input from outside (a path, a name, a value). The message carries the value and the fix."""


class EffectError(RuntimeError):
    """An effect failed so often that a run cannot go on. The message names the effect and the settings."""
