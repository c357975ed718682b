"""A result in a notebook."""

import html
import re

from transfer_toys import RATE, music, save_toy

import dafxvae
from dafxvae.transfer.report import shown


def test_a_notebook_shows_the_page(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    with dafxvae.load_controller(save_toy(tmp_path, "Compressor | Reverb")) as style:
        result = style.transfer(music(1.0)[:, 0], [music(1.0, seed=1), music(1.0, seed=2)], RATE)
    result.show()
    (content,) = re.findall('srcdoc="([^"]*)"', shown[0].data)
    page = html.unescape(content)
    assert page == result.page()
    for words in (
        "the input in the style of reference 0, reference 1",
        result.fit.sentence,
        "threshold_db",
        "Compared: ",
    ):
        assert words in page
    assert page.count('"audio": "') == 4
    assert [clip.label for clip in result.clips] == ["Take", "Reference 1", "Output", "Reference 2"]


def test_values_are_as_a_person_reads_them():
    found = [shown(value, "dB") for value in (0.007984, -2.549, -0.001, 12.0)]
    assert found == ["0.01 dB", "-2.55 dB", "0 dB", "12 dB"]
    assert shown(0.007984, "s") == "0.007984 s"
    assert shown("on") == "on"
