import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dafxvae.audio.io import write_audio
from dafxvae.core.errors import UserError
from dafxvae.data import commands
from dafxvae.data.__main__ import main
from dafxvae.data.corpora import packages
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.data.corpora.files import find_audio, folder_layout
from dafxvae.data.corpora.layouts import MANIFEST
from dafxvae.data.corpora.statistics import folder_stats

RATE = 16000


def tone(seconds=0.5, channels=1, hz=1000.0, gain=0.25, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return np.repeat((gain * np.sin(2 * np.pi * hz * t))[:, None], channels, axis=1).astype(np.float32)


def layout_of(root, names):
    """Files of these names, empty: a layout is told by the names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return folder_layout(root, find_audio(root))


def groups(layout):
    return {file.path.name: file.group for file in layout.files}


def test_daps_keeps_the_clean_recordings(tmp_path):
    layout = layout_of(tmp_path, [f"{kind}/{s}_script1_{kind}.wav" for kind in ("clean", "ipad") for s in ("f1", "m2")])
    assert layout.name == "DAPS"
    assert groups(layout) == {"f1_script1_clean.wav": "f1", "m2_script1_clean.wav": "m2"}
    assert len(layout.left_out) == 2


def test_vctk_uses_one_microphone(tmp_path):
    names = [f"wav48_silence_trimmed/p225/p225_001_mic{m}.flac" for m in (1, 2)]
    layout = layout_of(tmp_path, [*names, "wav48_silence_trimmed/p280/p280_003_mic2.flac"])
    assert layout.name == "VCTK"
    assert groups(layout) == {"p225_001_mic1.flac": "p225", "p280_003_mic2.flac": "p280"}
    assert [path.name for path, _ in layout.left_out] == ["p225_001_mic2.flac"]


@pytest.mark.parametrize("inside", [False, True])
def test_libritts_keeps_the_official_splits(tmp_path, inside):
    names = [f"{part}/19/198/19_198_000000_00000{k}.wav" for k, part in enumerate(["train-clean-100", "dev-clean"])]
    layout = layout_of(tmp_path, names)
    if inside:
        layout = folder_layout(tmp_path / "dev-clean", find_audio(tmp_path / "dev-clean"))
    assert layout.name == "LibriTTS"
    assert {file.split for file in layout.files} == ({"valid"} if inside else {"train", "valid"})
    assert {file.group for file in layout.files} == {"19"}


def test_musdb_splits_by_song(tmp_path):
    stems = ("mixture", "drums", "bass", "other", "vocals")
    layout = layout_of(tmp_path, [f"{part}/{part} song/{stem}.wav" for part in ("train", "test") for stem in stems])
    assert layout.name == "MUSDB18-HQ"
    assert {(file.group, file.split) for file in layout.files} == {("train song", "train"), ("test song", "test")}


def test_jamendo_splits_by_artist_where_a_table_is_there(tmp_path):
    names = ["00/1100.low.mp3", "01/1101.low.mp3", "01/2201.low.mp3"]
    assert set(groups(layout_of(tmp_path, names)).values()) == {"1100", "1101", "2201"}
    rows = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    rows += [f"t\t{artist}\ta\t{path}\t100\tx\ty" for artist, path in (("ann", "00/1100.mp3"), ("ann", "01/1101.mp3"))]
    (tmp_path / "autotagging-validation.tsv").write_text("\n".join(rows) + "\n")
    layout = layout_of(tmp_path, names)
    assert groups(layout) == {"1100.low.mp3": "ann", "1101.low.mp3": "ann", "2201.low.mp3": "2201"}
    assert [file.split for file in layout.files] == ["valid", "valid", ""]


def test_spoken_digits_split_by_speaker(tmp_path):
    layout = layout_of(tmp_path, [f"recordings/{d}_{s}_{d}.wav" for d in range(4) for s in ("jackson", "theo")])
    assert layout.name == "spoken digits"
    assert {file.group for file in layout.files} == {"jackson", "theo"}


def test_other_folders_group_by_folder_or_not_at_all(tmp_path):
    by_folder = layout_of(tmp_path / "a", [f"deep/{song}/{stem}.wav" for song in "xyz" for stem in ("one", "two")])
    assert {file.group for file in by_folder.files} == {"deep/x", "deep/y", "deep/z"}
    untold = layout_of(tmp_path / "b", ["one.wav", "two.wav", "more/three.wav"])
    assert {file.group for file in untold.files} == {""}  # lengths and names tell (test_data_corpora_folder)
    assert untold.name == ""


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """A package of our own, and an apt-get that copies it: the real dpkg-deb unpacks it."""
    tree = tmp_path / "tree"
    for hz, speaker in enumerate(("en_US_f_Ann", "es_MX_f_Ann", "fr_CA_m_Bob"), 1000):
        write_audio(tree / "usr/share/sounds" / speaker / "digits" / "1.wav", tone(2.0, hz=float(hz)), RATE)
    (tree / "usr/share/sounds/readme.txt").write_text("no audio")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: test-sounds\nVersion: 1.0-1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: sounds\n"
    )
    deb = tmp_path / "test-sounds_1.0-1_all.deb"
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, deb], check=True, capture_output=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "apt-get").write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = test-sounds ] && cp "{deb}" .\n')
    (tools / "apt-get").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    item = packages.PACKAGES[0]._replace(
        name="test-sounds",
        version="1.0-1",
        sha256=hashlib.sha256(deb.read_bytes()).hexdigest(),
        root="usr/share/sounds",
    )
    monkeypatch.setattr(packages, "PACKAGES", (item,))
    monkeypatch.setattr(commands, "PACKAGES", (item,))
    return item


needs_dpkg = pytest.mark.skipif(not Path("/usr/bin/dpkg-deb").exists(), reason="dpkg-deb is not on this machine")


@needs_dpkg
def test_fetch_unpacks_audio_and_writes_a_manifest(debian, tmp_path):
    folder = packages.fetch(debian)
    assert folder == tmp_path / "data/train/test-sounds"
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["version"] == "1.0-1"
    assert manifest["licence"] == "CC-BY-SA-3.0"
    assert sorted(set(manifest["groups"].values())) == ["Ann", "Bob"]
    assert not list(folder.rglob("*.txt"))
    assert sorted(path.name for path in folder.parent.iterdir()) == ["test-sounds"]  # no scratch is left
    stamp = (folder / MANIFEST).stat().st_mtime_ns
    assert packages.fetch(debian) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == stamp
    for root in (folder, folder.parent):  # one corpus, or the folder of all
        corpus = open_corpus(
            folder=str(root), sample_rate=RATE, num_channels=1, minutes=1, seed=0, cache=tmp_path, progress=False
        )
        assert {track.group for track in corpus.tracks} == {"Ann", "Bob"}
        assert {track.licence for track in corpus.tracks} == {"CC-BY-SA-3.0"}


@needs_dpkg
def test_fetch_leaves_out_what_is_listed(debian):
    folder = packages.fetch(debian._replace(left_out=("fr_CA_m_Bob",)))
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "en_US_f_Ann", "es_MX_f_Ann"]
    assert set(json.loads((folder / MANIFEST).read_text())["groups"].values()) == {"Ann"}


@pytest.mark.parametrize(
    ("name", "path", "group"),
    [
        ("fillets-ng-data-cs", "airplane/let-m-divna.ogg", "fillets small fish"),
        ("fillets-ng-data-nl", "airplane/let-m-divna.ogg", "Dutch fillets small fish"),
        ("klettres-data", "uk/alpha/a-1.ogg", "KDE uk"),
        ("ktuberling-data", "uk/cow.ogg", "KDE uk"),
        ("gcin-voice", "ㄊㄢ3/5.ogg", "gcin 5"),
        ("hedgewars-data", "Sounds/voices/British/Amazing.ogg", "hedgewars British"),
        ("hedgewars-data", "Sounds/voices/Classic/Drat.ogg", "hedgewars Default"),
        ("hedgewars-data", "Music/City.ogg", "hedgewars City"),
        ("hedgewars-data", "Sounds/explosion.ogg", "hedgewars effects"),
        ("sonic-pi-samples", "loop_amen.flac", "Sonic Pi loop"),
    ],
)
def test_groups_are_speakers_and_pieces(name, path, group):
    assert packages.package(name).group(path) == group


def test_fetch_deletes_no_folder_of_the_same_name(debian, tmp_path):
    mine = packages.corpus_folder(debian, tmp_path) / "mine.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"was not fetched .*move it away"):
        packages.fetch(debian, root=tmp_path)
    assert mine.read_bytes() == b"mine"


@needs_dpkg
def test_fetch_warns_of_a_moved_version_and_refuses_damage(debian):
    warnings = []
    packages.fetch(debian._replace(version="0.9-1", held_out=True), warn=warnings.append)
    assert len(warnings) == 1
    assert "1.0-1" in warnings[0]
    with pytest.raises(UserError, match="damaged"):
        packages.fetch(debian._replace(sha256="0" * 64))
    assert not packages.corpus_folder(debian).exists()


@needs_dpkg
def test_fetch_says_what_went_wrong(debian, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="cannot download nothing"):
        packages.fetch(debian._replace(name="nothing"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="needs apt-get"):
        packages.fetch(debian)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


@needs_dpkg
def test_command_line(debian, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["list"])
    assert "test-sounds" in capsys.readouterr().out
    main(["fetch", "train"])
    folder = packages.corpus_folder(debian)
    assert str(folder) in capsys.readouterr().out
    main(["stats", str(folder)])
    shown = capsys.readouterr().out
    assert "16000 Hz 0.1 min" in shown
    assert "CC-BY-SA-3.0" in shown
    with pytest.raises(UserError, match="no corpus 'other': use one of test-sounds"):
        commands.fetch_corpora(["other"], Console(file=io.StringIO()))


def test_command_line_errors_are_short():
    result = subprocess.run(
        [sys.executable, "-m", "dafxvae.data", "stats", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "no such folder of audio: /nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_stats(tmp_path):
    for number in range(4):
        write_audio(tmp_path / f"{number}.wav", tone(3.0, channels=2, hz=2000.0 + number), 48000)
    write_audio(tmp_path / "low.wav", tone(6.0, hz=500.0, rate=8000), 8000)
    write_audio(tmp_path / "silent.wav", np.zeros((RATE, 1), np.float32), RATE)
    stats = folder_stats(tmp_path)
    assert stats.files == 6
    assert stats.minutes_by_rate.keys() == {8000, RATE, 48000}
    assert stats.minutes_by_rate[8000] == pytest.approx(0.1)
    assert stats.stereo_share == pytest.approx(0.8)
    assert 5000 < stats.bandwidth_hz < 7000  # 2 kHz written for 16 kHz and played at 48 is 6 kHz
    assert stats.rms_db[1] == pytest.approx(20 * np.log10(0.25 / np.sqrt(2)), abs=0.3)
    assert [item.path for item in stats.skipped] == ["silent.wav"]


def test_g722_speech(tmp_path):
    """The telephone prompts: a tone encoded and decoded again keeps its pitch and level."""
    codec = pytest.importorskip("G722")
    pcm = (tone(6.0)[:, 0] * 32767).astype(np.int16)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.g722").write_bytes(codec.G722(RATE, 64000).encode(pcm))
    corpus = open_corpus(
        folder=str(folder), sample_rate=RATE, num_channels=1, minutes=1, seed=0, cache=tmp_path, progress=False
    )
    assert corpus.minutes == pytest.approx(0.1, rel=0.01)
    assert corpus.tracks[0].rms_db == pytest.approx(20 * np.log10(0.25 / np.sqrt(2)), abs=0.5)
