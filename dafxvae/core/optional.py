"""Optional libraries, imported when they are first used."""

import importlib
import importlib.util
from typing import Any

from dafxvae.core.errors import UserError


def load(module: str, package: str, extra: str) -> Any:
    """The module of an optional library.

    Args:
        module: to import, e.g. "sklearn.ensemble".
        package: its name for people, e.g. "scikit-learn".
        extra: of dafxvae's own, which installs it.

    Raises:
        UserError: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{package} is not installed ({error}): `pip install 'dafxvae[{extra}]'` brings it") from error


def load_sklearn(module: str, extra: str) -> Any:
    """`sklearn.<module>`; UserError where scikit-learn is not installed, which `extra` of dafxvae installs."""
    return load(f"sklearn.{module}", "scikit-learn", extra)


def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported; does not import it."""
    return importlib.util.find_spec(module) is not None
