import os
import subprocess
import sys

import numpy as np
import pytest

from dafxvae.audio import formats, io
from dafxvae.core.errors import UserError

RATE = 24000


def tone(seconds=0.5, rate=RATE, channels=2, hz=440.0):
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * hz * (1 + c) * t) for c in range(channels)], axis=1).astype(np.float32)


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 0.0), ("flac", 2e-7), ("aiff", 2e-7)])
def test_lossless_round_trip(tmp_path, suffix, tolerance):
    audio = tone()
    io.write_audio(tmp_path / f"a.{suffix}", audio, RATE)
    back, rate = io.read_audio(tmp_path / f"a.{suffix}")
    assert rate == RATE
    assert back.dtype == np.float32
    assert back.shape == audio.shape
    assert np.abs(back - audio).max() <= tolerance


@pytest.mark.parametrize("suffix", ["ogg", "mp3", "opus"])
def test_lossy_round_trip_keeps_the_tone(tmp_path, suffix):
    audio = tone(1.0, channels=1)
    io.write_audio(tmp_path / f"a.{suffix}", audio, RATE)
    back, rate = io.read_audio(tmp_path / f"a.{suffix}", sample_rate=RATE)
    assert rate == RATE
    spectrum = np.abs(np.fft.rfft(back[: RATE // 2, 0]))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 2
    assert 0.3 < np.abs(back).max() < 0.7


def test_part_of_a_file_is_that_part(tmp_path):
    audio = tone()
    io.write_audio(tmp_path / "a.flac", audio, RATE)
    whole, _ = io.read_audio(tmp_path / "a.flac")
    part, _ = io.read_audio(tmp_path / "a.flac", start=1000, frames=500)
    np.testing.assert_array_equal(part, whole[1000:1500])
    beyond, _ = io.read_audio(tmp_path / "a.flac", start=len(whole) - 10, frames=500)
    assert beyond.shape == (10, 2)


def test_channels():
    audio = tone(channels=2)
    np.testing.assert_allclose(io.to_channels(audio, 1)[:, 0], audio.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(io.to_channels(audio[:, :1], 2), audio[:, [0, 0]])
    assert io.to_channels(np.zeros((4, 6), np.float32), 2).shape == (4, 2)
    opposite = np.concatenate([0.0 * audio[:, :1], audio[:, 1:], -audio[:, 1:]], axis=1)
    np.testing.assert_array_equal(io.to_channels(opposite, 1), audio[:, 1:])  # their mean is silence


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_resampling_keeps_level_and_length(rate):
    audio = tone(1.0)
    there = io.resample(audio, RATE, rate)
    assert there.shape == (rate, 2)
    assert abs(there[rate // 4 : -rate // 4, 0].std() - audio[:, 0].std()) < 1e-3


def test_decoding_from_memory_equals_the_file(tmp_path):
    io.write_audio(tmp_path / "a.wav", tone(), RATE)
    audio, rate = io.decode_audio((tmp_path / "a.wav").read_bytes())
    assert rate == RATE
    np.testing.assert_array_equal(audio, tone())


def test_header(tmp_path):
    io.write_audio(tmp_path / "a.flac", tone(0.25), RATE)
    info = io.audio_info(tmp_path / "a.flac")
    assert (info.sample_rate, info.num_channels, info.frames, info.format) == (RATE, 2, 6000, "FLAC")
    assert info.length_sec == 0.25


def test_errors_name_the_file_and_the_reason(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not audio at all")
    for name, reason in (("none.wav", "no such"), ("empty.wav", "0 bytes"), ("text.wav", "ormat"), (".", "folder")):
        for call in (io.read_audio, io.audio_info):
            with pytest.raises(UserError, match=reason) as error:
                call(tmp_path / name)
            assert str(tmp_path / name) in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_may_be_any_bytes(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    io.write_audio(path, tone(), RATE)
    assert io.audio_info(path).frames == len(io.read_audio(path)[0])
    with io.AudioReader(path) as reader:
        assert not reader.is_mended
    io.write_audio(path, np.zeros((10, 1), np.int16), RATE, subtype="PCM_16")
    assert io.read_pcm16(path).shape == (10, 1)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names")
def test_what_is_no_file_of_audio_says_what_to_do(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "a.m4a").write_bytes(b"no format of libsndfile")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    for name, message in {
        "pipe.wav": "pipe or device, and a recording is read more than once",
        "a.m4a": "by `ffmpeg -i a.m4a a.wav`",
        "loop.wav": "no such audio file",
        "a" * 300 + ".wav": "File name too long",
    }.items():
        with pytest.raises(UserError, match=message):
            io.audio_info(tmp_path / name)


def test_what_32_bits_cannot_count_is_rf64_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LARGEST", 4 * tone().size - 1)
    io.write_audio(tmp_path / "a.wav", tone(), RATE)
    assert io.audio_info(tmp_path / "a.wav").format == "RF64"
    np.testing.assert_array_equal(io.read_audio(tmp_path / "a.wav")[0], tone())
    io.write_audio(tmp_path / "b.wav", tone(), RATE, subtype="PCM_24")
    assert io.audio_info(tmp_path / "b.wav").format == "WAV"
    with pytest.raises(UserError, match=r"AIFF holds 4 GiB.*give \.wav or \.flac"):
        io.write_audio(tmp_path / "a.aiff", np.tile(tone(), (2, 1)), RATE)
    with (
        pytest.raises(ValueError, match="more than the 10 frames"),
        io.audio_writer(tmp_path / "c.wav", RATE, 1, 10) as write,
    ):
        write(np.zeros((11, 1), np.float32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]


@pytest.mark.slow
def test_more_than_4_gib_comes_back(tmp_path):
    frames, block = 550_000_000, tone(40.0)
    with io.audio_writer(tmp_path / "big.wav", RATE, 2, frames) as write:
        for start in range(0, frames, len(block)):
            write(block[: frames - start])
    with io.AudioReader(tmp_path / "big.wav") as reader:
        assert reader.frames == frames
        rest = frames % len(block)
        np.testing.assert_array_equal(reader.read(frames - rest, rest), block[:rest])
    (tmp_path / "big.wav").unlink()


def test_refused_writes_leave_nothing(tmp_path):
    with pytest.raises(UserError, match=r"no format for '\.xyz'"):
        io.write_audio(tmp_path / "a.xyz", tone(), RATE)
    with pytest.raises(UserError, match="T, C"):
        io.write_audio(tmp_path / "a.wav", tone()[:, 0], RATE)
    with pytest.raises(UserError, match=r"a\.opus"):
        io.write_audio(tmp_path / "a.opus", tone(), 44100)  # Opus knows five rates
    assert list(tmp_path.iterdir()) == []


def test_pcm16_bits_survive(tmp_path):
    pcm = (tone() * 32767).astype(np.int16)
    io.write_audio(tmp_path / "a.flac", pcm, RATE, subtype="PCM_16")
    np.testing.assert_array_equal(io.read_pcm16(tmp_path / "a.flac"), pcm)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, suffix):
    """A limit on the size of files stands in for the disk: the write fails half-way."""
    script = (
        "import resource, numpy as np; from dafxvae.audio.io import write_audio\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        f"noise = np.random.default_rng(0).uniform(-0.5, 0.5, (200000, 1)).astype(np.float32)\n"
        f"write_audio({str(tmp_path / f'a.{suffix}')!r}, noise, 16000)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"UserError: cannot write {tmp_path / f'a.{suffix}'}" in result.stderr, result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tag.mp3", b"ID3\x04\0\0\0\0\0\x0a" + bytes(20), "no audio, or its header is damaged"),
        ("text.wav", "hello".encode("utf-16"), "no audio, or its header is damaged"),
        ("rate.wav", None, "no audio, or its header is damaged"),
        ("empty.wav", None, "holds no samples"),
    ],
)
def test_what_is_no_recording_is_not_said_to_be_missing(tmp_path, name, content, words):
    if content is None:
        io.write_audio(tmp_path / name, tone(1.0, RATE), RATE, "PCM_16")
        whole = (tmp_path / name).read_bytes()
        content = whole[:24] + bytes(4) + whole[28:] if name == "rate.wav" else whole[:40] + bytes(4) + whole[44:]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: .*{words}"):
        io.read_audio(tmp_path / name)
