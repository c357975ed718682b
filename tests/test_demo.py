"""`dafxvae demo`: two recordings that are audio, and an output that is nearer to the truth than the take."""

import webbrowser

import numpy as np
import pytest

from dafxvae import demo
from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.metrics.spectral import mrstft


def at_level_of(audio, target):
    return audio * np.sqrt(np.mean(target**2) / np.mean(audio**2))


def test_the_take_is_brought_nearer_to_the_reference(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    monkeypatch.setattr(demo, "has_browser", lambda: True)
    demo.main([])
    folder = tmp_path / "dafxvae-demo"
    names = {"take.wav", "reference.wav", "out.wav", "out.wav.py", "out.wav.html", "out.wav.settings.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert shown == [(folder / "out.wav.html").as_uri()]
    assert "transfer dafxvae-demo/take.wav dafxvae-demo/reference.wav --controller reverb" in capsys.readouterr().err
    take, reference, output = (read_audio(folder / f"{name}.wav")[0] for name in ("take", "reference", "out"))
    for audio in (take, reference, output):
        assert np.isfinite(audio).all()
        assert 0.05 < np.abs(audio).max() <= 1
        assert len(audio) >= demo.SECONDS * demo.SAMPLE_RATE
    truth = demo.apply_effect(take)
    distances = [float(mrstft(at_level_of(x[: len(take)], truth)[None], truth[None])[0]) for x in (take, output)]
    assert distances[1] < 0.4 * distances[0]


def test_files_of_others_are_left_alone(tmp_path):
    write_audio(tmp_path / "take.wav", np.zeros((100, 1), np.float32), 44100)
    with pytest.raises(UserError, match="holds other files"):
        demo.main(["--no-open", "-o", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]
    with pytest.raises(UserError, match="is a file"):
        demo.main(["--no-open", "-o", str(tmp_path / "take.wav")])
