"""Folders for what dafxvae makes (cache) and fetches (data); none is created here."""

import os
from pathlib import Path


def _folder(variable: str, xdg_variable: str, home_default: str) -> Path:
    own = os.environ.get(variable)
    if own:
        return Path(own).expanduser()
    base = os.environ.get(xdg_variable)
    return (Path(base).expanduser() if base else Path.home() / home_default) / "dafxvae"


def cache_dir() -> Path:
    """The folder of everything that can be made again: $DAFXVAE_CACHE, else $XDG_CACHE_HOME/dafxvae, else
    ~/.cache/dafxvae."""
    return _folder("DAFXVAE_CACHE", "XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """The folder of fetched corpora: $DAFXVAE_DATA, else $XDG_DATA_HOME/dafxvae, else ~/.local/share/dafxvae."""
    return _folder("DAFXVAE_DATA", "XDG_DATA_HOME", ".local/share")
