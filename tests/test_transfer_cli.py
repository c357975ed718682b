"""`dafxvae transfer`: files in, files out, and a clear word where something is wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from effects_vst3 import zam
from transfer_toys import RATE, flac_of_unknown_length, music, save_toy

from dafxvae.audio.true_peak import true_peak
from dafxvae.core.command_line import run_cli
from dafxvae.transfer.__main__ import main
from dafxvae.transfer.api import open_effect


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def controller(toys):
    return save_toy(toys, "BrickwallLimiter | Reverb")


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # no message is broken inside a path


@pytest.fixture
def files(tmp_path):
    soundfile.write(tmp_path / "in.wav", music(seed=1), RATE, "PCM_16")
    soundfile.write(tmp_path / "ref.wav", music(seed=2, level=0.1, channels=1), 48000, "PCM_16")
    return tmp_path


def run(*words):
    """What the command line does, in this process."""
    main([str(word) for word in words])


def refused(capsys, *words):
    """The message of a command that must fail with code 2."""
    with pytest.raises(SystemExit) as left:
        run_cli(lambda: run(*words))
    assert left.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_a_transfer_and_all_that_lies_beside_it(files, controller):
    out = files / "out.wav"
    run(
        files / "in.wav",
        files / "ref.wav",
        "--controller",
        controller,
        "-o",
        out,
        "--picture",
        "--page",
        "--export",
        "reascript",
    )
    assert "reaper.InsertMedia" in (files / "out.wav.lua").read_text()
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 2, "PCM_16")
    assert info.frames >= 3 * RATE
    document = json.loads((files / "out.wav.settings.json").read_text())
    assert document["effect"] == "BrickwallLimiter | Reverb"
    assert document["settings"]["BrickwallLimiter.ceiling_db"]["unit"] == "dB"
    assert document["input"]["file"].endswith("in.wav")
    assert (files / "out.wav.png").read_bytes().startswith(b"\x89PNG")
    page = (files / "out.wav.html").read_text()
    assert page.count('"audio"') == 3
    assert document["fit"]["sentence"] in page
    assert document["fit"]["purpose"] == ["dynamics", "space"]
    assert document["fit"]["distances"]["spectrum"]["before_db"] > 0.0
    assert document["kept_take"] is False
    assert not re.search(r"(src|href)=\"?https?:", page)
    assert not leftovers(files)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_the_script_gives_the_same_samples(files, controller, suffix):
    out, again = files / f"out{suffix}", files / f"again{suffix}"
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", out, "--amount", "1.2")
    script = Path(f"{out}.py")
    assert "dafxvae" not in re.sub(r'""".*?"""', "", script.read_text(), count=1, flags=re.S).replace(str(files), "")
    subprocess.run([sys.executable, "-I", script, files / "in.wav", again], check=True)
    np.testing.assert_array_equal(read(again), read(out))


@pytest.mark.vst3
def test_the_script_of_a_plugin_gives_the_same_samples(files, toys):
    import pedalboard

    controller = save_toy(toys, f"{zam('ZamComp')} | PitchShift", "plugin")
    out, again = files / "out.wav", files / "again.wav"
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", out, "--max-tail", "1")
    subprocess.run([sys.executable, "-I", files / "out.wav.py", files / "in.wav", again], check=True)
    np.testing.assert_array_equal(read(again), read(out))
    document = json.loads((files / "out.wav.settings.json").read_text())
    plugin: Any = pedalboard.VST3Plugin(zam("ZamComp"))
    plugin.raw_state = (files / document["plugin_states"][0]).read_bytes()
    ratio = document["settings"]["ZamComp.ratio"]["value"]
    assert float(plugin.ratio) == pytest.approx(ratio, rel=1e-2)  # type: ignore[attr-defined]


def test_a_recording_that_does_not_say_how_long_it_is_is_used_whole(files, controller, capsys):
    path = flac_of_unknown_length(files / "piped.flac", music())
    run(path, files / "ref.wav", "--controller", controller, "-o", files / "piped.wav", "--max-tail", "0")
    assert soundfile.info(files / "piped.wav").frames == len(music())
    assert "piped.wav.py needs it converted" in " ".join(capsys.readouterr().err.split())


def test_the_output_keeps_container_depth_and_tags_of_the_take(files, controller):
    with soundfile.SoundFile(files / "take.flac", "w", RATE, 2, "PCM_24") as take:
        take.title = "Song"
        take.write(music(1.0))
    words = files / "take.flac", files / "ref.wav", "--controller", controller, "-o"
    run(*words, files / "out", "--max-tail", "0")
    run(*words, files / "float.wav", "--max-tail", "0", "--bit-depth", "float")
    with soundfile.SoundFile(files / "out.flac") as kept, soundfile.SoundFile(files / "float.wav") as asked:
        assert (kept.format, kept.subtype, kept.title) == ("FLAC", "PCM_24", "Song")
        assert (asked.format, asked.subtype, asked.title) == ("WAV", "FLOAT", "Song")
    run("--apply", files / "out.flac.settings.json", files / "take.flac", files / "in.wav", "-o", files / "stems")
    found = [soundfile.info(files / "stems" / name).subtype for name in ("take.flac", "in.wav")]
    assert found == ["PCM_24", "PCM_16"]


def test_settings_are_applied_to_other_files_with_the_same_gain(files, controller):
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav")
    soundfile.write(files / "other.wav", music(seed=3), RATE, "PCM_16")
    settings = files / "out.wav.settings.json"
    run("--apply", settings, files / "in.wav", files / "other.wav", "-o", files / "stems")
    np.testing.assert_array_equal(read(files / "stems" / "in.wav"), read(files / "out.wav"))
    assert soundfile.info(files / "stems" / "other.wav").frames >= 3 * RATE
    run("--apply", settings, files / "other.wav", "-o", files / "one.flac")
    assert not leftovers(files)


@pytest.mark.parametrize(
    "words",
    [["--controller", "eq"], ["--effect", "Gain"], ["--amount", "1"], ["--lock", "a=1"], ["--match-level", "on"],
     ["--refine", "0"], ["--max-tail", "10"], ["--ceiling", "-1"], ["--only-if-better"],
     ["--picture"], ["--page"], ["--export", "ir"]],
)  # fmt: skip
def test_applying_takes_nothing_that_it_would_ignore(files, capsys, words):
    printed = refused(capsys, "--apply", files / "x.settings.json", files / "in.wav", "-o", files / "out.wav", *words)
    assert f"leave {words[0]} out" in printed


def test_applying_needs_no_jax(files, controller):
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav")
    code = (
        "import sys; from dafxvae.transfer.__main__ import main; "
        f"main(['--apply', '{files}/out.wav.settings.json', '{files}/in.wav', '-o', '{files}/x.wav']); "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_locks_hold_and_are_told(files, controller, capsys):
    run(
        *(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav"),
        *("--lock", "Reverb.room_size=0.25", "--lock", "BrickwallLimiter.true_peak=on"),
    )
    document = json.loads((files / "out.wav.settings.json").read_text())
    assert document["settings"]["Reverb.room_size"]["value"] == pytest.approx(0.25)
    assert document["settings"]["BrickwallLimiter.true_peak"]["value"] is True
    assert document["locked"] == {"BrickwallLimiter.true_peak": True, "Reverb.room_size": pytest.approx(0.25)}
    assert "locked" in capsys.readouterr().err


def test_an_integer_format_is_made_quieter_rather_than_clipped(files, controller, capsys):
    soundfile.write(files / "loud.wav", np.sign(music(seed=5)) * 0.99, RATE, "PCM_16")
    words = files / "in.wav", files / "loud.wav", "--controller", controller, "--ceiling", "none", "-o"
    run(*words, files / "out.flac")
    assert "quieter" in capsys.readouterr().err
    assert 0.99 < np.abs(read(files / "out.flac")).max() < 1.0
    run(*words, files / "out.wav", "--bit-depth", "float")
    assert "turn it down" in capsys.readouterr().err
    assert np.abs(read(files / "out.wav")).max() > 1.0


@pytest.mark.parametrize(("name", "words", "ceiling_db"), [("a.flac", (), -1.0), ("a.wav", ("--ceiling", "-6"), -6.0)])
def test_no_output_exceeds_the_ceiling_and_the_trim_is_kept(files, controller, capsys, name, words, ceiling_db):
    soundfile.write(files / "loud.wav", np.sign(music(seed=5)) * 0.99, RATE, "PCM_16")
    out = files / name
    run(files / "in.wav", files / "loud.wav", "--controller", controller, "-o", out, *words)
    assert f"below {ceiling_db:g} dBTP" in capsys.readouterr().err
    audio = read(out)
    peak_db = 20.0 * np.log10(true_peak(lambda start, count: audio[start : start + count], len(audio), RATE))
    assert ceiling_db - 0.1 < peak_db <= ceiling_db
    settings = f"{out}.settings.json"
    document = json.loads(Path(settings).read_text())
    assert document["ceiling_db"] == ceiling_db
    run("--apply", settings, files / "in.wav", "-o", files / f"again-{name}")
    np.testing.assert_array_equal(read(files / f"again-{name}"), audio)
    soundfile.write(files / "hot.wav", 0.99 * music() / np.abs(music()).max(), RATE, "FLOAT")
    run("--apply", settings, files / "hot.wav", "-o", files / "hot-out.wav")
    hot = read(files / "hot-out.wav")
    assert true_peak(lambda start, count: hot[start : start + count], len(hot), RATE) <= 10.0 ** (ceiling_db / 20.0)


def worse(files, controller, *words):
    """A transfer to the take itself with much reverb, which is further from it than the take is."""
    (files / "same.wav").write_bytes((files / "in.wav").read_bytes())
    locks = ("--lock", "Reverb.room_size=0.9", "--lock", "Reverb.wet_level=0.9", "--lock", "Reverb.dry_level=0")
    run(files / "in.wav", files / "same.wav", "--controller", controller, *locks, *words)


def test_an_output_that_fits_worse_than_the_take_is_said_to(files, controller, capsys):
    worse(files, controller, "-o", files / "out.wav")
    printed = " ".join(capsys.readouterr().err.split())
    document = json.loads((files / "out.wav.settings.json").read_text())
    assert f"fit to the reference: {document['fit']['sentence']}" in printed
    assert "further in" in document["fit"]["sentence"]
    assert document["notes"][0].startswith("the output is further from the reference than the take in")
    assert f"note: {document['notes'][0]}" in printed
    space = document["fit"]["distances"]["space"]
    assert (space["before_db"], space["change"]) == (0.0, "further")
    assert space["after_db"] > 1.0


def test_the_take_is_kept_where_the_effect_would_fit_worse(files, controller, capsys):
    out, again = files / "out.wav", files / "again.wav"
    worse(files, controller, "-o", out, "--only-if-better", "--export", "dawproject")
    assert "nothing is exported" in capsys.readouterr().err
    worse(files, controller, "-o", out, "--only-if-better")
    np.testing.assert_array_equal(read(out), read(files / "in.wav"))
    assert "note: the take is kept as it is" in " ".join(capsys.readouterr().err.split())
    document = json.loads((files / "out.wav.settings.json").read_text())
    assert document["kept_take"] is True
    assert document["gain_db"] == 0.0
    assert document["notes"][0].startswith("the take is kept as it is")
    subprocess.run([sys.executable, "-I", files / "out.wav.py", files / "in.wav", again], check=True)
    np.testing.assert_array_equal(read(again), read(out))
    settings = files / "out.wav.settings.json"
    assert "kept the take" in refused(capsys, "--apply", settings, files / "in.wav", "-o", files / "x.wav")
    assert not leftovers(files)


@pytest.mark.parametrize("ceiling", ["loud", "1", "nan", "-40"])
def test_a_ceiling_that_cannot_be_is_refused(files, controller, capsys, ceiling):
    words = files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav"
    assert "none" in refused(capsys, *words, "--ceiling", ceiling)


@pytest.mark.parametrize("rate", [8000, 192000])
def test_any_rate_works(files, controller, rate):
    soundfile.write(files / "in.wav", music(1.0, rate=rate), rate)
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav")
    assert soundfile.info(files / "out.wav").samplerate == rate


def test_short_and_clipped_references_work(files, controller, capsys):
    soundfile.write(files / "short.wav", np.clip(20 * music(0.3), -1, 1), RATE)
    run(files / "in.wav", files / "short.wav", "--controller", controller, "-o", files / "out.wav")
    printed = " ".join(capsys.readouterr().err.split())
    assert "short.wav is clipped" in printed
    assert "the reference has no loudness" in printed


def broken(folder, kind):
    """A file that cannot be used."""
    path = folder / f"{kind}.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not audio " * 100)
    elif kind == "cut":
        whole = (folder / "ref.wav").read_bytes()
        path.write_bytes(whole[:20])
    elif kind != "missing":
        audio = {
            "silent": np.zeros((RATE, 1)),
            "single": np.ones((1, 1)),
            "nan": np.where(np.arange(RATE) == 700, np.nan, 0.1)[:, None],
            "six": np.ones((RATE, 6)),
        }[kind]
        soundfile.write(path, audio, RATE, "FLOAT")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such audio file"),
        ("empty", "0 bytes"),
        ("text", "cannot read"),
        ("cut", "cannot read"),
        ("silent", "silent"),
        ("single", "1 samples"),
        ("nan", "sample 700"),
        ("six", "6 channels"),
    ],
)
@pytest.mark.parametrize("place", ["input", "reference"])
def test_files_that_cannot_be_used(files, controller, capsys, kind, message, place):
    bad = broken(files, kind)
    pair = (bad, files / "ref.wav") if place == "input" else (files / "in.wav", bad)
    printed = refused(capsys, *pair, "--controller", controller, "-o", files / "out.wav")
    assert message in printed
    assert not (files / "out.wav").exists()
    assert not leftovers(files)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--amount", "2"], "amount 2: give 0"),
        (["--lock", "room_size=0.4"], "did you mean Reverb.room_size"),
        (["--lock", "Reverb.room_size"], "give NAME=VALUE"),
        (["--lock", "Reverb.room_size=big"], "give a finite number"),
        (["--lock", "Reverb.room_size=3"], "give 0 to 1"),
        (["--lock", "Reverb.width=1", "--lock", "Reverb.width=0"], "is already 1; give it once"),
        (["--effect", "Reverb"], "leave --effect out"),
        (["--refine", "-3"], "refine -3"),
        (["-o", "out.xyz"], "no format for '.xyz'"),
        (["-o", "/proc/nowhere/out.wav"], "cannot write"),
        (["--export", "dawprojet"], "did you mean dawproject"),
        (["--controller", "toi"], "no controller is called 'toi'"),
    ],
)
def test_options_that_cannot_be(files, controller, capsys, words, message):
    usual = ["--controller", controller, "-o", files / "out.wav"]
    printed = refused(capsys, files / "in.wav", files / "ref.wav", *usual, *words)
    assert message in printed
    assert not leftovers(files)


def test_what_is_read_is_not_overwritten(files, controller, capsys):
    (files / "link.wav").symlink_to(files / "in.wav")
    before = (files / "in.wav").read_bytes()
    words = [files / "in.wav", files / "ref.wav", "--controller", controller, "-o"]
    for out in (files / "in.wav", files / "link.wav", files / "ref.wav"):
        assert "also read" in refused(capsys, *words, out)
    assert (files / "in.wav").read_bytes() == before


def test_what_is_missing_is_said(files, capsys):
    pair = files / "in.wav", files / "ref.wav"
    assert "at least one reference" in refused(capsys, pair[0], "-o", files / "o.wav")
    assert "--effort is for finding a chain" in refused(
        capsys, *pair, "--controller", "reverb", "--effort", "4", "-o", files / "o.wav"
    )
    assert "--refine: the chain and its settings are found" in refused(
        capsys, *pair, "--refine", "200", "-o", files / "o.wav"
    )
    assert "--refine 200" in refused(capsys, *pair, "--effect", "Reverb", "-o", files / "o.wav")
    assert "give the files" in refused(capsys, "--apply", files / "x.json", "-o", files / "o.wav")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read the settings"), ("{", "not JSON"), ("{}", "not the settings"), ("[1]", "not the settings")],
)
def test_settings_that_cannot_be_applied(files, capsys, content, message):
    if content is not None:
        (files / "x.json").write_text(content)
    assert message in refused(capsys, "--apply", files / "x.json", files / "in.wav", "-o", files / "o.wav")


def test_stems_that_would_overwrite_each_other(files, controller, capsys):
    run(files / "in.wav", files / "ref.wav", "--controller", controller, "-o", files / "out.wav")
    settings = files / "out.wav.settings.json"
    pair = files / "in.wav", files / "ref.wav"
    assert "give -o a folder" in refused(capsys, "--apply", settings, *pair, "-o", files / "one.wav")
    assert "same name" in refused(capsys, "--apply", settings, pair[0], pair[0], "-o", files / "stems")
    assert "also read" in refused(capsys, "--apply", settings, pair[0], "-o", files)


def test_any_name_any_locale_and_a_notebook_s_backend(files, controller):
    """As in an old archive, a cron job, and a notebook whose kernel has other packages."""
    name = files / os.fsdecode(b'caf\xe9 \xc3\xa9 \\x """.wav')
    name.write_bytes((files / "in.wav").read_bytes())
    out = name.with_name(f"out {name.name}")
    words = [name, files / "ref.wav", "--controller", controller, "-o", out, "--picture", "--page"]
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "MPLBACKEND": "not there"}
    done = subprocess.run(
        [sys.executable, "-m", "dafxvae.transfer", *words], capture_output=True, check=False, env=os.environ | plain
    )
    assert done.returncode == 0, done.stderr
    assert len(list(files.glob("out*"))) == 5
    assert json.loads(out.with_name(f"{out.name}.settings.json").read_text())["input"]["file"] == str(name)
    before = read(os.fsencode(out))
    out.unlink()
    subprocess.run([sys.executable, f"{out}.py"], check=True, env=os.environ | plain)
    np.testing.assert_array_equal(read(os.fsencode(out)), before)


def test_a_real_command_prints_no_traceback(files):
    command = [sys.executable, "-m", "dafxvae.transfer", files / "in.wav", files / "no.wav", "-o", files / "o.wav"]
    done = subprocess.run([*command, "--controller", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "no such audio file" in done.stderr


def test_an_effect_without_a_controller_opens_with_the_package_s_f_and_g():
    with open_effect("Gain") as style:
        assert style.windows.sample_rate == 24000
        assert style.host.parameters.names == ("gain_db",)
