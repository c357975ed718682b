"""A trained digit VAE in use: clips to latents, latents to magnitudes, magnitudes to sound."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from dafxvae.audio import dsp
from dafxvae.audio.griffin_lim import griffin_lim
from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.core.version import __version__
from dafxvae.core.weights import load_weights, save_weights
from dafxvae.digits.model import ClipVAE
from dafxvae.models.batches import in_batches
from dafxvae.models.vae import Posterior

CHUNK = 16  # examples at once: bounds the memory, and one compilation serves any number


def build_digit_vae(config: Config) -> ClipVAE:
    """The network of a configuration's part `digits`.

    Raises:
        UserError: a window or hop with which sound cannot be had back, or a clip shorter than a window.
    """
    window, hop = config.window_samples, config.hop_samples
    if hop < 1 or window % (2 * hop) or config.clip_samples <= window:
        raise UserError(
            f"digits.window_samples {window} must be an even multiple of digits.hop_samples {hop} and shorter than "
            f"digits.clip_samples {config.clip_samples}"
        )
    return ClipVAE(
        latent_dim=config.latent_dim,
        width=config.width,
        time_strides=tuple(config.time_strides),
        clip_samples=config.clip_samples,
        window_samples=window,
        hop_samples=hop,
    )


@partial(jax.jit, static_argnames=("vae", "method"))
def _apply(variables: Any, *arrays: Array, vae: ClipVAE, method: str) -> Any:
    """Compiled once for a network, not once for its variables: evaluations come often."""
    return vae.apply(variables, *arrays, method=getattr(ClipVAE, method))


@partial(jax.jit, static_argnames=("window", "hop"))
def _with_phases(magnitude: Array, audio: Array, *, window: int, hop: int) -> Array:
    phases = jnp.angle(dsp.stft(audio[..., 0], window, hop))
    return dsp.istft(magnitude * jnp.exp(1j * phases), hop, audio.shape[1])


class DigitVAE:
    """Network and variables; numpy in and out, any number of examples, deterministic."""

    def __init__(self, vae: ClipVAE, variables: Any, sample_rate: int, num_iterations: int):
        self.vae, self.variables, self.sample_rate, self.num_iterations = vae, variables, sample_rate, num_iterations

    def _call(self, method: str, *arrays: np.ndarray) -> Any:
        return in_batches(partial(_apply, self.variables, vae=self.vae, method=method), CHUNK, *arrays)

    def encode(self, audio: np.ndarray) -> Posterior:
        """Posterior of clips; `[B, T, 1] -> [B, Z]`."""
        return self._call("encode", audio)

    def mean(self, audio: np.ndarray) -> np.ndarray:
        """The latents of clips: the mean of their posterior; `[B, T, 1] -> [B, Z]`."""
        return np.asarray(self.encode(audio).mean)

    def log_magnitude(self, audio: np.ndarray) -> np.ndarray:
        """Standardised data; `[B, T, 1] -> [B, N, F]`."""
        return self._call("log_magnitude", audio)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Standardised log-magnitudes of latents; `[B, Z] -> [B, N, F]`."""
        return self._call("decode", z)

    def decode_magnitude(self, z: np.ndarray) -> np.ndarray:
        """Magnitudes of latents, as `dsp.istft` and Griffin-Lim take them; `[B, Z] -> [B, N, F]`."""
        return self._call("decode_magnitude", z)

    def with_phases(self, magnitude: np.ndarray, audio: np.ndarray) -> np.ndarray:
        """Magnitudes with the phases of clips; `[B, N, F], [B, T, 1] -> [B, T, 1]`."""
        sizes = {"window": self.vae.window_samples, "hop": self.vae.hop_samples}
        return in_batches(partial(_with_phases, **sizes), CHUNK, magnitude, audio)[..., None]

    def without_phases(self, magnitude: np.ndarray, seed: int = 0) -> np.ndarray:
        """Magnitudes as sound by fast Griffin-Lim; `[B, N, F] -> [B, T, 1]`."""
        keys = jax.random.split(jax.random.key(seed), len(magnitude))
        sizes = {"hop": self.vae.hop_samples, "num_samples": self.vae.clip_samples}
        find = partial(griffin_lim, num_iterations=self.num_iterations, **sizes)
        return in_batches(find, CHUNK, magnitude, keys)[..., None]


def save_digit_vae(path: Path, variables: Any, config: Config) -> None:
    """Writes the VAE with all that it takes to use it."""
    metadata = {
        "kind": "digits",
        "version": __version__,
        "sample_rate": config.sample_rate,
        "digits": config.digits.to_dict(),
        "seed": config.seed,
    }
    save_weights(path, {"vae": variables}, metadata)


def load_digit_vae(path: Path) -> DigitVAE:
    """A stored digit VAE.

    Raises:
        UserError: no such file, damaged, or something else.
    """
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "digits":
        raise UserError(
            f"{path} holds {metadata.get('kind')!r}, not a digit VAE: name a file of configs/spoken_digits.py"
        )
    config: Config = ConfigDict(metadata["digits"])
    vae = build_digit_vae(config)
    return DigitVAE(vae, variables["vae"], metadata["sample_rate"], config.griffin_lim_iterations)
