"""Without a terminal a long job says every so often where it is."""

import io
import time

import pytest
from rich.console import Console

from dafxvae.core import progress


@pytest.mark.parametrize("is_terminal", [False, True])
def test_lines_where_no_bar_can_be_seen(monkeypatch, is_terminal):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    said = io.StringIO()
    lines = progress.ProgressLines("h", 200, Console(file=said, force_terminal=is_terminal), 100)
    for done, at in ((100, 131.0), (110, 105.0), (120, 131.0), (121, 140.0), (150, 161.5)):
        now[0] = at
        lines.show(done, ", loss 1.5")
    wanted = ["h: 120 of 200, about 2.1 min left, loss 1.5", "h: 150 of 200, about 1.0 min left, loss 1.5"]
    assert said.getvalue().splitlines() == ([] if is_terminal else wanted)
