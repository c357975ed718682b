"""The response of an effect to the probe: zero for nothing, equal for equal sound, right where the truth is known."""
# pyright: reportArgumentType=false

import numpy as np
import pytest
from effects_vst3 import zam

from dafxvae.audio.bands import mel_filterbank, sum_into_bands
from dafxvae.effects.builtins import BUILTINS
from dafxvae.effects.factory import open_host
from dafxvae.effects.probe_signal import NOISE_DBFS, probe_segments, probe_signal
from dafxvae.effects.response import (
    DECAY_EDGES,
    DECAY_FRAME_SEC,
    HEARD_DB,
    MODULATION_HZ,
    audibility,
    band_centres_hz,
    describe_probe,
    measure_response,
    response_distance_db,
)

RATE = 24000


def respond(effect, rate=RATE, **values):
    with open_host(effect, num_workers=1) as host:
        return measure_response(host, host.parameters.from_values(values)[None], rate)


def test_the_probe_is_the_same_every_time_and_within_full_scale():
    probe = probe_signal(RATE)
    assert np.abs(probe).max() <= 1.0
    place, samples = probe_segments(RATE)["noise"]
    np.testing.assert_array_equal(probe[place], samples)
    levels = 20.0 * np.log10(np.sqrt(np.mean(samples.reshape(6, -1) ** 2, axis=1)))
    np.testing.assert_allclose(levels[:4], NOISE_DBFS[:4], atol=0.1)  # the loudest one is clipped here and there
    assert abs(levels[4] - NOISE_DBFS[4]) < 0.3


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
def test_a_bypass_has_a_response_of_zero(rate):
    response = respond("Gain", rate, gain_db=0.0)
    assert np.abs(response.vector()).max() < 1e-4
    stereo = describe_probe(np.repeat(probe_signal(rate)[None, :, None], 2, axis=2), rate)
    assert np.abs(stereo.vector()).max() < 1e-4


def test_a_gain_moves_the_level_part_alone():
    response = respond("Gain", gain_db=-6.0)
    assert response.level_db()[0] == pytest.approx(-6.0, abs=0.05)
    np.testing.assert_allclose(response.dynamics[0, 1:-1], -6.0, atol=0.3)
    np.testing.assert_allclose(response.spectrum[0, 1:], -6.0, atol=0.15)


def test_equal_sound_has_an_equal_response_and_an_unheard_parameter_does_not_move_it():
    first, second = (respond("Compressor", ratio=1.0, attack_ms=ms) for ms in (0.1, 100.0))
    assert response_distance_db(first, second)[0] < 1e-3
    with open_host("Compressor", num_workers=1) as host:
        still, working = (host.parameters.from_values({"ratio": r, "threshold_db": -30.0}) for r in (1.0, 8.0))
        heard = dict(zip(host.parameters.names, audibility(host, still, RATE)))
        assert heard["ratio"] > 1.0
        assert max(heard[name] for name in ("threshold_db", "attack_ms", "release_ms")) < HEARD_DB
        assert (audibility(host, working, RATE) > HEARD_DB).all()


def test_responses_of_equalisers_in_a_chain_add():
    low = respond("LowShelfFilter", cutoff_frequency_hz=300.0, gain_db=9.0)
    high = respond("HighShelfFilter", cutoff_frequency_hz=4000.0, gain_db=-7.0)
    settings = {
        "LowShelfFilter.cutoff_frequency_hz": 300.0, "LowShelfFilter.gain_db": 9.0,
        "HighShelfFilter.cutoff_frequency_hz": 4000.0, "HighShelfFilter.gain_db": -7.0,
    }  # fmt: skip
    both = respond("LowShelfFilter | HighShelfFilter", **settings)
    np.testing.assert_allclose(both.spectrum[0, 1:], (low.spectrum + high.spectrum)[0, 1:], atol=0.3)
    above = band_centres_hz() > 7000.0
    assert low.spectrum[0, 2, 0] == pytest.approx(8.2, abs=0.3)  # at 148 Hz, an octave below the corner
    np.testing.assert_allclose(low.spectrum[0, 2, above], 0.0, atol=0.1)
    np.testing.assert_allclose(high.spectrum[0, 2, above], -6.9, atol=0.3)


def test_a_compressor_lowers_what_is_above_its_threshold():
    response = respond("Compressor", threshold_db=-20.0, ratio=4.0, attack_ms=1.0)
    by_level = response.spectrum[0].mean(-1)
    np.testing.assert_allclose(by_level[:2], 0.0, atol=0.3)  # -48 and -36 dBFS
    assert by_level[4] < by_level[3] - 3.0 < -4.0


def test_an_echo_stands_at_its_time_and_a_distortion_has_harmonics():
    echo = respond("Delay", delay_seconds=0.3, feedback=0.0, mix=0.5).decay[0].mean(0)
    loudest = int(echo[1:].argmax()) + 1
    assert DECAY_EDGES[loudest] * DECAY_FRAME_SEC <= 0.3 + DECAY_FRAME_SEC
    assert DECAY_EDGES[loudest + 1] * DECAY_FRAME_SEC >= 0.3 - DECAY_FRAME_SEC
    harmonics = respond("Distortion", drive_db=30.0).harmonics[0]
    assert (harmonics[:, 2] > 20.0).all()  # the third; a symmetric curve has no even ones
    assert (np.abs(harmonics[:, 1]) < 6.0).all()


def test_movement_shows_the_rate_of_an_lfo():
    slow, fast = (respond("Phaser", rate_hz=hz, depth=0.8, mix=0.5).movement[0].mean(0) for hz in (0.7, 2.8))
    assert MODULATION_HZ[fast.argmax()] == pytest.approx(2.8, rel=0.2)
    below = MODULATION_HZ < 2.0  # nothing moves more slowly than the LFO
    assert fast[below].max() < 0.2 * fast.max() < slow[below].max()
    assert respond("Reverb").movement.max() < 0.5 * fast.max()


@pytest.mark.parametrize("name", [name for name, builtin in BUILTINS.items() if builtin.parameters])
def test_every_builtin_has_a_response(name):
    if name == "Convolution":
        pytest.skip("needs a file of an impulse response")
    with open_host(name, num_workers=1) as host:
        settings = host.parameters.sample(np.random.default_rng(0), 2)
        vectors = measure_response(host, settings, RATE).vector()
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).max() > 0.0


@pytest.mark.parametrize("name", ["ZamComp", "ZamEQ2", "ZamDelay", "ZamTube"])
def test_a_plugin_has_a_response(name):
    with open_host(zam(name), num_workers=1) as host:
        settings = host.parameters.sample(np.random.default_rng(1), 2)
        first, second = (measure_response(host, settings, 44100).vector() for _ in range(2))
    assert np.isfinite(first).all()
    assert np.abs(first).max() > 0.0
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_bands_are_sums_of_bins_and_an_item_alone_has_the_bits_of_one_among_others():
    rng = np.random.default_rng(0)
    power, filters = rng.random((3, 7, 601), np.float32), mel_filterbank(RATE, 1200, 24, 60.0, 11000.0)
    np.testing.assert_allclose(sum_into_bands(power, filters), power @ filters, rtol=1e-5)
    sounds = probe_signal(RATE)[None, :, None] * np.array([0.1, 0.5, 1.0], np.float32)[:, None, None]
    for all_three, alone in zip(describe_probe(sounds, RATE), describe_probe(sounds[1:2], RATE)):
        np.testing.assert_array_equal(all_three[1:2], alone)
