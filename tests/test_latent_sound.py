"""Spectra back to sound, and the page that plays it."""

import io
import wave

import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.audio import bands, dsp
from dafxvae.latent import sound
from dafxvae.latent.report import pca_2d
from dafxvae.latent.report_page import add_strip
from dafxvae.latent.traversals import Strip
from dafxvae.reporting.page import Page, wav_bytes

RATE, SIZE, HOP = 24000, 1024, 256
AXES = sound.MelFrames(SIZE, HOP, 11000.0, RATE)


@pytest.fixture(scope="module")
def noise():
    return (0.1 * np.random.default_rng(0).standard_normal((8192, 1))).astype(np.float32)


def log_mel(audio):
    power = np.asarray(dsp.power_spectrogram(jnp.asarray(audio[:, 0]), SIZE, HOP)) * (4.0 / SIZE) ** 2
    return np.log(power @ bands.mel_filterbank(RATE, SIZE, 40, 20.0, 11000.0) + 1e-9)


def test_no_gain_changes_nothing(noise):
    frames = 1 + len(noise) // HOP
    same = sound.filter_mel(noise, np.zeros((frames, 40)), AXES)
    np.testing.assert_allclose(same[HOP:-HOP], noise[HOP:-HOP], atol=1e-4)
    louder = sound.filter_mel(noise, np.full((frames, 40), np.log(4.0)), AXES)
    np.testing.assert_allclose(louder[HOP:-HOP], 2.0 * noise[HOP:-HOP], atol=2e-4)


def test_a_sound_from_its_spectrum_has_about_that_spectrum(noise):
    wanted = log_mel(noise)
    got = log_mel(sound.from_log_mel(wanted, AXES))
    assert np.abs((got - wanted)[4:-4]).mean() < 1.0  # nats: 4 dB


def test_wav_bytes_hold_what_was_given(noise):
    with wave.open(io.BytesIO(wav_bytes(noise, RATE))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, len(noise))
        samples = np.frombuffer(file.readframes(len(noise)), "<i2")
    np.testing.assert_allclose(samples / 32767.0, noise[:, 0], atol=1e-4)
    loud = np.frombuffer(wav_bytes(100 * noise, RATE)[44:], "<i2")
    assert np.abs(loud).max() == 32767


def test_the_page_holds_everything_and_asks_for_nothing(noise):
    page = Page("A & B", "<script>")
    page.table(["x"], [["yes"], ["<b>"], ["**<i>.5** (.4 … .6)"]])
    add_strip(page, Strip("s", np.zeros((2, 2, 3), np.uint8), {"a": noise}), b"\x89PNG", RATE)
    text = page.render()
    assert "<script>" not in text
    assert "<td>&lt;b&gt;</td>" in text
    assert "<td><b>&lt;i&gt;.5</b> <span class=interval>(.4 … .6)</span></td>" in text
    assert "http" not in text
    assert text.count("data:audio/wav;base64,") == 1
    assert text.count("data:image/png;base64,") == 1


def test_pca_finds_the_direction_of_most_variance():
    rng = np.random.default_rng(0)
    one = rng.standard_normal(200)
    x = np.stack([one, one + 0.01 * rng.standard_normal(200), rng.standard_normal(200)], axis=1)
    found = pca_2d(x)
    assert abs(np.corrcoef(found.points[:, 0], one)[0, 1]) > 0.99
    assert "67%" in found.axes[0] or "66%" in found.axes[0] or "68%" in found.axes[0]
