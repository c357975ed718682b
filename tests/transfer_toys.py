"""A controller with small random f, g and h, and recordings to transfer."""

import jax
import jax.numpy as jnp
import numpy as np
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.audio.io import write_audio
from dafxvae.controllers.controller import save_controller
from dafxvae.controllers.encoders import load_encoders, save_encoders
from dafxvae.descriptors import echoes
from dafxvae.effects.bank import open_bank
from dafxvae.effects.factory import open_host
from dafxvae.models import networks

CONFIG = tiny_config()
RATE = 44100


def save_toy(folder, effect="Reverb", name="toy", **changes):
    """Writes NAME.safetensors and encoders.safetensors; returns the former's path. `changes` as of `tiny_config`."""
    encoders_path = folder / "encoders.safetensors"
    if not encoders_path.exists():
        with open_bank(CONFIG.bank) as bank:
            save_encoders(encoders_path, *random_encoders(CONFIG, bank))
    encoders = load_encoders(encoders_path)
    config = tiny_config(effect=effect, **changes)
    with open_host(effect, num_workers=1) as host:
        names = host.parameters.names
    h = networks.build_h(config, len(names))
    features = jnp.zeros((1, config.g.latent_dim + echoes.NUM_COLUMNS))
    params = jax.device_get(jax.jit(h.init)(jax.random.key(0), features))["params"]
    rng = np.random.default_rng(3)
    params = jax.tree.map(
        lambda leaf: (4.0 / len(leaf) ** 0.5 * rng.standard_normal(leaf.shape)).astype(np.float32), params
    )
    params["MLP_0"]["Dense_1"]["bias"][len(names) :] = -1e3  # weights of random curves, which do not change with z
    path = folder / f"{name}.safetensors"
    save_controller(path, params, names, encoders, config)
    return path


def music(seconds=3.0, rate=RATE, channels=2, seed=0, level=0.3):
    """Plucks and soft noise, float32 `[T, C]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pluck = np.sin(2 * np.pi * (200 + 40 * seed) * time) * np.exp(-5 * (time % 0.4))
    sound = level * (pluck[:, None] + 0.1 * rng.standard_normal((len(time), channels)))
    return sound.astype(np.float32)


def flac_of_unknown_length(path, audio):
    """As encoders write it to a pipe."""
    write_audio(path, audio, RATE)
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(data)
    return path
