"""Descriptors in f's encoding: each finds what was put there, and nothing else moves it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.audio import mel
from dafxvae.descriptors import catalog, echoes
from dafxvae.descriptors.amplitudes import FIRST_LEVEL, LEVEL_QUANTILES, PEAK, QUANTUM
from dafxvae.descriptors.autocorrelation import LAG_RATE, SHORT_SEC, lag_edges
from dafxvae.descriptors.combs import NUM_BANDS
from dafxvae.descriptors.descriptor import Recordings
from dafxvae.descriptors.echoes import ECHO_SEC, NUM_ECHOES, STRONGEST_LAG
from dafxvae.descriptors.movement import RATES_HZ

RATE = 24000
SECONDS = 65536 / RATE
HOP_SEC = 512 / RATE
PROMINENCE = echoes.CONFIDENCE
AT_PEAK, SILENT = PEAK + 1, PEAK + 5


def bursts(seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Bursts of noise at irregular times; `[1, T, 1]`."""
    rng, seconds = np.random.default_rng(seed), SECONDS
    audio = 0.01 * rng.standard_normal(round(rate * seconds))
    for start_sec in rng.uniform(0.0, seconds - 0.2, 9):
        start, length = round(start_sec * rate), round(0.15 * rate)
        audio[start : start + length] += 0.2 * rng.standard_normal(length) * np.exp(-np.arange(length) / 0.04 / rate)
    return audio.astype(np.float32)[None, :, None]


def delayed(audio: np.ndarray, seconds: float, gain: float, rate: int = RATE) -> np.ndarray:
    """The sound and one echo of it."""
    shift = round(seconds * rate)
    return audio + gain * np.pad(audio, ((0, 0), (shift, 0), (0, 0)))[:, : audio.shape[1]]


@partial(jax.jit, static_argnums=1)
def find(audio: jax.Array, rate: int) -> jax.Array:
    """As in f's encoding."""
    hop = round(HOP_SEC * rate)
    power = mel.scaled_power(jnp.swapaxes(audio, 1, 2), 4 * hop, hop).mean(1)
    log_mel = mel.log_mel(power, rate, 64, 20.0, 11000.0)
    return catalog.encoding_part(Recordings(audio, rate, power, log_mel, HOP_SEC))


def all_of(audio: np.ndarray, rate: int = RATE) -> np.ndarray:
    """All of them for some recordings; `[B, encoding_size()]`."""
    return np.asarray(find(jnp.asarray(audio), rate))


def part_of(audio: np.ndarray, name: str, rate: int = RATE) -> np.ndarray:
    """One descriptor of one recording."""
    return all_of(audio, rate)[0, catalog.encoding_columns()[name]]


@pytest.mark.parametrize("rate", [24000, 48000])
@pytest.mark.parametrize("seconds", [0.05, 0.31, 0.83])
def test_the_strongest_lag_is_the_time_of_an_echo(seconds: float, rate: int) -> None:
    dry = bursts(rate=rate)
    before, after = (part_of(audio, "echoes", rate) for audio in (dry, delayed(dry, seconds, 0.5, rate)))
    assert np.exp(after[STRONGEST_LAG] - 2.0) == pytest.approx(seconds, abs=1.5 / LAG_RATE)
    assert after[PROMINENCE] > before[PROMINENCE] + 1.0
    band = np.searchsorted(lag_edges(ECHO_SEC, NUM_ECHOES), seconds * LAG_RATE, side="right") - 1
    assert after[:NUM_ECHOES].argmax() == band


def test_an_echo_shows_in_a_sound_with_pitch_and_in_a_filtered_sound() -> None:
    seconds = np.arange(65536) / RATE
    tone = sum(np.sin(2 * np.pi * 180 * k * seconds + k) / k for k in range(1, 12)) * (seconds % 0.37 < 0.2)
    audio = (0.1 * tone).astype(np.float32)[None, :, None] + bursts(3)
    wet = delayed(audio, 0.42, 0.6)
    wet[0, 1:, 0] = wet[0, 1:, 0] - 0.9 * wet[0, :-1, 0]
    assert np.exp(part_of(wet, "echoes")[STRONGEST_LAG] - 2.0) == pytest.approx(0.42, abs=1e-3)


def swept(audio: np.ndarray, rate_hz: float) -> np.ndarray:
    """A comb whose delay swings around 8 ms, as a chorus makes it."""
    place = np.arange(audio.shape[1])
    delay = RATE * (0.008 + 0.004 * np.sin(2 * np.pi * rate_hz * place / RATE))
    return audio + 0.7 * np.interp(place - delay, place, audio[0, :, 0])[None, :, None].astype(np.float32)


@pytest.mark.parametrize("rate_hz", [1.7, 2.4, 3.1])
def test_a_swinging_comb_moves_at_its_rate(rate_hz: float) -> None:
    audio = swept(np.random.default_rng(1).standard_normal((1, 65536, 1)).astype(np.float32) * 0.1, rate_hz)
    found = part_of(audio, "movement")[: len(RATES_HZ)]
    assert RATES_HZ[found.argmax()] == pytest.approx(rate_hz, rel=0.15)


def test_a_standing_comb_stands_out_at_its_lag() -> None:
    audio = np.random.default_rng(2).standard_normal((1, 65536, 1)).astype(np.float32) * 0.1
    shown = [part_of(wet, "combs")[:NUM_BANDS] for wet in (audio, delayed(audio, 0.012, 0.7))]
    band = np.searchsorted(lag_edges(SHORT_SEC, NUM_BANDS), 0.012 * LAG_RATE, side="right") - 1
    assert (shown[1] - shown[0]).argmax() == band


def test_a_gain_moves_amplitudes_alone() -> None:
    audio = bursts()
    loud, soft = all_of(audio), all_of(0.25 * audio)
    columns = catalog.encoding_columns()
    lags = np.concatenate([columns["echoes"], columns["combs"]])
    np.testing.assert_allclose(loud[:, lags], soft[:, lags], atol=5e-3)
    levels = columns["amplitudes"][FIRST_LEVEL:][1 : len(LEVEL_QUANTILES)]
    np.testing.assert_allclose((loud - soft)[:, levels], 20.0 * np.log10(4.0) / 12.0, atol=1e-2)


def test_amplitudes_show_a_quantum_a_ceiling_and_a_gate() -> None:
    audio = bursts()
    quantised = np.round(audio * 2.0**7) / 2.0**7
    clipped = np.clip(audio, -0.1, 0.1)
    opened = np.arange(audio.shape[1]) % 12000 < 6000
    gated = audio * opened[None, :, None]
    plain, coarse, flat, gate = (
        part_of(sound.astype(np.float32), "amplitudes") for sound in (audio, quantised, clipped, gated)
    )
    assert 4.0 * (coarse[QUANTUM] - 4.0) == pytest.approx(-7.0, abs=1e-3)
    assert plain[QUANTUM] < coarse[QUANTUM] - 1.0
    assert flat[PEAK] == pytest.approx(-1.0, abs=1e-3)
    assert flat[AT_PEAK] > plain[AT_PEAK] + 0.5
    assert gate[SILENT] == pytest.approx(1.0 - opened.mean(), abs=0.02)
    assert plain[SILENT] == 0.0


@pytest.mark.parametrize("num_samples", [1025, 3000, 65536])
@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0])
def test_silence_shortness_and_several_channels_are_finite(num_samples: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    found = all_of((scale * rng.standard_normal((2, num_samples, 2))).astype(np.float32))
    assert found.shape == (2, catalog.encoding_size())
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 7.0


def test_a_channel_twice_is_the_channel() -> None:
    audio = bursts()
    np.testing.assert_allclose(all_of(np.repeat(audio, 2, axis=2)), all_of(audio), atol=2e-3)
