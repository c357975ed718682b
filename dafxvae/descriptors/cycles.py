"""Cycles: the rate of an LFO, read off what it moves, and what the sound does in the course of one period.

Music and speech move too, and more than a phaser moves them. But an LFO comes back exactly, for as long as it is heard:
its power stands on a line and on the line's harmonics, where that of anything else is spread over all rates. So frames
are whitened (each of their cosine components, over the rates near each rate), and the rate is that whose first
`HARMONICS` harmonics together stand out most. At this rate the frames are averaged synchronously, which averages out
what is played: which harmonics of which components are how strong there tells how deep and how wide the movement is.
The LFO's phase does not matter, since a recording begins anywhere in it. Nothing here is learnt. Pure jnp, finite at
silence, any length.

References:
    Gardner 1986 (cyclostationarity: lines of what is periodic in the mean); Braun 1975 (synchronous averaging); Noll
    1970 (harmonic product and sum spectra).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import dsp
from dafxvae.audio.features import HOP_SEC
from dafxvae.descriptors.traces import LAG_RATE, SHORT_SEC, root_autocorrelation

WINDOW_HOPS = 4
NUM_MELS = 48
MEL_HZ = (60.0, 11500.0)
FIRST_LAG, NUM_LAGS, LAGS_EACH = round(SHORT_SEC[0] * LAG_RATE), 100, 8  # averages of eight lags: 1 to 34 ms
LOW_HZ, HIGH_HZ = 0.2, 8.3
LEAST_PERIODS = 1.1  # that a clip must hold of a rate that is looked for
HARMONICS = 12
FINENESS = 16  # points of a spectrum for each that the frames give: the twelfth harmonic of a rate must be met, too
BACKGROUND_HZ = 1.1  # over which the power around a line is averaged
CLIP = 3.0  # deviations of a whitened component: one loud onset is no cycle
HARMONIC_EDGES = (1, 2, 3, 5, 9)  # of the cells in which a period's power is averaged
COMPONENT_EDGES = (1, 2, 3, 5, 9, 25)
CELLS = (len(HARMONIC_EDGES) - 1) * (len(COMPONENT_EDGES) - 1)
RATE, CLEARNESS, PERIOD = 0, 1, 2  # places: log Hz; how far that rate stands out; where the period begins
NUM_CYCLES = PERIOD + CELLS
MIN_FRAMES = 16


class Kind(NamedTuple):
    """How much frames of music and speech move by themselves: exp(level) * (rate / Hz)^slope * component^tilt is the
    power of a component; from 160 training recordings, other draws differ by .4, .1 and .1 (`studies.lfo_rates`)."""

    level: float
    slope: float
    tilt: float


SPECTRUM, LAGS = Kind(3.48, -1.43, -0.87), Kind(-6.52, -1.19, 0.27)


def mel_frames(audio: Array, sample_rate: int) -> Array:
    """Log-mel frames, in which notches move; `[B, T, C] -> [B, N, NUM_MELS]`."""
    power, window = _power(audio, sample_rate)
    filters = dsp.mel_filterbank(sample_rate, window, NUM_MELS, MEL_HZ[0], min(MEL_HZ[1], sample_rate / 2))
    return jnp.log(power * (4.0 / window) ** 2 @ filters + 1e-9)


def lag_frames(audio: Array, sample_rate: int) -> Array:
    """Short lags, in which an echo moves (a comb's teeth are too narrow for mel bands); `-> [B, N, NUM_LAGS]`."""
    power, _ = _power(audio, sample_rate)
    lags = root_autocorrelation(power, sample_rate, FIRST_LAG + NUM_LAGS * LAGS_EACH)[..., FIRST_LAG:]
    return 10.0 * lags.reshape(*lags.shape[:2], NUM_LAGS, LAGS_EACH).mean(-1)


def spectrum_cycles(audio: Array, sample_rate: int) -> Array:
    """Of `mel_frames`; `[B, T, C] -> [B, NUM_CYCLES]`."""
    return cycles(mel_frames(audio, sample_rate), HOP_SEC, SPECTRUM)


def lag_cycles(audio: Array, sample_rate: int) -> Array:
    """Of `lag_frames`; `[B, T, C] -> [B, NUM_CYCLES]`."""
    return cycles(lag_frames(audio, sample_rate), HOP_SEC, LAGS)


GROUPS = {"cycles": spectrum_cycles, "lag_cycles": lag_cycles}
FRAMES = {"cycles": mel_frames, "lag_cycles": lag_frames}


def _power(audio: Array, sample_rate: int) -> tuple[Array, int]:
    """|STFT|^2 of the channels' mean power, `[B, N, F]`, and the window in samples."""
    hop = round(HOP_SEC * sample_rate)
    window = WINDOW_HOPS * hop
    return dsp.power_spectrogram(jnp.swapaxes(audio, 1, 2), window, hop).mean(1), window


def cycles(frames: Array, hop_sec: float, kind: Kind) -> Array:
    """The strongest rate of some frames and their period at it; `[B, N, D] -> [B, NUM_CYCLES]`.

    Log of the rate in Hz, how far it stands out, and how strong the period is (`fold`). Zeros where there are fewer
    than `MIN_FRAMES` frames, or not `LEAST_PERIODS` of any rate.
    """
    rates, step_hz = rates_of(frames.shape[1], hop_sec)
    if not len(rates):
        return jnp.zeros((len(frames), NUM_CYCLES))
    moving = movement(frames)
    standing_out = prominence(fine_power(whiten(moving, hop_sec)[0]), rates)
    best = jnp.argmax(standing_out, -1)
    clearness = jnp.take_along_axis(standing_out, best[:, None], -1)
    place = jnp.asarray(rates)[best]
    rate = place * step_hz
    columns = [jnp.log(rate)[:, None], jnp.log(jnp.maximum(clearness, 0.0) + 0.1), fold(moving, rate, hop_sec, kind)]
    return jnp.concatenate(columns, axis=-1)


def rates_of(num_frames: int, hop_sec: float) -> tuple[np.ndarray, float]:
    """The rates that are looked for in so many frames, as whole places, and the width of a place in Hz; none where
    there are fewer than `MIN_FRAMES` frames, or not `LEAST_PERIODS` of any rate."""
    step_hz = 1.0 / (hop_sec * num_frames * FINENESS)
    lowest = int(np.ceil(max(LOW_HZ, LEAST_PERIODS / (hop_sec * num_frames)) / step_hz))
    return np.arange(lowest, int(HIGH_HZ / step_hz) if num_frames >= MIN_FRAMES else lowest), step_hz


def movement(frames: Array) -> Array:
    """Cosine components of frames, without their means; `[B, N, D] -> [B, N, D - 1]`."""
    return (frames - frames.mean(1, keepdims=True)) @ jnp.asarray(cosines(frames.shape[-1]))


def cosines(num_bands: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II) of bands, without its mean; float32 `[D, D - 1]`."""
    places = (np.arange(num_bands)[:, None] + 0.5) * np.arange(1, num_bands)[None] * np.pi / num_bands
    return (np.sqrt(2.0 / num_bands) * np.cos(places)).astype(np.float32)


def whiten(moving: Array, hop_sec: float) -> tuple[Array, Array]:
    """Components divided by their power around each rate, of unit power, clipped, `[B, N, D]`; and by what each rate
    of their spectrum was divided, `[B, N // 2 + 1, D]`."""
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
    """The spectrum at `FINENESS` points for each that the frames give, of unit power for noise; `-> [B, Q, D]`."""
    return jnp.fft.rfft(white, FINENESS * white.shape[1], axis=1) / np.sqrt(white.shape[1])


def fine_power(white: Array) -> Array:
    """Its power, mean over components; `[B, Q]`."""
    spectrum = fine_spectrum(white)
    return (spectrum.real**2 + spectrum.imag**2).mean(-1)


def prominence(power: Array, rates: np.ndarray) -> Array:
    """How far the harmonics of each rate stand out together: their mean power above noise, times the square root of
    their number; `[B, Q] -> [B, len(rates)]`."""
    places = rates[:, None] * np.arange(1, HARMONICS + 1)[None]
    inside = places < 0.95 * power.shape[-1]
    counts = np.maximum(inside.sum(-1), 1)
    found = jnp.where(inside[None], power[:, np.minimum(places, power.shape[-1] - 1)], 0.0).sum(-1)
    return (found / counts[None] - 1.0) * jnp.asarray(np.sqrt(counts), jnp.float32)[None]


def fold(moving: Array, rate: Array, hop_sec: float, kind: Kind) -> Array:
    """How strong the period at `rate` is, by octaves of harmonics and of components; `[B, N, D], [B] -> [B, CELLS]`."""
    harmonics = np.arange(1, HARMONIC_EDGES[-1])
    seconds = hop_sec * np.arange(moving.shape[1])
    angles = 2.0 * np.pi * rate[:, None, None] * jnp.asarray(harmonics[None, :, None] * seconds, jnp.float32)
    num_components = COMPONENT_EDGES[-1] - 1
    found = jnp.einsum("bhn,bnk->bhk", jnp.exp(-1j * angles), moving[..., :num_components].astype(complex))
    power = (found.real**2 + found.imag**2) / moving.shape[1]
    expected = jnp.exp(kind.level) * (rate[:, None] * harmonics[None])[..., None] ** kind.slope
    tilt = np.arange(1, num_components + 1, dtype=np.float32)[None, None] ** kind.tilt
    relative = power / (expected * tilt)
    cells = jnp.einsum("hi,bhk,kj->bij", means_between(HARMONIC_EDGES), relative, means_between(COMPONENT_EDGES))
    return jnp.log(cells.reshape(len(cells), CELLS) + 0.3) / 2.0


def means_between(edges: tuple[int, ...]) -> np.ndarray:
    """What makes means of places 1, 2, 3, … between neighbouring edges; float32 `[edges[-1] - 1, len(edges) - 1]`."""
    places = np.arange(1, edges[-1])[:, None]
    inside = (places >= np.array(edges[:-1])) & (places < np.array(edges[1:]))
    return (inside / inside.sum(0)).astype(np.float32)
