"""An LFO's rate is found in what a real effect makes of irregular sounds, whatever its phase and level."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pedalboard
import pytest

from dafxvae.descriptors.descriptor import Recordings
from dafxvae.descriptors.lfo import (
    CELLS,
    COMPONENT_EDGES,
    CONFIDENCE,
    LFO,
    LFO_LAGS,
    NUM_COLUMNS,
    PERIOD,
    RATE,
    Background,
    cosine_transform,
    measure_lfo,
)

SAMPLE_RATE = 24000
SECONDS = 5.5
NUM_SAMPLES = round(SECONDS * SAMPLE_RATE)
DESCRIPTORS = pytest.mark.parametrize("descriptor", [LFO, LFO_LAGS], ids=["lfo", "lfo_lags"])


def played(seed: int = 0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Notes of many partials at irregular times, and noise; `[T]`."""
    rng = np.random.default_rng(seed)
    audio = 0.02 * rng.standard_normal(round(SECONDS * sample_rate))
    for start_sec in np.sort(rng.uniform(0.0, SECONDS - 0.5, 14)):
        seconds = np.arange(round(0.5 * sample_rate)) / sample_rate
        pitch = 110.0 * 2.0 ** rng.uniform(0.0, 1.5)
        note = sum(np.sin(2.0 * np.pi * k * pitch * seconds + k) / k for k in range(1, 40) if k * pitch < 11000.0)
        start = round(start_sec * sample_rate)
        audio[start : start + len(note)] += 0.1 * note * np.exp(-seconds / 0.2)
    return audio.astype(np.float32)


def phased(audio: np.ndarray, rate_hz: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return pedalboard.Phaser(rate_hz=rate_hz, depth=0.6, feedback=0.3, mix=0.5)(audio, sample_rate)


def doubled(audio: np.ndarray, rate_hz: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return pedalboard.Chorus(rate_hz=rate_hz, depth=0.3, centre_delay_ms=8.0, mix=0.5)(audio, sample_rate)


@partial(jax.jit, static_argnums=(0, 2))
def _run(descriptor, audio, sample_rate):
    return descriptor.compute(Recordings(audio, sample_rate))


def measure(descriptor, audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The columns of one recording `[T]`."""
    return np.asarray(_run(descriptor, jnp.asarray(audio)[None, :, None], sample_rate))[0]


@pytest.mark.parametrize("rate_hz", [0.7, 1.3, 3.7])
@pytest.mark.parametrize(("descriptor", "effect"), [(LFO, phased), (LFO_LAGS, doubled)], ids=["phaser", "chorus"])
def test_the_rate_of_an_lfo_is_found(descriptor, effect, rate_hz):
    """To the .04 Hz that 5.5 s can tell, and it stands out further than anything in the untreated sound."""
    found = measure(descriptor, effect(played(), rate_hz))
    assert np.exp(found[RATE]) == pytest.approx(rate_hz, abs=0.04)
    assert found[CONFIDENCE] > measure(descriptor, played())[CONFIDENCE] + 0.5


@DESCRIPTORS
def test_neither_the_level_nor_where_the_recording_begins_matters(descriptor):
    audio = (phased if descriptor is LFO else doubled)(np.tile(played(), 2)[: NUM_SAMPLES + 8000], 1.3)
    found, later = measure(descriptor, audio[:NUM_SAMPLES]), measure(descriptor, audio[8000:])
    softer = measure(descriptor, 0.25 * audio[:NUM_SAMPLES])
    np.testing.assert_allclose(softer[RATE], found[RATE], atol=0.01)
    np.testing.assert_allclose(later[RATE], found[RATE], atol=0.03)
    np.testing.assert_allclose(softer[PERIOD:], found[PERIOD:], atol=0.1)
    assert np.corrcoef(later[PERIOD:], found[PERIOD:])[0, 1] > 0.8


def test_the_sampling_rate_changes_the_sampling_alone():
    for descriptor, effect in ((LFO, phased), (LFO_LAGS, doubled)):
        audio = effect(played(sample_rate=48000), 1.3, 48000)
        assert np.exp(measure(descriptor, audio, 48000)[RATE]) == pytest.approx(1.3, abs=0.04)


@DESCRIPTORS
def test_silence_a_click_and_a_short_clip_give_finite_numbers(descriptor):
    click = np.zeros(NUM_SAMPLES, np.float32)
    click[NUM_SAMPLES // 2] = 1.0
    for audio in (0.0 * click, click, np.full(NUM_SAMPLES, 0.5, np.float32)):
        found = measure(descriptor, audio)
        assert found.shape == (NUM_COLUMNS,)
        assert np.isfinite(found).all()
    np.testing.assert_array_equal(measure(descriptor, played()[:4096]), 0.0)  # too short for any rate


def test_a_period_is_what_was_put_there():
    """Frames of which the first ten cosine components go round at 1 Hz: they alone have a first harmonic, nothing has a
    second."""
    rng, hop_sec = np.random.default_rng(0), 0.02
    seconds = hop_sec * np.arange(300)
    waves = np.sin(2.0 * np.pi * seconds + 0.7)[:, None] * cosine_transform(40)[:, :10].sum(1)
    frames = (waves + 0.1 * rng.standard_normal((300, 40))).astype(np.float32)
    run = jax.jit(lambda frames: measure_lfo(frames, hop_sec, Background(0.0, 0.0, 0.0)))
    found = np.asarray(run(frames[None]))[0]
    assert np.exp(found[RATE]) == pytest.approx(1.0, abs=0.04)
    cells = (np.exp(2.0 * found[PERIOD:]) - 0.3).reshape(-1, len(COMPONENT_EDGES) - 1)
    assert cells.size == CELLS
    np.testing.assert_allclose(cells[0], 0.25 * 300 * np.array([1.0, 1.0, 1.0, 1.0, 2 / 16]), rtol=0.2)
    assert cells[1:].max() < 3.0
