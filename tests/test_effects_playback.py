"""A stream has the bits of one call, on fresh instances, at any length."""

import os
import signal

import numpy as np
import pytest
import soundfile
from effects_vst3 import zam

from dafxvae.core.errors import EffectError
from dafxvae.effects import playback
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.factory import open_host
from dafxvae.effects.segments import Segments

RATE = 44100
LENGTH = playback.CHUNK + 12345
SETTINGS = np.linspace(0.35, 0.6, 40)


def music(length, channels):
    rng = np.random.default_rng(7)
    seconds = np.arange(length) / RATE
    pluck = 0.3 * np.sin(2 * np.pi * 220 * seconds) * np.exp(-4 * (seconds % 0.5))
    noise = 0.05 * rng.standard_normal((length, channels))
    return (pluck[:, None] + noise).astype(np.float32)


def played(host, audio, unit_params, end=None):
    end = end or len(audio)
    chunks = (audio[i : i + playback.CHUNK] for i in range(0, len(audio), playback.CHUNK))
    with playback.ChainStream(host.chain, unit_params, RATE, audio.shape[1], end) as stream:
        return np.concatenate(list(stream.play(chunks)))


def both(effect, audio):
    with open_host(effect, num_workers=1) as host:
        unit_params = SETTINGS[: len(host.parameters)]
        return played(host, audio, unit_params), host.render(audio[None], unit_params[None], RATE)[0]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("effect", [name for name in BUILTINS if name not in ("PitchShift", "Convolution")])
def test_every_built_in_streams_to_the_bit(effect, channels):
    streamed, whole = both(effect, music(LENGTH, channels))
    np.testing.assert_array_equal(streamed, whole)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_cannot_be_cut_is_played_in_one_call_up_to_a_segment(channels):
    streamed, whole = both("PitchShift", music(playback.CHUNK + 777, channels))
    np.testing.assert_array_equal(streamed, whole)


def test_a_convolution_streams_to_the_bit(tmp_path):
    decay = np.exp(-np.arange(9000) / 2000) * np.random.default_rng(0).standard_normal(9000)
    soundfile.write(tmp_path / "room.wav", 0.1 * decay, RATE)
    streamed, whole = both(f"Convolution(impulse_response_filename={tmp_path / 'room.wav'}, mix)", music(LENGTH, 2))
    np.testing.assert_array_equal(streamed, whole)


@pytest.mark.parametrize(
    "effect",
    [
        "HighpassFilter | Compressor | Delay | Reverb",
        "BrickwallLimiter | Chorus | MP3Compressor | Phaser",
        "Resample | LadderFilter | BrickwallLimiter | Reverb",
    ],
)
def test_chains_with_latency_stream_to_the_bit(effect):
    # With silence after it: an effect that looks ahead hears the tail of the one before, not where a call was cut.
    audio = np.concatenate([music(LENGTH, 2), np.zeros((20000, 2), np.float32)])
    streamed, whole = both(effect, audio)
    np.testing.assert_array_equal(streamed[:LENGTH], whole[:LENGTH])


def test_a_chain_around_a_pitch_shift():
    streamed, whole = both("BrickwallLimiter | PitchShift | Reverb", music(playback.CHUNK + 99, 1))
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_short_inputs(length):
    streamed, whole = both("Compressor | Reverb", music(length, 2))
    np.testing.assert_array_equal(streamed, whole)


def test_the_tail_is_that_of_an_input_with_silence_after_it():
    audio = music(30000, 2)
    padded = np.concatenate([audio, np.zeros((50000, 2), np.float32)])
    with open_host("BrickwallLimiter | Reverb", num_workers=1) as host:
        unit_params = SETTINGS[: len(host.parameters)]
        tail = played(host, audio, unit_params, end=80000)
        np.testing.assert_array_equal(tail, host.render(padded[None], unit_params[None], RATE)[0])
    assert np.abs(tail[40000:]).max() > 1e-3


class Doubler:
    """Stands for a plugin that must be played in one call: doubles, and loses the first samples of each call."""

    def process(self, audio, sample_rate, reset):
        assert reset
        out = 2 * audio
        out[:100] = 0
        return out


def test_segments_join_without_a_seam(monkeypatch):
    monkeypatch.setattr(Segments, "LENGTH", 5000)
    monkeypatch.setattr(Segments, "LEAD", 300)
    monkeypatch.setattr(Segments, "FADE", 128)
    audio = music(23456, 2)
    segments = Segments(Doubler(), 23456)
    out = np.concatenate([segments.process(audio[i : i + 1111], RATE) for i in range(0, len(audio), 1111)])
    np.testing.assert_allclose(out[100:], 2 * audio[100:], rtol=1e-5)
    assert not segments.process(audio[:1111], RATE).any()


@pytest.mark.vst3
@pytest.mark.parametrize(("plugin", "channels"), [("ZamComp", 1), ("ZamComp", 2), ("ZamCompX2", 1)])
def test_vst3_plugins_stream_as_they_render(plugin, channels):
    streamed, whole = both(f"Gain | {zam(plugin)} | BrickwallLimiter", music(LENGTH, channels))
    np.testing.assert_allclose(streamed, whole, atol=2e-6)


@pytest.mark.vst3
def test_a_plugin_that_dies_is_an_error_that_names_it():
    with open_host(zam("ZamComp"), num_workers=1) as host:
        stream = playback.ChainStream(host.chain, SETTINGS[: len(host.parameters)], RATE, 1, LENGTH)
        chunk = music(playback.CHUNK, 1)
        assert len(stream.feed(chunk)) == len(chunk)
        state = stream.states()
        assert state[0][0] == "ZamComp"
        assert len(state[0][1]) > 10
        os.kill(stream.stages[0].process.pid, signal.SIGKILL)
        with pytest.raises(EffectError, match="ZamComp"):
            stream.feed(chunk)
        stream.close()
