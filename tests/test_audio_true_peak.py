"""True peak: between the samples, and never below them."""

import numpy as np
import pytest

from dafxvae.audio.true_peak import BLOCK, true_peak


def measure(audio, rate=48000):
    return true_peak(lambda start, count: audio[start : start + count], len(audio), rate)


@pytest.mark.parametrize("place", [3 * BLOCK - 40, BLOCK // 2, 5 * BLOCK])
def test_a_tone_at_a_quarter_of_the_rate_is_measured_between_its_samples(place):
    time = np.arange(6 * BLOCK)
    tone = 0.5 * np.sin(np.pi / 2 * time + np.pi / 4) * np.exp(-0.5 * ((time - place) / 400.0) ** 2)
    audio = np.stack([np.zeros(len(tone)), tone], 1).astype(np.float32)
    assert np.abs(audio).max() < 0.36
    assert measure(audio) == pytest.approx(0.5, rel=0.005)


def test_it_is_never_below_the_samples_and_zero_for_nothing():
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (3 * BLOCK, 1)).astype(np.float32)
    assert measure(noise) >= np.abs(noise).max()
    assert measure(np.zeros((0, 2), np.float32)) == 0.0
    assert measure(np.zeros((100, 2), np.float32)) == 0.0
