"""The LFO's rate: found as a line in the spectrum of what moves, with the strength of the movement in one period.

Music and speech move more than a phaser moves them. But an LFO repeats exactly for as long as the recording lasts: its
power lies on a line and the line's harmonics, while the power of everything else is spread over all rates. So the
cosine components of the frames are whitened over neighbouring rates, and the rate is the one whose first `HARMONICS`
harmonics together stand out most. Averaging the frames synchronously at this rate cancels what is played; the strength
of each harmonic of each component shows how deep and how wide the movement is. The LFO's phase does not matter: a
recording begins anywhere in it. Pure jnp, nothing learnt, finite at silence and for any length.

References:
    Gardner 1986 (cyclostationarity: lines of what is periodic in the mean); Braun 1975 (synchronous averaging); Noll
    1970 (harmonic product and sum spectra).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp, mel
from dafxvae.audio.features import HOP_SEC
from dafxvae.descriptors.autocorrelation import LAG_RATE, SHORT_SEC, root_autocorrelation
from dafxvae.descriptors.descriptor import Descriptor, Recordings

WINDOW_HOPS = 4
NUM_MELS = 48
MEL_HZ = (60.0, 11500.0)
FIRST_LAG, NUM_LAGS, LAGS_EACH = round(SHORT_SEC[0] * LAG_RATE), 100, 8  # averages of eight lags: 1 to 34 ms
LOW_HZ, HIGH_HZ = 0.2, 8.3
LEAST_PERIODS = 1.1  # of a rate that a clip must hold before it is a candidate
HARMONICS = 12
FINENESS = 16  # points of the spectrum per point that the frames give: the twelfth harmonic must be met, too
BACKGROUND_HZ = 1.1  # width over which the power around a line is averaged
CLIP = 3.0  # deviations of a whitened component: one loud onset is no period
HARMONIC_EDGES = (1, 2, 3, 5, 9)  # of the cells in which a period's power is averaged
COMPONENT_EDGES = (1, 2, 3, 5, 9, 25)
CELLS = (len(HARMONIC_EDGES) - 1) * (len(COMPONENT_EDGES) - 1)
RATE, CONFIDENCE, PERIOD = 0, 1, 2  # columns: log Hz; how far the rate stands out; the first one of the period
NUM_COLUMNS = PERIOD + CELLS
MIN_FRAMES = 16


class Background(NamedTuple):
    """Power of the movement of frames in music and speech without an effect, by rate and component.

    A component has the power exp(level) * (rate / Hz)^slope * component^tilt; fitted to training recordings by
    `benchmarks/studies/lfo_rates.py`.
    """

    level: float
    slope: float
    tilt: float


SPECTRUM_BACKGROUND, LAG_BACKGROUND = Background(3.48, -1.43, -0.87), Background(-6.52, -1.19, 0.27)


def mel_frames(audio: Array, sample_rate: int) -> Array:
    """Log-mel frames, in which a phaser's notches move; `[B, T, C] -> [B, N, NUM_MELS]`."""
    power = mel.scaled_power(jnp.swapaxes(audio, 1, 2), *_window(sample_rate)).mean(1)
    return mel.log_mel(power, sample_rate, NUM_MELS, MEL_HZ[0], min(MEL_HZ[1], sample_rate / 2))


def lag_frames(audio: Array, sample_rate: int) -> Array:
    """Short lags, in which a chorus's echo moves; `[B, T, C] -> [B, N, NUM_LAGS]`.

    The teeth of such a comb are too narrow for mel bands.
    """
    power = dsp.power_spectrogram(jnp.swapaxes(audio, 1, 2), *_window(sample_rate)).mean(1)
    lags = root_autocorrelation(power, sample_rate, FIRST_LAG + NUM_LAGS * LAGS_EACH)[..., FIRST_LAG:]
    return 10.0 * lags.reshape(*lags.shape[:2], NUM_LAGS, LAGS_EACH).mean(-1)


def _window(sample_rate: int) -> tuple[int, int]:
    """Window and hop in samples."""
    hop = round(HOP_SEC * sample_rate)
    return WINDOW_HOPS * hop, hop


def measure_lfo(frames: Array, hop_sec: float, background: Background) -> Array:
    """The rate whose harmonics stand out most, and the movement in its period; `[B, N, D] -> [B, NUM_COLUMNS]`.

    Columns: logarithm of the rate in Hz, of how far it stands out, and the strength of the period
    (`period_strength`). All 0 where `candidate_rates` gives none.
    """
    rates, step_hz = candidate_rates(frames.shape[1], hop_sec)
    if not len(rates):
        return jnp.zeros((len(frames), NUM_COLUMNS))
    moving = cosine_components(frames)
    standing_out = prominence(fine_power(whiten(moving, hop_sec)[0]), rates)
    best = jnp.argmax(standing_out, -1)
    most = jnp.take_along_axis(standing_out, best[:, None], -1)
    place = jnp.asarray(rates)[best]
    rate = place * step_hz
    strength = period_strength(moving, rate, hop_sec, background)
    return jnp.concatenate([jnp.log(rate)[:, None], jnp.log(jnp.maximum(most, 0.0) + 0.1), strength], axis=-1)


def _descriptor(name: str, frames: Callable[[Array, int], Array], background: Background) -> Descriptor:
    def compute(recordings: Recordings) -> Array:
        return measure_lfo(frames(recordings.audio, recordings.sample_rate), HOP_SEC, background)

    return Descriptor(
        name,
        lambda _: NUM_COLUMNS,
        compute,
        direct=(RATE,),
        direct_is_rate=True,
        confidence=CONFIDENCE,
        uncertain=PERIOD,
    )


LFO = _descriptor("lfo", mel_frames, SPECTRUM_BACKGROUND)
LFO_LAGS = _descriptor("lfo_lags", lag_frames, LAG_BACKGROUND)


def candidate_rates(num_frames: int, hop_sec: float) -> tuple[np.ndarray, float]:
    """The rates to look for in a number of frames, as whole multiples of a step, and the step in Hz.

    None where there are fewer than `MIN_FRAMES` frames, or not `LEAST_PERIODS` of any rate.
    """
    step_hz = 1.0 / (hop_sec * num_frames * FINENESS)
    lowest = int(np.ceil(max(LOW_HZ, LEAST_PERIODS / (hop_sec * num_frames)) / step_hz))
    return np.arange(lowest, int(HIGH_HZ / step_hz) if num_frames >= MIN_FRAMES else lowest), step_hz


def cosine_components(frames: Array) -> Array:
    """Cosine components of frames without their mean over time; `[B, N, D] -> [B, N, D - 1]`."""
    return (frames - frames.mean(1, keepdims=True)) @ jnp.asarray(cosine_transform(frames.shape[-1]))


def cosine_transform(num_bands: int) -> np.ndarray:
    """Matrix of the orthonormal DCT-II without its first column, the mean; float32 `[D, D - 1]`."""
    places = (np.arange(num_bands)[:, None] + 0.5) * np.arange(1, num_bands)[None] * np.pi / num_bands
    return (np.sqrt(2.0 / num_bands) * np.cos(places)).astype(np.float32)


def whiten(moving: Array, hop_sec: float) -> tuple[Array, Array]:
    """Divide components by the root of their power around each rate, and clip them.

    Args:
        moving: `[B, N, D]`.
        hop_sec: distance of two frames.

    Returns:
        The whitened components, of unit power before they are clipped, `[B, N, D]`; the divisor of each rate of their
        spectrum, `[B, N // 2 + 1, D]`.
    """
    num_frames = moving.shape[1]
    half = max(3, round(0.5 * BACKGROUND_HZ * hop_sec * num_frames))
    spectrum = jnp.fft.rfft(moving, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    half = min(half, power.shape[1] - 1)
    padded = jnp.pad(power, ((0, 0), (half, half), (0, 0)), mode="reflect")
    total = jnp.cumsum(jnp.pad(padded, ((0, 0), (1, 0), (0, 0))), axis=1)
    around = (total[:, 2 * half + 1 :] - total[:, : -2 * half - 1]) / (2 * half + 1)
    floor = 1e-9 * power.mean((1, 2), keepdims=True) + 1e-12
    deviation = jnp.sqrt(jnp.maximum(around, 0.0) + floor)
    white = jnp.fft.irfft(spectrum / deviation, num_frames, axis=1)
    scale = jnp.sqrt((white**2).mean((1, 2), keepdims=True)) + 1e-6
    return jnp.clip(white / scale, -CLIP, CLIP), deviation * scale


def fine_spectrum(white: Array) -> Array:
    """Spectrum with `FINENESS` times as many points, of unit power for noise; `[B, N, D] -> [B, Q, D]`."""
    return jnp.fft.rfft(white, FINENESS * white.shape[1], axis=1) / np.sqrt(white.shape[1])


def fine_power(white: Array) -> Array:
    """Power of the fine spectrum, mean over components; `[B, N, D] -> [B, Q]`."""
    spectrum = fine_spectrum(white)
    return (spectrum.real**2 + spectrum.imag**2).mean(-1)


def prominence(power: Array, rates: np.ndarray) -> Array:
    """How far the harmonics of each rate stand out together; `[B, Q] -> [B, len(rates)]`.

    Their mean power above noise, times the square root of their number, so that noise has the same deviation for all.
    """
    places = rates[:, None] * np.arange(1, HARMONICS + 1)[None]
    inside = places < 0.95 * power.shape[-1]
    counts = np.maximum(inside.sum(-1), 1)
    found = jnp.where(inside[None], power[:, np.minimum(places, power.shape[-1] - 1)], 0.0).sum(-1)
    return (found / counts[None] - 1.0) * jnp.asarray(np.sqrt(counts), jnp.float32)[None]


def period_strength(moving: Array, rate: Array, hop_sec: float, background: Background) -> Array:
    """Strength of the period at a rate in Hz, by harmonics and components; `[B, N, D], [B] -> [B, CELLS]`."""
    harmonics = np.arange(1, HARMONIC_EDGES[-1])
    seconds = hop_sec * np.arange(moving.shape[1])
    angles = 2.0 * np.pi * rate[:, None, None] * jnp.asarray(harmonics[None, :, None] * seconds, jnp.float32)
    num_components = COMPONENT_EDGES[-1] - 1
    found = jnp.einsum("bhn,bnk->bhk", jnp.exp(-1j * angles), moving[..., :num_components].astype(complex))
    power = (found.real**2 + found.imag**2) / moving.shape[1]
    expected = jnp.exp(background.level) * (rate[:, None] * harmonics[None])[..., None] ** background.slope
    tilt = np.arange(1, num_components + 1, dtype=np.float32)[None, None] ** background.tilt
    relative = power / (expected * tilt)
    cells = jnp.einsum("hi,bhk,kj->bij", cell_means(HARMONIC_EDGES), relative, cell_means(COMPONENT_EDGES))
    return jnp.log(cells.reshape(len(cells), CELLS) + 0.3) / 2.0


def cell_means(edges: tuple[int, ...]) -> np.ndarray:
    """Matrix that averages places 1, 2, 3, … between neighbouring edges; float32 `[edges[-1] - 1, len(edges) - 1]`."""
    places = np.arange(1, edges[-1])[:, None]
    inside = (places >= np.array(edges[:-1])) & (places < np.array(edges[1:]))
    return (inside / inside.sum(0)).astype(np.float32)
