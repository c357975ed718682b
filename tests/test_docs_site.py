"""The documents are a site: every page is in its contents, every link leads somewhere, every docstring can be read."""

import os
import subprocess
import sys
from pathlib import Path

from dafxvae.__main__ import PROGRAMS

ROOT = Path(__file__).resolve().parent.parent


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "docs", "-d", str(tmp_path / "trees"), "."]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    built = subprocess.run(
        [*command, str(tmp_path / "site")], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    api = (tmp_path / "site" / "docs" / "api.html").read_text()
    assert "dafxvae.StyleTransfer.predict" in api
    assert "Gives a recording the style of a reference" in api
    commands = (tmp_path / "site" / "docs" / "commands.html").read_text()
    assert all(f'id="dafxvae-{name}"' in commands for name in PROGRAMS)
    assert all(words in commands for words in ("dafxvae-effects-check", "--only-if-better", "--candidates", "--shard"))
    pages = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "docs").glob("*.md")}
    assert all((tmp_path / "site" / page.with_suffix(".html")).is_file() for page in pages)
