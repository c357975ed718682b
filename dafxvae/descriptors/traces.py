"""Traces that effects leave where a spectrogram hardly looks: echoes, periodic movement, edges of the amplitude.

A delay of known power is plain in an autocorrelation and invisible in frames of 85 ms; an LFO is a periodicity of what
moves, whatever is played; a limiter, a gate or a quantiser shows in how often which amplitudes occur. Nothing here is
learnt. Pure jnp, finite at silence, any length; each number is about [-2, 2].

References:
    Bogert, Healy & Tukey 1963 (echoes in a compressed spectrum); Lim 1979 (root instead of logarithm);
    Foote & Uchihashi 2001 (periodicity of a self-similarity: the beat spectrum).
"""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jax import Array

LAG_RATE = 24000  # Hz, at which lags are sampled whatever the sample rate: what is above half of it is not looked at
ROOT = 1 / 12  # of the power: flat enough that an echo's comb outweighs formants, without a logarithm's noise in gaps
ECHO_SEC = (0.015, 1.0)
FIRST_ECHO_SEC = 0.02  # of the strongest one: below are pitches
NUM_ECHOES = 32
SHORT_SEC = (0.001, 0.035)  # combs of choruses and flangers
NUM_SHORT = 16
RATES_HZ = np.geomspace(0.2, 9.0, 24)
MOVEMENT_SEC = 2.2  # longest period that is looked for
STILL_SEC = 0.085  # frames that overlap resemble each other anyway
THRESHOLDS_DB = np.arange(-60.0, 1.0, 3.0)
PEAK_SHARES = np.asarray([[0.98, 0.9]], np.float32)
BLOCK_SEC = 0.01
LEVEL_QUANTILES = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
STEP_QUANTILES = (0.01, 0.05, 0.2, 0.8, 0.95, 0.99)
TINY = 1e-5
GROUPS = {  # their sizes, in this order
    "echoes": NUM_ECHOES + 4,
    "combs": 2 * NUM_SHORT,
    "movement": 2 * len(RATES_HZ),
    "amplitudes": len(THRESHOLDS_DB) + 8 + len(LEVEL_QUANTILES) + len(STEP_QUANTILES),
}
NUM_TRACES = sum(GROUPS.values())
# Traces that may equal a parameter up to a curve, by their place in a group: the strongest lag; the peak, the quantum.
READINGS = {"echoes": (NUM_ECHOES + 1,), "amplitudes": (len(THRESHOLDS_DB), len(THRESHOLDS_DB) + 4)}
CLEARNESS = NUM_ECHOES + 3  # among the echoes: how far the strongest lag stands out


def traces(audio: Array, power: Array, log_mel: Array, sample_rate: int, hop_sec: float) -> Array:
    """All of them, group by group; `[B, NUM_TRACES]`.

    Args:
        audio: `[B, T, C]`.
        power: spectrogram `[B, N, F]` of the channels' mean, with windows of at least `SHORT_SEC[1]`.
        log_mel: `[B, N, M]` of the same frames.
        sample_rate: in Hz.
        hop_sec: distance of two frames.
    """
    lags = short_lags(power[:, ::2], sample_rate)
    spectrum = log_mel - log_mel.mean(-1, keepdims=True)
    return jnp.concatenate(
        [
            echoes(audio, sample_rate),
            combs(lags),
            movement(lags, 2.0 * hop_sec),
            movement(spectrum, hop_sec),
            amplitudes(audio, sample_rate),
        ],
        axis=-1,
    )


def group_columns(names: Iterable[str]) -> np.ndarray:
    """Where groups of traces stand among all; KeyError for a name that is none of `GROUPS`."""
    starts = dict(zip(GROUPS, np.cumsum([0, *GROUPS.values()]).tolist()))
    return np.concatenate([np.zeros(0, int), *(starts[name] + np.arange(GROUPS[name]) for name in names)])


def root_autocorrelation(power: Array, sample_rate: int, num_lags: int) -> Array:
    """Autocorrelation of what has the power spectrum power**`ROOT`, 1 at lag 0; `[..., F] -> [..., num_lags]`.

    A gain does not change it; lags beyond those that there are, and all of silence, are 0. Lags are at `LAG_RATE`.
    """
    num_bins = round((power.shape[-1] - 1) * LAG_RATE / sample_rate) + 1
    power = power[..., :num_bins]
    power = jnp.pad(power, [(0, 0)] * (power.ndim - 1) + [(0, num_bins - power.shape[-1])])
    relative = power / (power.mean(-1, keepdims=True) + 1e-12)
    lags = jnp.fft.irfft((relative + 1e-6) ** ROOT)
    lags = lags[..., : min(num_lags, lags.shape[-1] // 2)] / lags[..., :1]
    return jnp.pad(lags, [(0, 0)] * (lags.ndim - 1) + [(0, num_lags - lags.shape[-1])])


def lag_edges(range_sec: tuple[float, float], count: int) -> np.ndarray:
    """`count + 1` edges in lags, their ratios equal."""
    return np.round(np.geomspace(*range_sec, count + 1) * LAG_RATE).astype(int)


def bands(edges: np.ndarray, num_lags: int) -> np.ndarray:
    """Which lags lie between neighbouring edges; bool `[len(edges) - 1, num_lags]`."""
    places = np.arange(num_lags)[None]
    return (places >= edges[:-1, None]) & (places < edges[1:, None])


def strongest(lags: Array, edges: np.ndarray) -> Array:
    """Greatest magnitude between neighbouring edges; `[B, L] -> [B, len(edges) - 1]`."""
    inside = jnp.asarray(bands(edges, lags.shape[-1]))
    return jnp.max(jnp.where(inside[None], jnp.abs(lags)[:, None], 0.0), -1)


def echoes(audio: Array, sample_rate: int) -> Array:
    """How far the whole clip's lags stand out, in bands, and the strongest lag; `[B, NUM_ECHOES + 4]`."""
    spectrum = jnp.fft.rfft(jnp.swapaxes(audio, 1, 2), 2 * audio.shape[1])
    power = (spectrum.real**2 + spectrum.imag**2).mean(1)
    edges = lag_edges(ECHO_SEC, NUM_ECHOES)
    lags = root_autocorrelation(power, sample_rate, int(edges[-1]))
    noise = jnp.sqrt(jnp.mean(lags[:, edges[0] :] ** 2, -1, keepdims=True)) + TINY
    first = round(FIRST_ECHO_SEC * LAG_RATE)
    place = jnp.argmax(jnp.abs(lags[:, first:]), -1)[:, None] + first
    peak = jnp.take_along_axis(lags, place, -1)
    columns = [
        jnp.log(strongest(lags, edges) / noise + 0.1) - 1.0,
        jnp.log(noise) + 6.0,
        jnp.log(place / LAG_RATE) + 2.0,  # log seconds, as a delay's time is spaced
        10.0 * peak,
        jnp.log(jnp.abs(peak) / noise + 0.1) - 2.0,
    ]
    return jnp.concatenate(columns, axis=-1)


def short_lags(power: Array, sample_rate: int) -> Array:
    """Root autocorrelation of every frame over `SHORT_SEC`; `[B, N, F] -> [B, N, L]`."""
    first, last = lag_edges(SHORT_SEC, 1)
    return root_autocorrelation(power, sample_rate, int(last))[..., first:]


def combs(lags: Array) -> Array:
    """Short lags, in bands: of the mean over time (a comb that stands) and of their size; `[B, 2 NUM_SHORT]`."""
    edges = lag_edges(SHORT_SEC, NUM_SHORT)
    edges = edges - edges[0]
    size = jnp.sqrt((lags**2).mean(1))
    inside = bands(edges, size.shape[-1]).T
    sizes = size @ jnp.asarray(inside / inside.sum(0), jnp.float32)
    return jnp.log(jnp.concatenate([strongest(lags.mean(1), edges), sizes], axis=-1) + 1e-3) + 4.0


def movement(frames: Array, hop_sec: float) -> Array:
    """How alike frames are that lie a period apart, by the rate of the period; `[B, N, D] -> [B, len(RATES_HZ)]`.

    The cosine similarity of all pairs of frames, their mean over time taken off, averaged by distance and Fourier
    transformed: rates at which what is heard comes back.
    """
    moving = frames - frames.mean(1, keepdims=True)
    moving = moving / (jnp.linalg.norm(moving, axis=-1, keepdims=True) + 1e-6)
    num_frames, longest = frames.shape[1], round(MOVEMENT_SEC / hop_sec)
    spectrum = jnp.fft.rfft(moving, 2 * num_frames, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(-1)
    alike = jnp.fft.irfft(power, 2 * num_frames)[:, :num_frames] / np.arange(num_frames, 0, -1)[None]
    alike = jnp.pad(alike, ((0, 0), (0, max(longest - num_frames, 0))))[:, :longest]
    apart_sec = np.arange(longest) * hop_sec
    apart = apart_sec >= STILL_SEC
    window = apart * np.hanning(2 * longest + 1)[longest:-1]
    waves = 10.0 / longest * window[:, None] * np.cos(2.0 * np.pi * apart_sec[:, None] * RATES_HZ[None])
    return (alike - alike[:, apart].mean(-1, keepdims=True)) @ jnp.asarray(waves, jnp.float32)


def amplitudes(audio: Array, sample_rate: int) -> Array:
    """Shares of samples above thresholds, peaks, steps, and quantiles of the level and its changes in blocks."""
    samples = audio.reshape(len(audio), -1)
    size = jnp.abs(samples)
    peak = size.max(-1, keepdims=True)
    apart = max(round(sample_rate / LAG_RATE), 1)
    step = jnp.abs(audio[:, apart:] - audio[:, :-apart]).reshape(len(audio), -1)
    smallest = jnp.min(jnp.where(step > 1e-6, step, 1.0), -1)  # of a quantised sound: its quantum
    block = round(BLOCK_SEC * sample_rate)
    num_blocks = audio.shape[1] // block
    blocks = audio[:, : num_blocks * block].reshape(len(audio), num_blocks, -1)
    level = 10.0 * jnp.log10((blocks**2).mean(-1) + 1e-10)
    crest = 20.0 * jnp.log10(jnp.abs(blocks).max(-1) + TINY) - level
    fixed = jnp.broadcast_to(jnp.asarray(10.0 ** (THRESHOLDS_DB / 20.0), jnp.float32), (len(audio), len(THRESHOLDS_DB)))
    thresholds = jnp.concatenate([fixed, PEAK_SHARES * peak], axis=-1)
    shares = jnp.log10((size[:, None] > thresholds[..., None]).mean(-1) + TINY) / 2.0 + 1.0
    single = [
        (step < 1e-7).mean(-1),
        jnp.log2(smallest) / 4.0 + 4.0,
        (level < -90.0).mean(-1),
        crest.mean(-1) / 6.0 - 1.0,
        crest.std(-1) / 6.0,
    ]
    levels = jnp.quantile(level, jnp.asarray(LEVEL_QUANTILES), axis=-1).T / 12.0 + 2.0
    changes = jnp.quantile(jnp.diff(level), jnp.asarray(STEP_QUANTILES), axis=-1).T / 12.0
    fixed, near = jnp.split(shares, [len(THRESHOLDS_DB)], axis=-1)
    return jnp.concatenate([fixed, jnp.log10(peak + TINY), near, jnp.stack(single, -1), levels, changes], axis=-1)
