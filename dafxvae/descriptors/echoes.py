"""Echoes: lags that stand out in the autocorrelation of the whole recording.

A spectrogram with frames of 85 ms hardly shows the time of an echo; the autocorrelation shows it to a sample.
"""

import jax.numpy as jnp
from jax import Array

from dafxvae.descriptors.autocorrelation import LAG_RATE, lag_edges, root_autocorrelation, strongest
from dafxvae.descriptors.descriptor import Descriptor, Recordings

ECHO_SEC = (0.015, 1.0)
FIRST_ECHO_SEC = 0.02  # of the strongest one: shorter lags are pitches
NUM_ECHOES = 32
STRONGEST_LAG, CONFIDENCE = NUM_ECHOES + 1, NUM_ECHOES + 3
NUM_COLUMNS = NUM_ECHOES + 4
TINY = 1e-5  # added to the lags' deviation, which silence has none of


def measure_echoes(recordings: Recordings) -> Array:
    """How far lags stand out, in bands; their deviation; the strongest lag, its size and how far it stands out.

    `[B, NUM_COLUMNS]`; the strongest lag is the logarithm of seconds, shifted to the middle of its range.
    """
    audio, sample_rate = recordings.audio, recordings.sample_rate
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
        jnp.log(place / LAG_RATE) + 2.0,  # log seconds: a delay's time has a logarithmic scale, too
        10.0 * peak,
        jnp.log(jnp.abs(peak) / noise + 0.1) - 2.0,
    ]
    return jnp.concatenate(columns, axis=-1)


ECHOES = Descriptor(
    "echoes", lambda _: NUM_COLUMNS, measure_echoes, in_encoding=True, direct=(STRONGEST_LAG,), confidence=CONFIDENCE
)
