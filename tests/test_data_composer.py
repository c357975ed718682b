# pyright: reportArgumentType=false
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dafxvae.core.errors import UserError
from dafxvae.data.composer import music
from dafxvae.data.composer.embedded import plan_pieces
from dafxvae.data.composer.parts import Note
from dafxvae.data.composer.phrases import Part, compose, sketch_piece
from dafxvae.data.composer.pieces import pcm_rms_db, render_piece, synthesise
from dafxvae.data.corpora.corpus import open_corpus

RATE = 16000


def test_pieces_are_varied():
    sketches = [sketch_piece(0, index) for index in range(120)]
    assert {s.arrangement for s in sketches} == {"solo", "duo", "band"}
    assert sum(s.arrangement == "solo" for s in sketches) == 60
    assert {s.mode for s in sketches} == set(music.SCALES)
    assert {s.meter for s in sketches} == set(music.METERS)
    assert len({s.tonic for s in sketches}) == 12
    assert all(18.0 <= s.length_sec <= 32.0 for s in sketches)
    played = {instrument for s in sketches for _, instrument in s.instruments}
    assert played == {*music.VOICES, "drums"}


@pytest.mark.parametrize("index", range(24))
def test_notes_are_playable_and_in_time(index):
    sketch = sketch_piece(3, index)
    parts = compose(sketch)
    assert parts == compose(sketch)
    assert len(parts) == len(sketch.instruments)
    for part in parts:
        assert part.notes
        for note in part.notes:
            assert 1 <= note.velocity <= 127
            assert 0.0 <= note.start_sec < note.end_sec
            assert note.start_sec < sketch.bars * sketch.bar_sec + 0.2
        if part.instrument != "drums":
            voice = music.VOICES[part.instrument]
            assert all(voice.low - 12 <= note.pitch <= voice.high + 12 for note in part.notes)


def test_melodic_parts_keep_to_the_scale():
    for index in range(40):
        sketch = sketch_piece(1, index)
        scale = {(sketch.tonic + step) % 12 for step in music.SCALES[sketch.mode]}
        for (role, _), part in zip(sketch.instruments, compose(sketch)):
            if role in ("lead", "chords", "pad"):
                assert {note.pitch % 12 for note in part.notes} <= scale


def test_the_grooves_are_whole_bars():
    for meter, grooves in music.GROOVES.items():
        steps = {len(line) for groove in grooves for line in groove.values()}
        assert steps == {16 if meter == "4/4" else 12}


def test_notes_end_dry():
    """The synthesiser's reverb and chorus are off: an organ note is gone a quarter of a second after its end."""
    notes = (Note(64, 110, 0.0, 1.0), Note(64, 110, 3.0, 3.5))
    audio = synthesise((Part("organ", 64, 120, notes),), RATE)
    assert np.abs(audio[RATE // 2 : RATE]).max() > 0.02
    assert np.abs(audio[round(1.3 * RATE) : round(2.9 * RATE)]).max() == 0.0


def test_same_bits_every_time_and_level_not_normalised():
    first = render_piece(0, 2, RATE, 1)
    np.testing.assert_array_equal(first, render_piece(0, 2, RATE, 1))
    assert first.dtype == np.int16
    levels = []
    for index in range(10):
        pcm = render_piece(0, index, RATE, 2)
        assert pcm.shape == (round(sketch_piece(0, index).length_sec * RATE), 2)
        assert np.abs(pcm.astype(np.int32)).max() < 32767
        levels.append(pcm_rms_db(pcm))
        assert levels[-1] <= sketch_piece(0, index).loudness_db + 0.1
    assert max(levels) - min(levels) > 6.0
    assert min(levels) > -36.0
    assert max(levels) < -11.0


def test_other_seeds_are_other_music():
    assert sketch_piece(0, 1) != sketch_piece(1, 1)


def test_corpus_is_kept_and_grows(tmp_path):
    arguments = {
        "folder": None,
        "sample_rate": RATE,
        "num_channels": 1,
        "seed": 5,
        "cache": tmp_path,
        "progress": False,
    }
    small = open_corpus(minutes=1.0, **arguments)
    assert 1.0 <= small.minutes < 1.6
    stamps = {track.path: track.path.stat().st_mtime_ns for track in small.tracks}
    large = open_corpus(minutes=1.5, **arguments)
    assert large.tracks[: len(small.tracks)] == small.tracks
    assert len(large.tracks) > len(small.tracks)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert open_corpus(minutes=1.5, **arguments) == large
    large.tracks[0].path.unlink()  # a lost file is made again, with the same bits
    again = open_corpus(minutes=1.5, **arguments)
    assert again == large
    assert again.tracks[0].path.is_file()


def test_sixty_minutes_can_be_planned():
    pieces = plan_pieces(0, 60.0)
    assert sum(sketch_piece(0, index).length_sec for index in pieces) >= 3600.0
    assert plan_pieces(0, 10.0) == pieces[: len(plan_pieces(0, 10.0))]


def test_two_openings_at_once(tmp_path):
    arguments = {"folder": None, "sample_rate": RATE, "num_channels": 1, "minutes": 0.7, "seed": 2}
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(open_corpus, cache=tmp_path, progress=False, **arguments) for _ in range(2)]
        first, second = (future.result() for future in both)
    assert first == second
    folder = first.tracks[0].path.parent
    assert sorted(path.name for path in folder.glob("*.flac")) == sorted(track.path.name for track in first.tracks)
    assert not list(folder.glob("*.part"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_while_rendering_in_workers_goes_on(tmp_path):
    """kill -9 at a random moment; the worker processes end by themselves and the next call does the rest."""
    script = (
        "from pathlib import Path; from dafxvae.data.corpora.corpus import open_corpus; open_corpus(folder=None,"
        f"sample_rate=8000, num_channels=1, minutes=6, seed=0, cache=Path({str(tmp_path)!r}), progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.flac")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(tmp_path.rglob("*.flac")))
    assert done > 0
    corpus = open_corpus(
        folder=None, sample_rate=8000, num_channels=1, minutes=6, seed=0, cache=tmp_path, progress=False
    )
    assert corpus.minutes >= 6
    assert all(track.path.is_file() for track in corpus.tracks)
    np.testing.assert_array_equal(corpus.tracks[-1].frames, len(render_piece(0, len(corpus.tracks) - 1, 8000, 1)))


def test_bad_arguments_are_refused(tmp_path):
    good = {"folder": None, "sample_rate": RATE, "num_channels": 1, "minutes": 1.0, "seed": 0, "cache": tmp_path}
    for change, message in (
        ({"minutes": 0.0}, "minutes"),
        ({"num_channels": 3}, "1 or 2"),
        ({"sample_rate": 10}, "10"),
    ):
        with pytest.raises(UserError, match=message):
            open_corpus(**(good | change))
