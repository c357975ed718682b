"""LFO templates: the settings of a real phaser, found in irregular sounds, whatever its phase and level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_descriptors_lfo import NUM_SAMPLES, SAMPLE_RATE, played

from dafxvae.core.errors import UserError
from dafxvae.descriptors.lfo import whiten
from dafxvae.descriptors.lfo_measurement import known_curves, measure_templates, rate_index, stored_templates
from dafxvae.descriptors.lfo_templates import (
    CONFIDENCE,
    NUM_COMPONENTS,
    NUM_HARMONICS,
    RATE,
    SETTINGS,
    SPREAD,
    likelihoods,
    lines_at,
    match_templates,
    quantise_templates,
    window_response,
)
from dafxvae.effects.factory import open_host

NUM_TEMPLATES = 1024
DEPTH, CENTRE, FEEDBACK, MIX = range(1, 5)


@pytest.fixture(scope="module")
def phaser():
    with open_host("Phaser", num_workers=1) as host:
        yield host


@pytest.fixture(scope="module")
def templates(phaser):
    return measure_templates(phaser, "rate_hz", NUM_TEMPLATES, 0, SAMPLE_RATE, progress=False)


@pytest.fixture(scope="module")
def find(templates):
    compiled = jax.jit(lambda audio: match_templates(audio, SAMPLE_RATE, templates))
    return lambda audio: np.asarray(compiled(jnp.asarray(audio)[None, :, None]))[0]


def phased(host, audio, rate_hz, depth, centre_hz, feedback, mix=0.5):
    """The sound, and its normalised settings."""
    unit = host.parameters.to_unit(np.array([rate_hz, depth, centre_hz, feedback, mix]))
    return host.render(audio[None, :, None], unit[None], SAMPLE_RATE)[0, :, 0], unit


@pytest.mark.parametrize(
    ("rate_hz", "depth", "centre_hz", "feedback"),
    [(0.7, 0.4, 600.0, 0.5), (1.3, 0.2, 2000.0, 0.0), (1.3, 0.8, 500.0, -0.5)],
)
def test_the_settings_of_a_phaser_are_found(phaser, find, rate_hz, depth, centre_hz, feedback):
    """Rate, depth and centre, at rates that are not that of the templates; and what was not treated is less clear."""
    audio, unit = phased(phaser, played(), rate_hz, depth, centre_hz, feedback)
    found = find(audio)
    settings = found[SETTINGS:] / SPREAD + 0.5
    assert np.exp(found[RATE]) == pytest.approx(rate_hz, abs=0.04)
    np.testing.assert_allclose(settings[[DEPTH, CENTRE]], unit[[DEPTH, CENTRE]], atol=0.1)
    assert found[CONFIDENCE] > find(played())[CONFIDENCE] + 0.3


def test_neither_the_level_nor_where_the_recording_begins_matters(phaser, find):
    audio, _ = phased(phaser, np.tile(played(), 2)[: NUM_SAMPLES + 9000], 1.3, 0.2, 2000.0, 0.0)
    found, later = find(audio[:NUM_SAMPLES]), find(audio[9000:])
    np.testing.assert_allclose(find(0.25 * audio[:NUM_SAMPLES]), found, atol=0.1)
    np.testing.assert_allclose(later[RATE], found[RATE], atol=0.03)
    np.testing.assert_allclose(later[SETTINGS:][[DEPTH, CENTRE]], found[SETTINGS:][[DEPTH, CENTRE]], atol=0.1 * SPREAD)


@pytest.mark.parametrize("audio", [np.zeros(NUM_SAMPLES), np.eye(1, NUM_SAMPLES)[0], np.full(NUM_SAMPLES, 0.5)])
def test_what_does_not_move_gives_finite_numbers(find, audio):
    assert np.isfinite(find(audio.astype(np.float32))).all()


def test_what_is_too_short_gives_zeros(find):
    np.testing.assert_array_equal(find(played()[:6000]), 0.0)


def test_templates_are_what_they_were_to_a_byte():
    rng = np.random.default_rng(0)
    settings = rng.random((3, 4))
    parts = rng.standard_normal((2, 3, NUM_HARMONICS, NUM_COMPONENTS)) * np.array([1e-6, 1.0, 100.0])[:, None, None]
    kept = quantise_templates(settings, parts[0] + 1j * parts[1])
    np.testing.assert_allclose(kept.settings, settings, atol=1e-6)
    largest = np.abs(parts).max((0, 2, 3), keepdims=True)[0]
    error = np.abs(np.asarray(kept.harmonics()) - (parts[0] + 1j * parts[1]))
    assert (error <= largest * np.sqrt(2.0) / 254.0 + 1e-9).all()


def test_a_window_levels_out_what_is_faster_than_itself():
    response = window_response(np.array([0.0, 1.0, 8.0, 30.0]))
    assert response[0] == pytest.approx(1.0)
    assert (np.diff(response) < 0).all()
    assert response[3] < 0.2


def test_the_likelihood_is_that_of_the_share_that_a_template_explains():
    """One line in noise: by hand, at the phase that fits."""
    rng = np.random.default_rng(1)
    harmonics = (rng.standard_normal((5, NUM_HARMONICS, NUM_COMPONENTS)) + 0j).astype(np.complex64)
    frames = rng.standard_normal((1, 256, NUM_COMPONENTS)).astype(np.float32)
    white, deviation = whiten(jnp.asarray(frames), 512 / 24000)
    spectrum = np.fft.rfft(np.asarray(white)[0], 16 * 256, axis=0) / 16.0
    gain = 16.0 / np.asarray(deviation)[0]
    lines = lines_at(jnp.asarray([100]), jnp.asarray(spectrum, jnp.complex64), jnp.asarray(gain), 0.01)
    shifted = np.exp(1j * 2.0 * np.pi * 5 / 64 * np.arange(1, NUM_HARMONICS + 1))[:, None]
    turned = lines._replace(spectrum=jnp.asarray(np.asarray(lines.gain) * harmonics[2] * shifted))
    found, strength = likelihoods(turned, harmonics)
    assert found.shape == strength.shape == (1, 5)
    assert int(found[0].argmax()) == 2
    assert float(found[0, 2]) == pytest.approx(-turned.spectrum.size * np.log(0.001), rel=1e-3)  # all of it
    assert float(strength[0, 2]) == pytest.approx(1.0, abs=1e-3)


def test_templates_are_read_back_where_the_same_are_wanted(phaser, tmp_path):
    path = tmp_path / "h" / "templates.npz"
    first = stored_templates(phaser, "rate_hz", 3, 0, SAMPLE_RATE, path)
    made = path.stat().st_mtime_ns
    again = stored_templates(phaser, "rate_hz", 3, 0, SAMPLE_RATE, path)
    assert path.stat().st_mtime_ns == made
    jax.tree.map(np.testing.assert_array_equal, again, first)
    other = stored_templates(phaser, "rate_hz", 3, 1, SAMPLE_RATE, path)
    assert np.abs(np.asarray(other.settings) - np.asarray(first.settings)).max() > 0.01


@pytest.mark.parametrize(
    ("effect", "rate", "words"),
    [
        ("Phaser", "", "rate_hz, depth"),
        ("Phaser", "speed", "h.lfo.rate is 'speed'"),
        ("Phaser", "depth", "from 0 to 1"),
        ("Phaser", "centre_frequency_hz", "100 to 8000 Hz"),
    ],
)
def test_what_is_no_rate_of_an_lfo_is_refused(effect, rate, words):
    with open_host(effect, num_workers=1) as host, pytest.raises(UserError, match=words):
        rate_index(host, rate)


def test_the_curve_of_a_rate_is_the_scale_of_its_parameter():
    with open_host("Phaser(depth, rate_hz=0.1..6)", num_workers=1) as host:
        exact = known_curves(host, "rate_hz", (1, 3))
        assert set(exact) == {(1, 1), (3, 1)}
        rates = np.array([0.01, 0.1, 0.7, 5.3, 6.0, 30.0])
        found = np.stack([np.full(6, 0.5), exact[3, 1](np.log(rates))], axis=1)
        np.testing.assert_allclose(host.parameters.to_physical(found)[:, 1], np.clip(rates, 0.1, 6.0), rtol=1e-5)
        assert known_curves(host, "", (1, 3)) == {}
        with pytest.raises(UserError, match=r"h.lfo.rate is 'speed'"):
            known_curves(host, "speed", (0,))
