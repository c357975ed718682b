"""A mono input, a stereo reference, and a stereo output where it is asked for."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from transfer_toys import RATE, music, save_toy

import dafxvae
from dafxvae.transfer.__main__ import main

WIDE = {"Reverb.width": 1.0, "Reverb.wet_level": 0.5, "Reverb.room_size": 0.5}


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    return save_toy(tmp_path_factory.mktemp("toys"), "Compressor | Reverb")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    soundfile.write(tmp_path / "in.wav", music(seed=1, channels=1), RATE, "PCM_16")
    soundfile.write(tmp_path / "ref.wav", music(seed=2), RATE, "PCM_16")
    return tmp_path


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_a_stereo_output_and_all_that_plays_it_again(files, controller, capsys):
    out, again = files / "out.wav", files / "again.wav"
    locks = [word for name, value in WIDE.items() for word in ("--lock", f"{name}={value}")]
    main([str(files / "in.wav"), str(files / "ref.wav"), "--controller", str(controller), "-o", str(out), *locks,
          "--stereo", "--max-tail", "1"])  # fmt: skip
    assert "as mono" not in capsys.readouterr().err
    played = read(out)
    assert played.shape[1] == 2
    assert np.abs(played[:, 0] - played[:, 1]).max() > 0.01
    assert json.loads((files / "out.wav.settings.json").read_text())["stereo"] is True
    subprocess.run([sys.executable, "-I", f"{out}.py", files / "in.wav", again], check=True)
    np.testing.assert_array_equal(read(again), played)
    main(["--apply", str(files / "out.wav.settings.json"), str(files / "in.wav"), "-o", str(files / "applied.wav")])
    np.testing.assert_array_equal(read(files / "applied.wav"), played)


def test_what_is_said_of_width(controller):
    mono, wide = music(seed=1, channels=1)[:, 0], music(seed=2)
    with dafxvae.load_controller(controller) as style:
        plain = style.transfer(mono, wide, RATE, locks=WIDE)
        assert plain.audio.ndim == 1
        assert sum("--stereo" in note for note in plain.notes) == 1
        assert not any("--stereo" in note for note in style.transfer(mono, wide[:, 0], RATE).notes)
        stereo = style.transfer(mono, wide, RATE, locks=WIDE, stereo=True)
        assert stereo.audio.shape[1] == 2
        np.testing.assert_array_equal(stereo.unit_params, plain.unit_params)
        assert "width" in stereo.fit.before
        assert not any("mono" in note for note in stereo.notes)
        narrow = style.transfer(mono, wide, RATE, locks={"Reverb.width": 0.0}, stereo=True)
        np.testing.assert_array_equal(narrow.audio[:, 0], narrow.audio[:, 1])
        assert any("both channels the same" in note for note in narrow.notes)
        both = style.transfer(wide, wide[::-1], RATE, locks=WIDE)
        np.testing.assert_array_equal(both.audio, style.transfer(wide, wide[::-1], RATE, locks=WIDE, stereo=True).audio)
