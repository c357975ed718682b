"""The synthesiser of the digits: espeak-ng where it is installed, else dafxvae's own formant synthesiser."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.digits import espeak, formants


class Synthesiser(NamedTuple):
    """One way to speak digits."""

    name: str  # as `digits.synthesiser` of a configuration names it
    title: str  # for people
    speakers: Callable[[int, int], Sequence[Any]]  # count, seed -> speakers with a `name`
    say: Callable[[int, Any, int, int, int], np.ndarray]  # digit, speaker, take, seed, sample rate -> [T, 1]
    version: Callable[[], str]  # names what the sound depends on: caches of another version are left alone


ESPEAK = Synthesiser(
    "espeak",
    "espeak-ng",
    espeak.espeak_speakers,
    espeak.say_with_espeak,
    lambda: f"v{espeak.VERSION}-{espeak.espeak_version()}",
)
FORMANTS = Synthesiser(
    "formants",
    "dafxvae's own formant synthesiser",
    formants.formant_speakers,
    formants.say_with_formants,
    lambda: f"v{formants.VERSION}",
)


def choose_synthesiser(name: str) -> Synthesiser:
    """The synthesiser of a name; "" takes espeak-ng where it is installed.

    Raises:
        UserError: another name, or espeak-ng is asked for and not installed.
    """
    if name not in ("", ESPEAK.name, FORMANTS.name):
        raise UserError(f"no synthesiser {name!r}: --config.digits.synthesiser takes espeak, formants or nothing")
    if name == ESPEAK.name and not espeak.espeak_installed():
        raise UserError("espeak-ng is not on PATH: install it, or give --config.digits.synthesiser=formants")
    if name == FORMANTS.name or not espeak.espeak_installed():
        return FORMANTS
    return ESPEAK
