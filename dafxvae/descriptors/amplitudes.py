"""Amplitudes: shares of samples above thresholds, in which limiters, gates and quantisers show."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.descriptors.autocorrelation import LAG_RATE
from dafxvae.descriptors.descriptor import Descriptor, Recordings

THRESHOLDS_DB = np.arange(-60.0, 1.0, 3.0)
PEAK_SHARES = np.asarray([[0.98, 0.9]], np.float32)
BLOCK_SEC = 0.01
LEVEL_QUANTILES = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
STEP_QUANTILES = (0.01, 0.05, 0.2, 0.8, 0.95, 0.99)
TINY = 1e-5  # added before logarithms: -100 dB
PEAK, QUANTUM = len(THRESHOLDS_DB), len(THRESHOLDS_DB) + 4
FIRST_LEVEL = len(THRESHOLDS_DB) + 8
NUM_COLUMNS = FIRST_LEVEL + len(LEVEL_QUANTILES) + len(STEP_QUANTILES)


def measure_amplitudes(recordings: Recordings) -> Array:
    """Shares of samples above thresholds, peak, steps, and quantiles of the level in blocks and of its changes.

    `[B, NUM_COLUMNS]`.
    """
    audio, sample_rate = recordings.audio, recordings.sample_rate
    samples = audio.reshape(len(audio), -1)
    size = jnp.abs(samples)
    peak = size.max(-1, keepdims=True)
    apart = max(round(sample_rate / LAG_RATE), 1)
    step = jnp.abs(audio[:, apart:] - audio[:, :-apart]).reshape(len(audio), -1)
    smallest = jnp.min(jnp.where(step > 1e-6, step, 1.0), -1)  # in a quantised sound: its quantum
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
    fixed, near_peak = jnp.split(shares, [len(THRESHOLDS_DB)], axis=-1)
    columns = [fixed, jnp.log10(peak + TINY), near_peak, jnp.stack(single, -1), levels, changes]
    return jnp.concatenate(columns, axis=-1)


AMPLITUDES = Descriptor(
    "amplitudes", lambda _: NUM_COLUMNS, measure_amplitudes, in_encoding=True, direct=(PEAK, QUANTUM)
)
