"""Files whose headers estimate, leave out or hide how much they hold."""

import struct

import numpy as np
import pytest
import soundfile
from transfer_toys import RATE, flac_of_unknown_length, music

from dafxvae.audio.formats import set_tags
from dafxvae.audio.io import AudioReader, audio_info, read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import open_corpus
from dafxvae.effects.__main__ import main as effects
from dafxvae.transfer.__main__ import main as transfer

SECONDS = 16.0


@pytest.fixture(scope="module")
def audio():
    sound = music(SECONDS)
    sound[: len(sound) // 2] *= 0.001  # a quiet half: a variable bitrate begins low, and an estimate by it is wrong
    return sound


def mp3(path, audio, mode, with_count):
    """An MP3 file, if wanted without the first frame, which counts the others."""
    with soundfile.SoundFile(path, "w", RATE, audio.shape[1], format="MP3", bitrate_mode=mode) as file:
        file.write(audio)
    if not with_count:
        data = path.read_bytes()
        path.write_bytes(data[data.index(data[:2], 4) :])
    return path


def assert_whole(path, audio, delay):
    """The header says what is decoded, and any part is that part of the whole, which is the recording."""
    whole, _ = read_audio(path)
    assert audio_info(path).frames == len(whole)
    assert 0 <= len(whole) - len(audio) < 4000
    end = slice(len(audio) - RATE, len(audio))
    heard = whole[delay:][end]
    assert np.corrcoef(heard[:, 0], audio[end][: len(heard), 0])[0, 1] > 0.9
    with AudioReader(path) as reader:
        later = reader.read(len(audio) - 5000, 3000)
        np.testing.assert_array_equal(later, whole[len(audio) - 5000 : len(audio) - 2000])
        np.testing.assert_array_equal(reader.read(0, 3000), whole[:3000])


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("with_count", [True, False])
def test_an_mp3_is_whole_with_and_without_a_count_of_its_frames(tmp_path, audio, mode, with_count):
    assert_whole(mp3(tmp_path / "a.mp3", audio, mode, with_count), audio, 0 if with_count else 576)


def test_two_mp3s_in_one_file_are_one_recording(tmp_path, audio):
    whole = mp3(tmp_path / "a.mp3", audio, "VARIABLE", True).read_bytes()
    (tmp_path / "b.mp3").write_bytes(whole + whole)
    assert audio_info(tmp_path / "b.mp3").frames > 2 * len(audio)


def test_a_count_is_found_behind_tags(tmp_path, audio):
    """ID3v2, whose picture may look like frames, and what some programs put behind the audio."""
    data = mp3(tmp_path / "a.mp3", audio, "VARIABLE", False).read_bytes()
    picture = data[:3000]
    size = bytes(len(picture) >> shift & 0x7F for shift in (21, 14, 7, 0))
    (tmp_path / "tagged.mp3").write_bytes(b"ID3\4\0\0" + size + picture + data + b"TAG" + bytes(125))
    assert_whole(tmp_path / "tagged.mp3", audio, 576)


def test_a_flac_of_unknown_length_is_whole(tmp_path, audio):
    path = flac_of_unknown_length(tmp_path / "a.flac", audio)
    assert audio_info(path).frames == len(audio)
    assert_whole(path, audio, 0)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_a_second_stream_is_not_lost_without_a_word(tmp_path, audio, suffix):
    path = tmp_path / f"a.{suffix}"
    write_audio(path, audio[:RATE], 48000)
    whole = path.read_bytes()
    path.write_bytes(whole + whole)
    with pytest.raises(UserError, match=f"second recording from byte {len(whole)} on"):
        read_audio(path)


def test_a_folder_of_them_is_used_whole(tmp_path, audio):
    folder = tmp_path / "folder"
    folder.mkdir()
    flac_of_unknown_length(folder / "a.flac", audio)
    mp3(folder / "b.mp3", audio, "VARIABLE", False)
    mp3(folder / "c.mp3", audio[: RATE * 15], "CONSTANT", False)
    corpus = open_corpus(
        folder=str(folder), sample_rate=RATE, num_channels=1, minutes=1, seed=0, cache=tmp_path, progress=False
    )
    assert [round(track.frames / RATE) for track in corpus.tracks] == [16, 16, 15]
    assert corpus.skipped == ()


def cut(path, sound, **form):
    """The first half of a file's bytes, which is longer than its tags."""
    with soundfile.SoundFile(path, "w", 48000, sound.shape[1], **form) as file:
        set_tags(file, {"title": "a title " * 300})  # libsndfile's own log of headers has an end
        file.write(sound)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


CUT = (
    "cut.wav",
    "float.wav",
    "large.wav",
    "cut.aiff",
    "cut.w64",
    "cut.au",
    "cut.flac",
    "cut.ogg",
    "cut.opus",
    "cut.mp3",
)
FORMS = {
    "float.wav": {"subtype": "FLOAT"},
    "large.wav": {"format": "RF64", "subtype": "PCM_16"},
    "cut.opus": {"format": "OGG", "subtype": "OPUS"},
}


@pytest.mark.parametrize("name", CUT)
def test_no_command_takes_half_a_file_for_a_whole_one(tmp_path, audio, name):
    path, out = cut(tmp_path / name, audio, **FORMS.get(name, {})), str(tmp_path / "out.wav")
    for use in (
        lambda: read_audio(path),
        lambda: effects(["render", str(path), out, "Gain"]),
        lambda: transfer([str(path), str(path), "--controller", "eq", "-o", out]),
    ):
        with pytest.raises(UserError, match=r"cut off|cannot read"):
            use()
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_folders_leave_half_files_out(tmp_path, audio):
    folder = tmp_path / "folder"
    folder.mkdir()
    write_audio(folder / "whole.flac", audio, RATE)
    halves = {name for name in CUT if not name.endswith(".au")}  # which folders do not look for
    for name in halves:
        cut(folder / name, audio, **FORMS.get(name, {}))
    corpus = open_corpus(
        folder=str(folder), sample_rate=RATE, num_channels=1, minutes=1, seed=0, cache=tmp_path, progress=False
    )
    assert {item.path for item in corpus.skipped} == halves
    assert all("cut off" in item.reason or "cannot read" in item.reason for item in corpus.skipped)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_size_that_a_pipe_did_not_know_promises_nothing(tmp_path, audio, size):
    write_audio(tmp_path / "whole.wav", audio, RATE, "PCM_16")
    data = bytearray((tmp_path / "whole.wav").read_bytes())
    at = data.index(b"data") + 4
    data[4:8], data[at : at + 4] = struct.pack("<I", size), struct.pack("<I", size)
    (tmp_path / "piped.wav").write_bytes(data)
    np.testing.assert_array_equal(read_audio(tmp_path / "piped.wav")[0], read_audio(tmp_path / "whole.wav")[0])


def test_what_follows_the_samples_may_be_cut_off(tmp_path, audio):
    write_audio(tmp_path / "a.wav", audio, RATE, "PCM_16")
    data = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 1000) + b"INFO"
    (tmp_path / "a.wav").write_bytes(data[:4] + struct.pack("<I", len(data) + 1000) + data[8:])
    assert len(read_audio(tmp_path / "a.wav")[0]) == len(audio)
