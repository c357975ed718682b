"""Files whose headers estimate, leave out or hide how much they hold."""

import numpy as np
import pytest
import soundfile
from transfer_toys import RATE, flac_of_unknown_length, music

from dafxvae.audio.io import AudioReader, audio_info, read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import open_corpus

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
