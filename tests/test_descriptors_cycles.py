"""Cycles: an LFO's rate is found in what a real effect makes of irregular sounds, whatever its phase and level."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pedalboard
import pytest

from dafxvae.descriptors.cycles import (
    CELLS,
    CLEARNESS,
    COMPONENT_EDGES,
    GROUPS,
    NUM_CYCLES,
    PERIOD,
    RATE,
    Kind,
    cosines,
    cycles,
    lag_cycles,
    spectrum_cycles,
)

SAMPLE_RATE = 24000
SECONDS = 5.5
NUM_SAMPLES = round(SECONDS * SAMPLE_RATE)
FINDERS = pytest.mark.parametrize("find", GROUPS.values(), ids=GROUPS)


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
def _run(find, audio, sample_rate):
    return find(audio, sample_rate)


def hear(find, audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The cycles of one recording `[T]`."""
    return np.asarray(_run(find, jnp.asarray(audio)[None, :, None], sample_rate))[0]


@pytest.mark.parametrize("rate_hz", [0.7, 1.3, 3.7])
@pytest.mark.parametrize(
    ("find", "effect"), [(spectrum_cycles, phased), (lag_cycles, doubled)], ids=["phaser", "chorus"]
)
def test_the_rate_of_an_lfo_is_found(find, effect, rate_hz):
    """To the .04 Hz that 5.5 s can tell, and it stands out further than anything in the untreated sound."""
    found = hear(find, effect(played(), rate_hz))
    assert np.exp(found[RATE]) == pytest.approx(rate_hz, abs=0.04)
    assert found[CLEARNESS] > hear(find, played())[CLEARNESS] + 0.5


@FINDERS
def test_neither_the_level_nor_where_the_recording_begins_matters(find):
    audio = (phased if find is spectrum_cycles else doubled)(np.tile(played(), 2)[: NUM_SAMPLES + 8000], 1.3)
    found, later = hear(find, audio[:NUM_SAMPLES]), hear(find, audio[8000:])
    softer = hear(find, 0.25 * audio[:NUM_SAMPLES])
    np.testing.assert_allclose(softer[RATE], found[RATE], atol=0.01)
    np.testing.assert_allclose(later[RATE], found[RATE], atol=0.03)
    np.testing.assert_allclose(softer[PERIOD:], found[PERIOD:], atol=0.1)
    assert np.corrcoef(later[PERIOD:], found[PERIOD:])[0, 1] > 0.8


def test_the_sampling_rate_changes_the_sampling_alone():
    for find, effect in ((spectrum_cycles, phased), (lag_cycles, doubled)):
        audio = effect(played(sample_rate=48000), 1.3, 48000)
        assert np.exp(hear(find, audio, 48000)[RATE]) == pytest.approx(1.3, abs=0.04)


@FINDERS
def test_silence_a_click_and_a_short_clip_give_finite_numbers(find):
    click = np.zeros(NUM_SAMPLES, np.float32)
    click[NUM_SAMPLES // 2] = 1.0
    for audio in (0.0 * click, click, np.full(NUM_SAMPLES, 0.5, np.float32)):
        found = hear(find, audio)
        assert found.shape == (NUM_CYCLES,)
        assert np.isfinite(found).all()
    np.testing.assert_array_equal(hear(find, played()[:4096]), 0.0)  # too short for any rate


def test_a_period_is_what_was_put_there():
    """Frames of which the first ten cosine components go round at 1 Hz: they alone have a first harmonic, nothing has a
    second."""
    rng, hop_sec = np.random.default_rng(0), 0.02
    seconds = hop_sec * np.arange(300)
    waves = np.sin(2.0 * np.pi * seconds + 0.7)[:, None] * cosines(40)[:, :10].sum(1)
    frames = (waves + 0.1 * rng.standard_normal((300, 40))).astype(np.float32)
    run = jax.jit(lambda frames: cycles(frames, hop_sec, Kind(0.0, 0.0, 0.0)))
    found = np.asarray(run(frames[None]))[0]
    assert np.exp(found[RATE]) == pytest.approx(1.0, abs=0.04)
    cells = (np.exp(2.0 * found[PERIOD:]) - 0.3).reshape(-1, len(COMPONENT_EDGES) - 1)
    assert cells.size == CELLS
    np.testing.assert_allclose(cells[0], 0.25 * 300 * np.array([1.0, 1.0, 1.0, 1.0, 2 / 16]), rtol=0.2)
    assert cells[1:].max() < 3.0
