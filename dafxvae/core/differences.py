"""Differences of two nested configurations, in words that a user can act on."""

import json
from collections.abc import Mapping
from typing import Any

from dafxvae.core.errors import UserError

SHOWN = 12  # differences of a message


def flatten(tree: Mapping[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Nested mappings to one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= (
            flatten(value, f"{prefix}{key}{separator}", separator)
            if isinstance(value, Mapping)
            else {prefix + key: value}
        )
    return flat


def differences(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Dotted keys whose values are not the same, in words; tuples and lists are equal, as in JSON."""
    ours, theirs = (flatten(json.loads(json.dumps(tree))) for tree in (asked, stored))
    return [
        f"{key} is {theirs.get(key)!r} there, {ours.get(key)!r} here"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def check_same(asked: Mapping[str, Any], stored: Mapping[str, Any], what: str, fix: str) -> None:
    """Refuses what is stored where it is not what is asked for.

    Raises:
        UserError: `what`, the differences, and the fix.
    """
    if different := differences(asked, stored):
        more = [f"{len(different) - SHOWN} more"] * (len(different) > SHOWN)
        raise UserError(f"{what} ({'; '.join(different[:SHOWN] + more)}): {fix}")
