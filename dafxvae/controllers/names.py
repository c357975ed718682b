"""Controllers by name: those that come with the package, and those in the user's data folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.paths import data_dir, shipped_path, stored_data, user_path

if TYPE_CHECKING:
    from dafxvae.controllers.controller import Controller

SUFFIX = ".safetensors"
CONTROLLERS = "controllers"
AUTO = "auto"  # for the stored controller that fits a pair best; no controller has this name


def shipped_folder() -> Path:
    """Where the package's controllers lie."""
    return shipped_path(CONTROLLERS)


def user_folder() -> Path:
    """Where the user's controllers lie."""
    return data_dir() / CONTROLLERS


def stored_controllers() -> dict[str, Path]:
    """Name to file; a user's own controller hides the package's of the same name."""
    found: dict[str, Path] = {}
    for folder in (shipped_folder(), stored_data(CONTROLLERS)):
        if folder is not None and folder.is_dir():
            # A name has no dot in it: NAME.encoders.safetensors is the f and g of NAME.
            found |= {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}")) if "." not in path.stem}
    return dict(sorted(found.items()))


def find_controller(name: str | Path) -> Path:
    """The file of a controller.

    Args:
        name: of a stored controller ("reverb"), the folder of a run, or a `*.safetensors` file.

    Raises:
        UserError: there is none; with the nearest names.
    """
    path = user_path(name)
    if path.is_dir():
        if not (path / "controller.safetensors").is_file():
            raise UserError(f"{path} holds no controller.safetensors: give the folder of a finished run")
        return path / "controller.safetensors"
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise UserError(f"no such controller: {path}")
        return path
    stored = stored_controllers()
    if str(name) not in stored:
        raise unknown_name("controller", str(name), stored)
    return stored[str(name)]


def open_controller(name: str | Path) -> "Controller":
    """A controller with its f and g, by name, folder or file; see `find_controller`.

    Raises:
        UserError: there is none, or its f and g are missing.
    """
    path = find_controller(name)
    from dafxvae.controllers.controller import read_controller  # imports jax, which a wrong name does not wait for

    return read_controller(path)
