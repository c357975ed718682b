"""One version, wherever it is asked for."""

import tomllib
from pathlib import Path

import dafxvae
from dafxvae.core.version import __version__


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert project["version"] == dafxvae.__version__ == __version__
