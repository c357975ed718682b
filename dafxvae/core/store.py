"""A store of computed arrays, keyed by a fingerprint of the recipe that they were computed by."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.files import whole_file

KEY = "key"  # name of the recipe's key among the stored arrays


def recipe_key(recipe: Any) -> str:
    """SHA-256 of everything that a result depends on, given as JSON; tuples and lists are equal, keys need no order."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def read_arrays(path: Path, key: str | None = None) -> dict[str, np.ndarray] | None:
    """The arrays stored at `path`.

    Args:
        path: `*.npz`.
        key: of the recipe that they must have been made by; None takes any.

    Returns:
        Name to array, or None where the file is missing, damaged or of another recipe: what it holds is made again.

    Raises:
        UserError: the system does not let it be read; it is kept.
    """
    try:
        with np.load(path) as stored:
            if key is not None and str(stored[KEY]) != key:
                return None
            return {name: stored[name] for name in stored.files if name != KEY}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}): mend that, or move it away to make it again"
        ) from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], key: str = "") -> None:
    """Stores arrays under the key of their recipe, whole or not at all.

    Raises:
        UserError: the disk refuses.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **(dict(arrays) | {KEY: np.asarray(key)}))  # type: ignore[arg-type]


def computed_once(path: Path, recipe: Any, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `make` gives, read back from `path` where it was made by the same recipe before.

    Args:
        path: `*.npz`.
        recipe: everything that the arrays depend on, as JSON.
        make: computes them, name to array.

    Raises:
        UserError: the disk refuses.
    """
    key = recipe_key(recipe)
    found = read_arrays(path, key)
    if found is None:
        found = {name: np.asarray(array) for name, array in make().items()}
        write_arrays(path, found, key)
    return found
