"""Paths as users write them, and folders for what dafxvae makes (cache) and fetches (data); none is created here."""

import errno
import os
from importlib import resources
from pathlib import Path

from dafxvae.core.errors import UserError

SHIPPED = "shipped"


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path in which `~` stands for a home folder, where there is one; it need not be there.

    Raises:
        UserError: it is empty or no path, or the system refuses to look for it.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"{path!r} is no path: give the name of a file or folder")
    found = os.path.expanduser(path)
    if not found:
        raise UserError("an empty path is given: is a variable not set?")
    try:
        os.stat(found)
    except ValueError as error:
        raise UserError(f"{path!r} is no path ({error}): give the name of a file or folder") from error
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise UserError(f"cannot use {found}: {error.strerror}") from error
    return Path(found)


def _folder(variable: str, xdg_variable: str, home_default: str) -> Path:
    own, base = os.environ.get(variable), os.environ.get(xdg_variable)
    if own:
        return user_path(own)
    folder = user_path(base or f"~/{home_default}") / "dafxvae"
    if folder.parts[0].startswith("~"):
        raise UserError(f"no home folder is known for this user: set {variable} to a folder that can be written")
    return folder


def cache_dir() -> Path:
    """The folder of everything that can be made again: $DAFXVAE_CACHE, else $XDG_CACHE_HOME/dafxvae, else
    ~/.cache/dafxvae.

    Raises:
        UserError: no home folder is known, and neither variable is set.
    """
    return _folder("DAFXVAE_CACHE", "XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """The folder of fetched corpora: $DAFXVAE_DATA, else $XDG_DATA_HOME/dafxvae, else ~/.local/share/dafxvae.

    Raises:
        UserError: see `cache_dir`.
    """
    return _folder("DAFXVAE_DATA", "XDG_DATA_HOME", ".local/share")


def stored_data(name: str) -> Path | None:
    """A file or folder in the data folder; None where it is not, or there is no data folder."""
    try:
        path = data_dir() / name
    except UserError:
        return None
    return path if path.exists() else None


def shipped_path(name: str) -> Path:
    """A file or folder of trained weights that comes with the package."""
    return Path(str(resources.files("dafxvae"))) / "pretrained" / name


def training_folder(folder: str) -> str:
    """A folder of recordings; that of fetched corpora is found in this data folder where another machine named it."""
    is_fetched = Path(folder).parts[-2:] == ("dafxvae", "train")
    own = stored_data("train") if is_fetched and not os.path.exists(os.path.expanduser(folder)) else None
    return str(own or folder)


def stored_encoders_path(name: str) -> Path:
    """File of f and g: "shipped" in the package, other names in the data folder, or a `*.safetensors` path."""
    if name == SHIPPED:
        return shipped_path("encoders.safetensors")
    return Path(name) if name.endswith(".safetensors") else data_dir() / "pretrained" / f"{name}.safetensors"
