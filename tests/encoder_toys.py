"""Random f and g of a tiny configuration."""

import jax
import numpy as np

from dafxvae.models import networks
from dafxvae.runs import build


def random_encoders(config, bank):
    """Their variables, and what is stored of their making."""
    metadata = build.describe_encoders(config, bank)
    encoders = networks.encoders_from({}, metadata)
    key = jax.random.key(0)
    clip = 0.1 * jax.random.normal(key, (1, 8192, 1))
    f = jax.device_get(jax.jit(encoders.f.init, static_argnums=2)(key, clip, config.sample_rate, key[None]))
    g = jax.device_get(jax.jit(encoders.g.init)(key, np.zeros((1, encoders.g.joint_size)), key[None]))
    return {"f": f, "g": g}, metadata
