"""Combs: short lags that stand out in the frames, as choruses and flangers cause them."""

import jax.numpy as jnp
from jax import Array

from dafxvae.descriptors.autocorrelation import SHORT_SEC, lag_bands, lag_edges, short_lags, strongest
from dafxvae.descriptors.descriptor import Descriptor, Recordings

NUM_BANDS = 16
FRAME_STEP = 2  # every other frame: neighbours overlap by three quarters


def measure_combs(recordings: Recordings) -> Array:
    """Logarithms, in bands of lags: of the mean over time (a comb that stands), of the size; `[B, 2 NUM_BANDS]`."""
    lags = short_lags(recordings.power[:, ::FRAME_STEP], recordings.sample_rate)
    edges = lag_edges(SHORT_SEC, NUM_BANDS)
    edges = edges - edges[0]
    size = jnp.sqrt((lags**2).mean(1))
    inside = lag_bands(edges, size.shape[-1]).T
    sizes = size @ jnp.asarray(inside / inside.sum(0), jnp.float32)
    return jnp.log(jnp.concatenate([strongest(lags.mean(1), edges), sizes], axis=-1) + 1e-3) + 4.0


COMBS = Descriptor("combs", lambda _: 2 * NUM_BANDS, measure_combs, in_encoding=True)
