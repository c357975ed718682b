"""The documents as a site, from the root of a clone: `python -m sphinx -W -c docs . build/site`."""

import contextlib
import importlib
import io
import os

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from dafxvae.__main__ import PROGRAMS, dispatch_program, help_text, module_of
from dafxvae.core.version import __version__

project, author, release = "dafxvae", "the dafxvae authors", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "launch/README.md"),
    *("dafxvae/pretrained/README.md", "benchmarks/studies/README.md"),
]
exclude_patterns = [".*", "build", "runs"]  # not searched for documents
myst_heading_anchors = 3
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "furo"
html_show_copyright = False
html_title = f"dafxvae {release}"


def help_of(words: list[str]) -> str:
    """What a command prints when it is asked for help."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        dispatch_program([*words, "--help"])
    return text.getvalue().strip()


class Commands(SphinxDirective):
    """`commands`: a section of each command with its help, and of each of the commands that it has itself."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        os.environ["COLUMNS"] = "88"  # of argparse and rich
        return [nodes.literal_block("", help_text(), language="text"), *map(self.section, PROGRAMS)]

    def section(self, *words: str) -> nodes.section:
        """Of one command."""
        title = " ".join(["dafxvae", *words])
        found = nodes.section(
            "", nodes.title("", "", nodes.literal("", title)), ids=[nodes.make_id(title)], names=[title]
        )
        found += nodes.literal_block("", help_of(list(words)), language="text")
        parts = getattr(importlib.import_module(module_of(words[0])), "COMMANDS", ()) if len(words) == 1 else ()
        found += [self.section(*words, part.name) for part in parts if part.name]
        return found


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_directive("commands", Commands)
