import numpy as np
import pyloudnorm
import pytest

from dafxvae.audio.loudness import LoudnessMeter, integrated_loudness, k_weighting, loudness_lufs


def programme(rate, channels, seconds=9.0):
    """Noise and a tone with loud, soft and silent passages: both gates have something to do."""
    rng = np.random.default_rng(3)
    time = np.arange(round(seconds * rate)) / rate
    envelope = np.choose((time / 1.5).astype(int) % 4, [0.3, 0.01, 0.0, 0.1])
    tone = np.sin(2 * np.pi * 800 * time)[:, None]
    return envelope[:, None] * (0.5 * tone + 0.2 * rng.standard_normal((len(time), channels)))


def measure(audio, rate, chunk):
    meter = LoudnessMeter(rate, audio.shape[1])
    for start in range(0, len(audio), chunk):
        meter.feed(audio[start : start + chunk])
    return integrated_loudness(meter.blocks())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
def test_agrees_with_pyloudnorm(rate, channels):
    # Below 16 kHz pyloudnorm's own shelf is warped by the bilinear transform; "DeMan" is the standard's at any rate.
    audio = programme(rate, channels)
    meter = pyloudnorm.Meter(rate, filter_class="K-weighting" if rate >= 16000 else "DeMan")
    assert measure(audio, rate, 65536) == pytest.approx(meter.integrated_loudness(audio), abs=0.1)


def test_the_filters_are_those_of_the_standard():
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48000), [shelf, high_pass], atol=1e-8)


def test_a_full_scale_sine_has_the_loudness_that_the_standard_says():
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * 48000) / 48000)[:, None]
    assert measure(tone, 48000, 10000) == pytest.approx(-3.01, abs=0.02)


def test_chunks_do_not_matter():
    audio = programme(44100, 2)
    whole = measure(audio, 44100, len(audio))
    for chunk in (1234, 44100, 99999):
        assert measure(audio, 44100, chunk) == pytest.approx(whole, abs=1e-9)


def test_silence_and_what_is_too_short_have_none():
    assert measure(np.zeros((48000, 1)), 48000, 4800) == -np.inf
    assert measure(np.ones((9000, 1)), 48000, 4800) == -np.inf


def test_clips_are_measured_as_streams_are():
    clips = np.stack([programme(24000, 1, 4.0), 0.1 * programme(24000, 1, 4.0), np.zeros((96000, 1))])
    meter = pyloudnorm.Meter(24000, filter_class="DeMan")  # the standard's filters at any rate
    expected = [meter.integrated_loudness(clip) for clip in clips[:2]]
    np.testing.assert_allclose(loudness_lufs(clips, 24000)[:2], expected, atol=0.02)
    assert loudness_lufs(clips, 24000)[2] == -np.inf
    assert np.isnan(loudness_lufs(clips[:, :9000], 24000)).all()
