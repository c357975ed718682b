"""The documents as a site, from the root of a clone: `python -m sphinx -W -c docs . build/site`."""

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
