"""One version, wherever it is asked for, and a wheel that holds what the package needs."""

import subprocess
import tomllib
from pathlib import Path

import pytest

import dafxvae
from dafxvae.core.version import __version__

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_that_of_the_project():
    project = PROJECT["project"]
    assert project["version"] == dafxvae.__version__ == __version__


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_every_file_of_the_package_goes_into_its_wheel():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    packed = {
        str(path.relative_to(ROOT))
        for package, patterns in data.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    command = ["git", "ls-files", "-z", "dafxvae"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    assert not {path for path in tracked if path and not path.endswith(".py")} - packed
