"""The CounterFX protocol: its distance, its items, and the command from nothing to tables."""

import json
from typing import Any

import numpy as np
import pytest
import scipy.signal
from test_studio import noise

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.evaluate.__main__ import main
from dafxvae.evaluate.counterfx import items
from dafxvae.evaluate.counterfx.distance import RESOLUTIONS, counterfx_distance, magnitudes
from dafxvae.evaluate.counterfx.methods import set_f1
from dafxvae.studio.palette import EFFECTS, SPACE, StudioChain
from dafxvae.studio.sound import SAMPLE_RATE


def independent_distance(output, target):
    """The protocol's text once more, by torch-like framing and another library's transform."""
    stft: Any = scipy.signal.stft  # its types know windows by name alone
    parts = []
    for size, hop, length in RESOLUTIONS:
        window = np.pad(scipy.signal.get_window("hann", length), (size - length) // 2)
        spectra = []
        for audio in (output, target):
            padded = np.pad(audio.astype(float), ((size // 2, size // 2), (0, 0)), mode="reflect")
            _, _, transform = stft(
                padded.T, window=window, nperseg=size, noverlap=size - hop, boundary=None, padded=False
            )
            spectra.append(np.sqrt(np.maximum(np.abs(transform * window.sum()) ** 2, 1e-8)))
        made, wanted = spectra
        parts.append(np.linalg.norm(wanted - made) / np.linalg.norm(wanted) + np.abs(np.log(made / wanted)).mean())
    return np.mean(parts)


def test_distance_is_that_of_the_protocol():
    output, target = noise(0.5), noise(0.5, seed=1)
    ours = counterfx_distance(magnitudes(output), magnitudes(target))
    assert ours == pytest.approx(independent_distance(output, target), rel=1e-4)
    assert counterfx_distance(magnitudes(target), magnitudes(target)) == 0.0
    half = counterfx_distance(magnitudes(0.5 * target), magnitudes(target))
    assert half == pytest.approx(0.5 + np.log(2.0), rel=1e-3)  # convergence and logarithm of one gain


def test_f1_of_sets_of_effects():
    def chain(*names):
        return StudioChain(np.isin(EFFECTS, names), 0, np.zeros(len(SPACE)))

    assert set_f1(chain("Delay", "Reverb"), chain("Reverb", "Delay")) == 1.0
    assert set_f1(chain("Delay"), chain("Delay", "Reverb")) == pytest.approx(2 / 3)
    assert set_f1(chain(), chain("Reverb")) == 0.0
    assert set_f1(chain(), chain()) == 1.0


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Some seconds of chords with an attack every half second, in stereo."""
    folder = tmp_path_factory.mktemp("music")
    seconds = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    chord = np.sum([np.sin(2 * np.pi * f * seconds) for f in (110.0, 220.5, 331.0, 883.0, 2205.0, 4410.0)], axis=0)
    hits = 0.3 * host_rng(0, "music").standard_normal((len(seconds), 2)) * np.exp(-30 * (seconds % 0.5))[:, None]
    audio = 0.05 * chord[:, None] * np.exp(-3 * (seconds % 0.5))[:, None] + 0.3 * hits
    write_audio(folder / "song.wav", audio.astype(np.float32), SAMPLE_RATE)
    return folder


def test_the_command_scores_every_item_once_and_reports(music, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(items, "LENGTH_SEC", 1.5)
    words = ["counterfx", "--corpus", str(music), "--pairs", "2", "--candidates", "1,2", "-o", str(tmp_path / "out")]
    main(words)
    results = json.loads((tmp_path / "out/results.json").read_text())["methods"]
    assert set(results) == {"nothing", "known chain", "auto 1", "auto 2", "best of 2", "random 2"}
    assert results["nothing"]["ratio"]["mean"] == 1.0
    assert results["nothing"]["distance"]["mean"] >= 0.8  # chains are drawn until they are heard
    assert results["best of 2"]["distance"]["mean"] <= results["auto 2"]["distance"]["mean"]
    assert "| known chain |" in capsys.readouterr().out
    first = tmp_path / "out/items/0000.json"
    stored = json.loads(first.read_text())
    stored["nothing"]["distance"] = 123.0
    first.write_text(json.dumps(stored))
    main(words)  # what is stored is not computed again
    assert json.loads((tmp_path / "out/results.json").read_text())["methods"]["nothing"]["distance"]["mean"] > 60
    with pytest.raises(UserError, match=r"holds another benchmark .*seed"):
        main([*words, "--seed", "1"])


def test_prepared_items_of_the_public_benchmark(tmp_path):
    for name in ("a", "b"):
        for part in ("source", "reference", "target"):
            write_audio(tmp_path / "items" / name / f"{part}.wav", noise(2.0), SAMPLE_RATE)
    main(["counterfx", "--items", str(tmp_path / "items"), "--candidates", "1", "-o", str(tmp_path / "out")])
    results = json.loads((tmp_path / "out/results.json").read_text())["methods"]
    assert results["auto 1"]["f1"] is None  # nobody tells the chain
    assert results["nothing"]["distance"]["mean"] == 0.0
    rows = [json.loads(line) for line in (tmp_path / "out/submission.jsonl").read_text().splitlines()]
    assert [row["item_id"] for row in rows] == ["a", "b"]
    audio, rate = read_audio(tmp_path / "out" / rows[0]["audio_path"])
    assert (audio.shape, rate) == ((2 * SAMPLE_RATE, 2), SAMPLE_RATE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--candidates", "0"], "candidates '0': give numbers of chains"),
        (["--candidates", "x"], "candidates 'x'"),
        (["--pairs", "1"], "pairs 1: give at least 2"),
        (["--seed", "-1"], "seed"),
        (["--corpus", "nowhere"], "nowhere"),
        (["--items", "nowhere"], "holds 0 items"),
    ],
)
def test_bad_values_are_refused(words, message, tmp_path):
    corpus = [] if "--corpus" in words or "--items" in words else ["--corpus", str(tmp_path)]
    with pytest.raises(UserError, match=message):
        main(["counterfx", *words, *corpus, "-o", str(tmp_path / "out")])
