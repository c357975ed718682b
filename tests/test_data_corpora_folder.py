import json
import os
import shutil

import numpy as np
import pytest

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import Corpus, PcmCache, Track, open_corpus
from dafxvae.data.corpora.index import INDEX
from dafxvae.data.corpora.statistics import folder_stats
from dafxvae.data.corpora.tracks import assign_splits

RATE = 16000


def tone(seconds, rate, channels=1, hz=300.0, gain=0.3):
    t = np.arange(round(seconds * rate)) / rate
    return np.repeat((gain * np.sin(2 * np.pi * hz * t))[:, None], channels, axis=1).astype(np.float32)


def opened(folder, cache, **changes):
    arguments = {"sample_rate": RATE, "num_channels": 1, "minutes": 1.0, "seed": 0, "progress": False}
    return open_corpus(folder=str(folder), cache=cache, **(arguments | changes))


@pytest.fixture
def folder(tmp_path):
    """Every format, several rates, mono and stereo, and one of each kind of broken file."""
    root = tmp_path / "audio"
    for number, (suffix, rate) in enumerate(
        [("wav", 44100), ("flac", 48000), ("ogg", 22050), ("mp3", 44100), ("aiff", 8000), ("opus", 48000)]
    ):
        write_audio(root / f"song{number}" / f"take.{suffix}", tone(16.0, rate, 1 + number % 2), rate)
    bad = root / "bad"
    bad.mkdir()
    (bad / "empty.wav").touch()
    (bad / "text.flac").write_text("this is not audio")
    write_audio(bad / "silent.wav", np.zeros((RATE, 1), np.float32), RATE)
    nan = tone(1.0, RATE)
    nan[100] = np.nan
    write_audio(bad / "nan.wav", nan, RATE)
    write_audio(bad / "none.wav", np.zeros((0, 1), np.float32), RATE)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE * 2, 1)).astype(np.float32)
    write_audio(bad / "cut.flac", noise, RATE)
    whole = (bad / "cut.flac").read_bytes()
    (bad / "cut.flac").write_bytes(whole[: len(whole) // 3])
    write_audio(bad / "lie.flac", tone(1.0, RATE), RATE)
    (bad / "lie.flac").rename(bad / "lie.mp3")
    (root / "notes.txt").write_text("no audio")
    return root


def test_mixed_folder(folder, tmp_path):
    corpus = opened(folder, tmp_path / "cache")
    assert len(corpus.tracks) == 6
    assert len({track.group for track in corpus.tracks}) == 6
    for track in corpus.tracks:
        audio, rate = read_audio(track.path)
        assert rate == RATE
        assert audio.shape == (track.frames, 1)
        assert abs(track.frames / RATE - 16.0) < 0.2
        assert abs(np.sqrt(np.mean(audio[RATE : 8 * RATE] ** 2)) - 0.3 / np.sqrt(2)) < 0.01  # level kept
    reasons = {item.path: item.reason for item in corpus.skipped}
    expected = {"empty.wav": "0 bytes", "text.flac": "cannot read", "silent.wav": "silent", "nan.wav": "NaN",
                "none.wav": "no samples", "lie.mp3": "mislabelled"}  # fmt: skip
    for name, reason in expected.items():
        assert reason in reasons[f"bad/{name}"]
    assert "cannot read" in reasons["bad/cut.flac"]
    assert len(reasons) == len(expected) + 1


def test_channels_that_cancel_are_used_and_what_is_silent_once_mixed_is_left_out(tmp_path):
    one = tone(16.0, RATE)
    write_audio(tmp_path / "a" / "inverted.wav", np.concatenate([one, -one], axis=1), RATE)
    write_audio(tmp_path / "a" / "third.wav", np.concatenate([0.0 * one, 0.0 * one, one], axis=1), RATE)
    write_audio(
        tmp_path / "a" / "ultrasound.wav", tone(16.0, 96000, hz=30000.0) * np.hanning(16 * 96000)[:, None], 96000
    )
    mono, stereo = (opened(tmp_path / "a", tmp_path / "c", num_channels=channels) for channels in (1, 2))
    assert [track.name for track in mono.tracks] == ["inverted.wav", "third.wav"]
    assert [track.name for track in stereo.tracks] == ["inverted.wav"]
    assert mono.tracks[0].rms_db == pytest.approx(-13.5, abs=0.1)
    reason = "silent in 2 channels at 16000 Hz"
    assert [*stereo.skipped] == [("third.wav", reason), ("ultrasound.wav", reason)]


def test_links_and_copies_count_once(tmp_path):
    """Whatever leads to a recording: else its copies lie in training and in the test at once."""
    root = tmp_path / "a"
    for i in range(3):
        write_audio(root / f"{i}.wav", tone(16.0, RATE, hz=200.0 + i), RATE)
    (root / "0 again").symlink_to(".")
    (root / "0.flac").symlink_to("0.wav")
    (root / "gone.wav").symlink_to("nowhere.wav")
    (root / "loop.wav").symlink_to("loop.wav")
    shutil.copy(root / "1.wav", root / "copy of 1.wav")
    write_audio(root / "lossless.flac", read_audio(root / "2.wav")[0], RATE)
    outside = tmp_path / "outside"
    write_audio(outside / "3.wav", tone(16.0, RATE, hz=500.0), RATE)
    (root / "linked").symlink_to(outside)
    for _ in range(2):  # the second time from the index
        corpus = opened(root, tmp_path / "c")
        names = [name for split in ("train", "valid", "test") for name in corpus.split(split).tracks]
        assert sorted(track.name for track in names) == ["0.wav", "1.wav", "2.wav", "linked/3.wav"]
        reasons = dict(corpus.skipped)
        assert reasons.pop("0.flac") == "the same content as 0.wav"
        assert reasons.pop("copy of 1.wav") == "the same content as 1.wav"
        assert reasons.pop("lossless.flac") == "the same samples as 2.wav"
        assert all("no such audio file" in reason for reason in reasons.values())
        assert sorted(reasons) == ["gone.wav", "loop.wav"]
    assert folder_stats(root).files == 5


def test_names_of_any_bytes_are_used_and_what_must_be_converted_is_listed(tmp_path):
    write_audio(tmp_path / "a" / os.fsdecode(b"caf\xe9.wav"), tone(16.0, RATE), RATE)
    (tmp_path / "a" / "b.m4a").write_bytes(b"no format of libsndfile")
    for _ in range(2):
        corpus = opened(tmp_path / "a", tmp_path / "c")
        assert [os.fsencode(track.name) for track in corpus.tracks] == [b"caf\xe9.wav"]
        assert "ffmpeg -i b.m4a" in dict(corpus.skipped)["b.m4a"]
        assert len(corpus.split("train").tracks) == 1


def test_stereo_and_other_rates_are_other_caches(folder, tmp_path):
    mono, stereo = opened(folder, tmp_path / "c"), opened(folder, tmp_path / "c", num_channels=2, sample_rate=24000)
    assert stereo.num_channels == 2
    assert PcmCache().read(stereo.tracks[0], 0, 10).shape == (10, 2)
    assert mono.tracks[0].path != stereo.tracks[0].path


def test_rerun_does_only_what_is_missing(folder, tmp_path):
    first = opened(folder, tmp_path / "cache")
    stamps = {track.path: track.path.stat().st_mtime_ns for track in first.tracks}
    assert opened(folder, tmp_path / "cache") == first
    write_audio(folder / "song9" / "new.wav", tone(20.0, RATE), RATE)
    second = opened(folder, tmp_path / "cache")
    assert len(second.tracks) == 7
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    shutil.rmtree(folder / "song9")
    assert opened(folder, tmp_path / "cache") == first


def test_index_cut_short_by_a_kill(folder, tmp_path):
    first = opened(folder, tmp_path / "cache")
    index = first.tracks[0].path.parent / INDEX
    whole = index.read_bytes()
    index.write_bytes(whole[:-40])  # half a line at the end
    assert opened(folder, tmp_path / "cache") == first
    lines = index.read_text().splitlines()
    assert json.loads(lines[-1])["kind"] == "unit"


def test_changed_file_is_prepared_again(folder, tmp_path):
    first = opened(folder, tmp_path / "cache")
    write_audio(folder / "song0" / "take.wav", tone(18.0, 44100, hz=500.0), 44100)
    second = opened(folder, tmp_path / "cache")
    assert second.tracks[0].name == first.tracks[0].name
    assert second.tracks[0].sha256 != first.tracks[0].sha256


def test_short_files_of_one_folder_are_joined_and_long_ones_cut(tmp_path):
    root = tmp_path / "speech"
    for place, speaker in enumerate(("ann", "bob", "eve")):
        for number in range(25):
            write_audio(root / speaker / f"{number:02d}.wav", tone(4.0, RATE, hz=300.0 + 25 * place + number), RATE)
    write_audio(root / "zoe" / "long.wav", tone(700.0, 8000, hz=300.001), 8000)
    corpus = opened(root, tmp_path / "cache", sample_rate=8000)
    spoken = [track for track in corpus.tracks if track.group != "zoe"]
    assert all(track.frames <= 60 * 8000 for track in spoken)
    assert sum(len(track.sources) for track in spoken) == 75
    assert all(len({source.split("/")[0] for source in track.sources}) == 1 for track in spoken)
    long = [track for track in corpus.tracks if track.group == "zoe"]
    assert [track.name for track in long] == ["zoe/long.wav", "zoe/long.wav@300s", "zoe/long.wav@600s"]
    assert sum(track.frames for track in long) == 700 * 8000


def test_short_files_beside_each_other_are_joined_by_what_their_names_begin_with(tmp_path):
    """A folder of speech as people have it: many short files, two speakers by name, a few words, and one long take."""
    root = tmp_path / "audio"
    root.mkdir()
    names = [f"{who}_{number:03}" for who in ("anna", "ben") for number in range(3)] + ["hello", "world", "take2"]
    for place, name in enumerate(names):
        write_audio(root / f"{name}.wav", tone(1.0, 16000, hz=200.0 + 50.0 * place), 16000)
    write_audio(root / "anna_long.wav", tone(16.0, 16000, hz=90.0), 16000)
    write_audio(root / "a loop.wav", tone(7.0, 16000, hz=91.0), 16000)
    tracks = opened(root, tmp_path / "cache", sample_rate=16000).tracks
    found = {track.group: (len(track.sources), track.frames / 16000) for track in tracks}
    assert found == {
        "anna": (3, 3.0),
        "ben": (3, 3.0),
        ".": (3, 3.0),  # what is alone, of one folder
        "anna_long.wav": (1, 16.0),
        "a loop.wav": (1, 7.0),
    }


@pytest.mark.parametrize("text", ["[]", '{"groups": ["a"]}', '{"name": 3}', "{"])
def test_a_corpus_json_that_is_none_is_named(tmp_path, text):
    write_audio(tmp_path / "audio" / "a.wav", tone(1.0, 16000), 16000)
    (tmp_path / "audio" / "corpus.json").write_text(text)
    with pytest.raises(UserError, match=r"corpus\.json"):
        opened(tmp_path / "audio", tmp_path / "cache")


def test_nothing_usable_says_so(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        opened(tmp_path / "nowhere", tmp_path / "cache")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "readme.txt").touch()
    with pytest.raises(UserError, match=r"looked there and below for .*\.flac.* found 1 other") as error:
        opened(empty, tmp_path / "cache")
    assert str(empty) in str(error.value)
    write_audio(empty / "silence.wav", np.zeros((RATE, 1), np.float32), RATE)
    with pytest.raises(UserError, match=r"nothing usable .*silence\.wav: silent"):
        opened(empty, tmp_path / "cache")


def fake_track(tmp_path, name, group, frames=1000, split=""):
    return Track(name, tmp_path / "x.flac", 0, frames, group, -20.0, "0", (name,), official_split=split)


@pytest.mark.parametrize("count", [3, 4, 7, 30, 500])
def test_every_split_has_a_group_and_none_shares_one(tmp_path, count):
    tracks = tuple(fake_track(tmp_path, f"{g}-{k}", f"group{g}") for g in range(count) for k in range(2))
    corpus = Corpus("x", RATE, 1, tracks)
    groups = [{track.group for track in corpus.split(name).tracks} for name in ("train", "valid", "test")]
    assert all(groups)
    assert sum(len(group) for group in groups) == count == len(set.union(*groups))
    if count >= 30:
        assert len(groups[0]) > 0.6 * count


def test_splits_hold_when_groups_are_added():
    few, more = (assign_splits([f"g{k}" for k in range(count)]) for count in (100, 200))
    assert all(more[group] == split for group, split in few.items())


def test_too_few_groups_fall_back_to_tracks_then_to_time(tmp_path):
    tracks = tuple(fake_track(tmp_path, f"take{k}", "one song") for k in range(5))
    by_track = Corpus("x", RATE, 1, tracks)
    assert by_track.split_by == "track"
    assert sum(len(by_track.split(name).tracks) for name in ("train", "valid", "test")) == 5
    by_time = Corpus("x", RATE, 1, tracks[:1])
    assert by_time.split_by == "time"
    parts = [by_time.split(name).tracks[0] for name in ("train", "valid", "test")]
    assert [(part.start, part.frames) for part in parts] == [(0, 800), (800, 100), (900, 100)]


def test_official_splits_are_kept(tmp_path):
    tracks = tuple(fake_track(tmp_path, f"t{k}", f"g{k}", split="test" if k < 3 else "train") for k in range(20))
    corpus = Corpus("x", RATE, 1, tracks)
    assert {track.name for track in corpus.split("test").tracks} == {"t0", "t1", "t2"}
    assert len(corpus.split("valid").tracks) == 2
    assert len(corpus.split("train").tracks) == 15
    with pytest.raises(UserError, match="no split 'dev'"):
        corpus.split("dev")


def test_cache_of_samples_is_bounded(folder, tmp_path):
    corpus = opened(folder, tmp_path / "cache")
    cache = PcmCache(max_bytes=2 * 2 * 16 * RATE + 1000)
    for _ in range(3):
        for track in corpus.tracks:
            np.testing.assert_array_equal(
                cache.read(track, 500, 100)[:, 0], (read_audio(track.path)[0][500:600, 0] * 32768).astype(np.int16)
            )
    assert cache.num_bytes <= 2 * 2 * 16 * RATE + 1000
