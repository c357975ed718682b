"""The command line: files to files, the script that gives the same samples, stored settings, and bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest
from transfer_toys import RATE, music, save_toy

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.errors import run_cli
from dafxvae.transfer.__main__ import main

EFFECT = "Reverb | BrickwallLimiter"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("transfer")
    save_toy(root, EFFECT)
    write_audio(root / "in.wav", music(3.0, seed=1), RATE)
    write_audio(root / "ref.flac", music(2.0, rate=48000, channels=1, seed=2), 48000)
    return root


def words(folder, output, **changes):
    given = {"input": folder / "in.wav", "reference": folder / "ref.flac", "options": []} | changes
    controller = ["--controller", str(folder / "toy.safetensors")]
    return [str(given["input"]), str(given["reference"]), *controller, "-o", str(output), *map(str, given["options"])]


@pytest.fixture(scope="module")
def finished(folder):
    output = folder / "out.wav"
    main(words(folder, output, options=["--lock", "Reverb.room_size=0.8", "--picture", "--page"]))
    return output


def test_a_transfer_leaves_sound_settings_script_picture_and_page(finished):
    audio, rate = read_audio(finished)
    assert rate == RATE
    assert audio.shape[1] == 2
    assert len(audio) >= 3.0 * RATE
    assert np.isfinite(audio).all()
    settings = json.loads((finished.parent / "out.wav.settings.json").read_text())
    assert "Reverb.room_size" in json.dumps(settings)
    assert (finished.parent / "out.wav.png").read_bytes()[:4] == b"\x89PNG"
    page = (finished.parent / "out.wav.html").read_text()
    assert page.count("<audio") >= 3


def test_the_script_gives_the_same_samples(finished, folder, tmp_path):
    script, again = finished.parent / "out.wav.py", tmp_path / "again.wav"
    subprocess.run([sys.executable, str(script), str(folder / "in.wav"), str(again)], check=True, timeout=120)
    np.testing.assert_array_equal(read_audio(again)[0], read_audio(finished)[0])


def test_stored_settings_are_applied_to_other_files(finished, folder, tmp_path):
    stored = str(finished.parent / "out.wav.settings.json")
    main(["--apply", stored, str(folder / "in.wav"), "-o", str(tmp_path / "same.wav")])
    np.testing.assert_array_equal(read_audio(tmp_path / "same.wav")[0], read_audio(finished)[0])


def audio_file(folder, name, audio, rate=RATE):
    write_audio(folder / name, audio, rate)
    return folder / name


def spoilt():
    audio = music()
    audio[500] = np.nan
    return audio


BAD = {
    "missing": (lambda f: {"input": f / "nothing.wav"}, "no such audio file"),
    "empty": (lambda f: {"input": (f / "empty.wav").write_bytes(b"") or f / "empty.wav"}, "empty"),
    "not audio": (lambda f: {"reference": (f / "text.wav").write_text("text") and f / "text.wav"}, "cannot read"),
    "silent": (lambda f: {"reference": audio_file(f, "silent.wav", np.zeros((RATE, 1), np.float32))}, "silent"),
    "one sample": (lambda f: {"input": audio_file(f, "one.wav", np.ones((1, 1), np.float32))}, "1 samples"),
    "nan": (lambda f: {"input": audio_file(f, "nan.wav", spoilt())}, "finite|NaN"),
    "six channels": (
        lambda f: {"input": audio_file(f, "six.wav", np.tile(music(channels=1), 6))},
        "6 channels|channels",
    ),
    "amount": (lambda f: {"options": ["--amount", "2"]}, "1.5"),
    "lock": (lambda f: {"options": ["--lock", "Reverb.roomsize=1"]}, "did you mean"),
    "lock out of range": (lambda f: {"options": ["--lock", "Reverb.room_size=7"]}, "outside its range"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_what_to_change(folder, tmp_path, capsys, case):
    change, message = BAD[case]
    output = tmp_path / "out.wav"
    with pytest.raises(SystemExit) as stopped:
        run_cli(lambda: main(words(folder, output, **change(tmp_path))))
    assert stopped.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert any(part in said for part in message.split("|")), said
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("output", ["in.wav", "missing_folder_file/out.wav", "out.xyz"])
def test_an_output_that_cannot_be_written(folder, capsys, output):
    (folder / "missing_folder_file").write_text("a file")
    before = (folder / "in.wav").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        run_cli(lambda: main(words(folder, folder / output)))
    assert stopped.value.code == 2
    assert capsys.readouterr().err
    assert (folder / "in.wav").read_bytes() == before


@pytest.mark.parametrize(
    ("rate", "audio"), [(8000, music(3.0, 8000)), (192000, music(1.0, 192000)), (RATE, music(0.5))]
)
def test_unusual_rates_and_short_references_work(folder, tmp_path, rate, audio):
    write_audio(tmp_path / "odd.wav", audio, rate)
    main(words(folder, tmp_path / "out.wav", reference=tmp_path / "odd.wav"))
    main(words(folder, tmp_path / "out2.wav", input=tmp_path / "odd.wav"))
    assert read_audio(tmp_path / "out2.wav")[1] == rate
