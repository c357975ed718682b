"""The tables of held-out results in the documents are those of their JSON."""

import runpy

import pytest
from launch_toys import ROOT

PAGES = runpy.run_path(str(ROOT / "docs" / "tables.py"))["PAGES"]


@pytest.mark.parametrize("page", PAGES)
def test_a_table_is_that_of_the_numbers(page):
    text = (ROOT / page).read_text()
    assert PAGES[page](text) == text, "`python docs/tables.py` writes them"
