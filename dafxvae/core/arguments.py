"""Checks of the arguments of public functions: the message carries the value and the fix."""

from typing import Any

import numpy as np

from dafxvae.core.errors import UserError

LOWEST_RATE, HIGHEST_RATE = 1.0, 768000.0  # Hz


def number_array(value: Any, name: str, axes: str) -> np.ndarray:
    """A value as an array of real numbers, of its own type.

    Args:
        value: an array, or what numpy makes one of.
        name: for the message.
        axes: as in "[B, T, C]".

    Raises:
        UserError: it holds no numbers, or has another number of axes.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name} cannot be made an array of numpy ({error}): give numbers {axes}") from error
    if array.dtype.kind not in "fiub" or array.ndim != axes.count(",") + 1:
        raise UserError(f"{name} is {array.dtype} of shape {array.shape}: give numbers {axes}")
    return array


def check_number(value: Any, name: str, low: float, high: float = 2.0**53, *, whole: bool = True) -> None:
    """Raises UserError unless a value is a number from `low` to `high`."""
    if (
        not isinstance(value, int | float | np.integer | np.floating)
        or not low <= value <= high
        or (whole and value != int(value))
    ):
        raise UserError(f"{name} is {value!r}: give a {'whole ' * whole}number from {low:g} to {high:g}")


def check_rate(value: Any) -> None:
    """Raises UserError unless a value is a sample rate in Hz."""
    check_number(value, "the sample rate", LOWEST_RATE, HIGHEST_RATE, whole=False)
