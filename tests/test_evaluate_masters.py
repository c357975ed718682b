"""`dafxvae evaluate masters`: dry takes and finished records."""

import json

import numpy as np
import pytest
import soundfile
from transfer_toys import RATE, music, save_toy

from dafxvae.core.errors import UserError
from dafxvae.data.corpora.layouts import MANIFEST
from dafxvae.data.pairs.mastering import master
from dafxvae.evaluate import masters
from dafxvae.evaluate.__main__ import main
from dafxvae.evaluate.held_out import held_out_of_kind


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with two takes and two records."""
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path))
    for kind, channels in (("takes", 1), ("masters", 2)):
        folder = tmp_path / "held_out" / f"my-{kind}"
        folder.mkdir(parents=True)
        for seed in (1, 2):
            audio = music(2.0, channels=channels, seed=seed)
            audio = master(audio, seed, RATE) if kind == "masters" else audio
            soundfile.write(folder / f"{seed}.wav", audio, RATE)
        (folder / MANIFEST).write_text(json.dumps({"kind": kind}))
    return tmp_path


def pair(further, known, said, peak):
    scores = {name: [0.5, 1.0] for name in ("MRSTFT", masters.MATCHED)}
    return {
        "peak_dbtp": peak, "further": further > 0, "further_beyond_tolerance": further > 0.5, "said": said,
        "known_further": known, "true_further": False, "settings": [further, 0.5], "scores": scores,
    }  # fmt: skip


def test_the_numbers_of_a_controller():
    pairs = [pair(0.0, False, False, -1.0), pair(0.2, False, False, -3.0), pair(1.0, True, True, -2.0)]
    found = masters.summarise_pairs([*pairs, pair(0.8, True, False, -0.5)])
    assert found["highest_peak_dbtp"] == -0.5
    assert found["above_ceiling"] == 1
    assert found["further"] == 0.75
    assert found["further_beyond_tolerance"] == 0.5
    assert found["unsaid"] == 1
    assert found["spread"] == pytest.approx(np.std([0.0, 0.2, 1.0, 0.8]) / 2)
    assert found["ratios"]["MRSTFT"]["mean"] == pytest.approx(0.5)


def test_takes_and_records(data, tmp_path):
    assert held_out_of_kind("masters") == ["my-masters"]
    toy = save_toy(tmp_path, "PeakFilter")
    words = ["masters", "--controllers", str(toy), "--corpus", "my-takes", "--pairs", "2", "--clip-sec", "1"]
    main([*words, "-o", str(data / "out")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masters, "measure_pair", None)  # nothing is computed again
        main([*words, "-o", str(data / "out")])
        with pytest.raises(UserError, match="another evaluation"):
            main([*words, "-o", str(data / "out"), "--seed", "1"])
    found = json.loads((data / "out" / "masters.json").read_text())["controllers"]["toy"]
    assert found["num_pairs"] == 2
    assert found["above_ceiling"] == 0
    assert found["unsaid"] == 0
    assert "| toy |" in (data / "out" / "masters.md").read_text()
    takes, records = (masters.open_corpora([f"my-{kind}"], c) for kind, c in (("takes", 1), ("masters", 2)))
    first, again = (masters.draw_pairs(takes, records, 8192, 2, 0)[1] for _ in range(2))
    np.testing.assert_array_equal(first.master.audio, again.master.audio)
    assert (first.take.num_channels, first.master.num_channels) == (1, 2)


def test_records_are_needed(data, tmp_path):
    (data / "held_out" / "my-masters" / MANIFEST).unlink()
    with pytest.raises(UserError, match="--masters"):
        main(["masters", "--controllers", "all", "--corpus", "my-takes", "-o", str(data / "out")])
