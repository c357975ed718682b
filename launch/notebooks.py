"""Writes the Colab notebooks from their one source: `python launch/notebooks.py`.

A cell of `colab.py` that is tagged gpu or tpu goes into that notebook alone; all others go into both.
"""

from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
ACCELERATORS = ("gpu", "tpu")


def notebook(accelerator: str) -> NotebookNode:
    """The notebook for "gpu" or "tpu", without outputs; the same bytes whenever it is made."""
    made = jupytext.read(FOLDER / "colab.py")
    others = set(ACCELERATORS) - {accelerator}
    made.cells = [cell for cell in made.cells if not others & set(cell.metadata.get("tags", []))]
    for index, cell in enumerate(made.cells):
        cell.id = f"cell-{index:02d}"
    made.metadata = NotebookNode(
        accelerator=accelerator.upper(),
        colab=NotebookNode(provenance=[]),
        kernelspec=NotebookNode(display_name="Python 3", language="python", name="python3"),
        language_info=NotebookNode(name="python"),
    )
    return made


def text(accelerator: str) -> str:
    """The file of a notebook."""
    return nbformat.writes(notebook(accelerator)) + "\n"


if __name__ == "__main__":
    for accelerator in ACCELERATORS:
        (FOLDER / f"colab_{accelerator}.ipynb").write_text(text(accelerator))
