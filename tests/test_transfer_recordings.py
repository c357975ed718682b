"""What is read of a recording, and what is refused."""

import json

import numpy as np
import pytest
from transfer_toys import RATE, music

from dafxvae.core.errors import UserError
from dafxvae.transfer import windows
from dafxvae.transfer.document import FORMAT, KIND, read_document
from dafxvae.transfer.recordings import ArrayRecording, check_header, clipping_notes, played_loudness, scan


def source(audio, rate=RATE):
    return ArrayRecording(audio, rate, "it")


def test_settings_edited_by_hand_are_refused(tmp_path):
    path = tmp_path / "settings.json"
    exact = {"unit_params": [0.5], "factor": 1.0, "max_tail_sec": 10.0}
    right = {"kind": KIND, "format": FORMAT, "effect": "Gain", "settings": {}, "ceiling_db": -1.0}
    path.write_text(json.dumps(right | {"exact": exact}))
    assert read_document(path).ceiling_db == -1.0
    wrong = [{"factor": float("nan")}, {"factor": 0.0}, {"unit_params": [float("inf")]}, {"max_tail_sec": 1e9}]
    for content in (*({"exact": exact | one} for one in wrong), {"exact": exact, "ceiling_db": "loud"}):
        path.write_text(json.dumps(right | content))
        with pytest.raises(UserError, match="edited by hand"):
            read_document(path)


def test_a_scan_measures_peak_loudness_and_levels():
    tone = np.sin(2 * np.pi * 997 * np.arange(4 * RATE) / RATE).astype(np.float32)
    found = scan(source(0.1 * tone))
    assert found.peak == pytest.approx(0.1, abs=1e-4)
    assert found.loudness == pytest.approx(-20.0, abs=0.1)  # -23 LUFS, from two loudspeakers
    np.testing.assert_allclose(found.levels_db, -23.01, atol=0.05)
    assert len(found.levels_db) == 40
    assert not found.is_clipped


def test_mono_and_the_same_on_two_channels_are_equally_loud():
    mono = music(channels=1)
    both = np.repeat(mono, 2, axis=1)
    assert scan(source(mono)).loudness == pytest.approx(scan(source(both)).loudness, abs=1e-6)


def test_loudness_of_several_recordings_is_that_of_one_after_the_other():
    loud, soft = music(20.0, level=0.5), music(20.0, level=0.01)
    together = played_loudness([scan(source(loud)), scan(source(soft))])
    assert together == pytest.approx(scan(source(np.concatenate([loud, soft]))).loudness, abs=0.1)


def test_clipped_audio_is_noticed():
    clipped = source(np.clip(8 * music(), -1, 1))
    assert scan(clipped).is_clipped
    assert len(clipping_notes([clipped, clipped], [scan(clipped)] * 2)) == 1  # it may be input and reference


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((RATE, 2), np.float32), "silent"),
        (np.zeros((1, 1), np.float32), "holds 1 samples"),
        (np.zeros((0, 1), np.float32), "holds 0 samples"),
        (music(channels=1)[:9000], "at least 0.25 s"),
        (np.zeros((RATE, 6), np.float32), "6 channels"),
        (np.zeros((RATE, 1), np.int16), "int16"),
        (np.zeros((2, 2, 2), np.float32), "shape"),
    ],
)
def test_what_cannot_be_used_is_refused(audio, message):
    def use():
        recording = source(audio)
        check_header(recording)
        scan(recording)

    with pytest.raises(UserError, match=message):
        use()


def test_nan_is_refused_with_its_place():
    audio = music(8.0)
    audio[300000, 1] = np.nan
    with pytest.raises(UserError, match=r"sample 300000 \(6\.803 s\)"):
        scan(source(audio))


def test_windows_spread_over_what_is_not_silent():
    audio = music(60.0, rate=8000, channels=1)
    audio[8000 * 10 : 8000 * 30] = 0
    recording = source(audio, 8000)
    starts = np.array(windows.window_starts(scan(recording).levels_db, 60.0, 2.0))
    assert len(starts) <= windows.MAX_WINDOWS
    assert not ((starts > 10) & (starts < 28)).any()
    assert starts.min() < 2
    assert starts.max() == 58.0
    assert windows.read_windows(recording, scan(recording).levels_db, windows.WindowFormat(48000, 24000, 1)).shape == (
        len(starts),
        48000,
        1,
    )


def test_an_hour_costs_no_more_than_a_minute():
    levels = np.full(36000, -20.0)
    assert len(windows.window_starts(levels, 3600.0, 2.73)) == windows.MAX_WINDOWS


def test_a_short_recording_is_repeated():
    audio = music(0.5, rate=24000, channels=1)
    (window,) = windows.read_windows(
        source(audio, 24000), scan(source(audio, 24000)).levels_db, windows.WindowFormat(30000, 24000, 1)
    )
    np.testing.assert_array_equal(window[:12000], audio)
    np.testing.assert_array_equal(window[12000:24000], audio)


def test_the_excerpt_is_the_most_active_part():
    audio = np.concatenate([0.01 * music(20.0), music(6.0), 0.01 * music(9.0)])
    start, count = windows.excerpt(source(audio), scan(source(audio)))
    assert count == 6 * RATE
    assert abs(start / RATE - 20.0) < 0.2
