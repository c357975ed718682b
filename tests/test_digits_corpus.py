"""Spoken digits: both synthesisers, FSDD's layout, splits by speaker, batches that a resumed run finds again."""

import json
import os

import numpy as np
import pytest

from dafxvae.audio.io import write_audio
from dafxvae.core.errors import UserError
from dafxvae.digits import corpus as module
from dafxvae.digits import espeak, formants, synthesiser
from dafxvae.digits.corpus import fixed_batches, load_digits, open_digits, train_batches, trim
from dafxvae.digits.synthesiser import FORMANTS, choose_synthesiser

HAVE_ESPEAK = espeak.espeak_installed()
ARGUMENTS = {"sample_rate": 8000, "clip_samples": 8128, "num_takes": 1, "seed": 0, "progress": False}


def make(cache, synthesiser="formants", num_speakers=4, folder="", **changes):
    arguments = ARGUMENTS | {"synthesiser": synthesiser, "num_speakers": num_speakers, "cache": cache}
    return open_digits(folder, **(arguments | changes))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return cache, make(cache)


@pytest.mark.parametrize(
    "synthesiser",
    ["formants", pytest.param("espeak", marks=pytest.mark.skipif(not HAVE_ESPEAK, reason="espeak-ng not on PATH"))],
)
def test_ten_words_by_every_speaker(tmp_path, synthesiser):
    made = make(tmp_path, synthesiser, num_speakers=3)
    assert made.pcm.shape == (30, 8128)
    assert sorted(made.digit.tolist()) == sorted(list(range(10)) * 3)
    assert {"espeak": "espeak-ng", "formants": "formant"}[synthesiser] in made.source
    assert not made.skipped
    assert set(np.abs(made.pcm.astype(int)).max(1)) <= {16383, 16384}
    lengths = [np.ptp(np.flatnonzero(clip)) / 8000 for clip in made.pcm]
    assert 0.1 < min(lengths) < max(lengths) < 1.0
    (folder,) = tmp_path.iterdir()
    manifest = json.loads((folder / module.MANIFEST).read_text())
    assert manifest["synthesiser"] == synthesiser
    assert len(manifest["speakers"]) == 3
    assert len(list(folder.glob("[0-9]_*_[0-9].wav"))) == 30


def test_digits_of_the_formant_synthesiser_are_told_apart_and_reproducible():
    voice, other = formants.formant_speakers(2, seed=0)
    words = [formants.say_with_formants(digit, voice, 0, 0, 8000) for digit in range(10)]
    np.testing.assert_array_equal(words[3], formants.say_with_formants(3, voice, 0, 0, 8000))
    assert len({len(word) for word in words}) > 5
    assert not np.array_equal(words[3][:1000], formants.say_with_formants(3, voice, 1, 0, 8000)[:1000])
    assert formants.formant_speakers(5, seed=0)[:2] == [voice, other]
    six = np.abs(np.fft.rfft(words[6][:, 0], 8000))
    one = np.abs(np.fft.rfft(words[1][:, 0], 8000))
    assert six[3000:].sum() / six.sum() > 2.0 * one[3000:].sum() / one.sum()  # the friction of s


def test_what_was_spoken_once_is_kept(spoken, monkeypatch):
    cache, made = spoken
    spoiled = FORMANTS._replace(say=lambda *arguments: pytest.fail("spoken again"))
    monkeypatch.setattr(synthesiser, "FORMANTS", spoiled)
    np.testing.assert_array_equal(make(cache).pcm, made.pcm)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*arguments):
        raise UserError("no voice")

    monkeypatch.setattr(synthesiser, "FORMANTS", FORMANTS._replace(say=fail))
    with pytest.raises(UserError, match="no voice"):
        make(tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_speaker_is_on_two_sides(spoken):
    _, made = spoken
    parts = {name: set(made.split(name).speaker.tolist()) for name in ("train", "valid", "test")}
    assert all(parts.values())
    assert sum(len(part) for part in parts.values()) == len(set.union(*parts.values())) == 4


def test_the_users_folder_in_any_depth_and_rate(spoken, tmp_path):
    rng = np.random.default_rng(0)
    for speaker in ("ann", "bob", "eve"):
        for digit in range(10):
            word = np.pad(rng.standard_normal((6000, 1)).astype(np.float32) * 0.1, ((5000, 5000), (0, 0)))
            write_audio(tmp_path / "deep" / speaker / f"{digit}_{speaker}_0.wav", word, 16000)
    write_audio(tmp_path / "notes.wav", np.ones((100, 1), np.float32), 16000)
    write_audio(tmp_path / "7_ann_1.wav", rng.standard_normal((40000, 1)).astype(np.float32) * 0.1, 16000)
    write_audio(tmp_path / "8_ann_1.wav", np.zeros((4000, 1), np.float32), 16000)
    loaded = load_digits(tmp_path, "a folder", 8000, 8128)
    assert loaded.pcm.shape == (30, 8128)
    assert set(loaded.speaker.tolist()) == {"ann", "bob", "eve"}
    np.testing.assert_allclose([np.ptp(np.flatnonzero(clip)) for clip in loaded.pcm], 3000, atol=100)
    reasons = {item.path: item.reason for item in loaded.skipped}
    assert reasons.keys() == {"notes.wav", "7_ann_1.wav", "8_ann_1.wav"}
    assert "2.50 s" in reasons["7_ann_1.wav"]
    assert "silent" in reasons["8_ann_1.wav"]


def test_bad_input_says_what_to_do(tmp_path, monkeypatch):
    write_audio(tmp_path / "songs" / "song.wav", np.ones((4000, 1), np.float32) * 0.1, 8000)
    with pytest.raises(UserError, match="DIGIT_SPEAKER_INDEX"):
        make(tmp_path, folder=str(tmp_path / "songs"))
    write_audio(tmp_path / "alone" / "1_ann_0.wav", np.ones((4000, 1), np.float32) * 0.1, 8000)
    with pytest.raises(UserError, match="1 speakers"):
        make(tmp_path, folder=str(tmp_path / "alone"))
    with pytest.raises(UserError, match="no such folder"):
        make(tmp_path, folder=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="num_speakers"):
        make(tmp_path, num_speakers=2)
    with pytest.raises(UserError, match="festival"):
        choose_synthesiser("festival")
    monkeypatch.setitem(os.environ, "PATH", "")
    assert choose_synthesiser("") is FORMANTS
    with pytest.raises(UserError, match="not on PATH"):
        choose_synthesiser("espeak")


@pytest.mark.skipif(not HAVE_ESPEAK, reason="espeak-ng not on PATH")
def test_espeak_speakers_share_no_voice():
    people = espeak.espeak_speakers(60, seed=0)
    assert len({person.voice.split("+")[1] for person in people}) == 60
    assert not any("_" in person.name for person in people)
    with pytest.raises(UserError, match="500"):
        espeak.espeak_speakers(500, seed=0)


def test_batches_are_functions_of_their_step(spoken):
    _, made = spoken

    def batches(start, count):
        return [
            batch
            for batch, _ in zip(train_batches(made, batch_size=3, max_shift=50, seed=1, start=start), range(count))
        ]

    first, later = batches(0, 4), batches(2, 2)
    for ours, theirs in zip(first[2:], later):
        for left, right in zip(ours, theirs):
            np.testing.assert_array_equal(left, right)
    assert first[0].audio.shape == (3, 8128, 1)
    np.testing.assert_array_equal(first[1].item, [3, 4, 5])


def test_fixed_batches_hold_every_clip_once(spoken):
    _, made = spoken
    batches = fixed_batches(made, 16)
    valid = np.concatenate([batch.valid for batch in batches]) > 0
    audio = np.concatenate([batch.audio for batch in batches])[valid]
    np.testing.assert_array_equal(audio[..., 0], made.pcm.astype(np.float32) / 32768.0)
    assert {len(batch.item) for batch in batches} == {16}


def test_silence_at_the_ends_is_trimmed():
    word = np.sin(np.arange(800) * 0.5)
    trimmed = trim(np.concatenate([np.zeros(800), word, np.zeros(400)]), 8000)
    np.testing.assert_array_equal(trimmed, word)
