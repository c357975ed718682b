"""g, the controller encoder: the encoder of a beta-VAE over the joint encoding of input and reference."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dafxvae.models.mlp import MLP
from dafxvae.models.vae import Posterior, sample

LIMIT = 5.0  # deviations; no Gaussian of a thousand draws goes beyond


def soft_limit(x: Array) -> Array:
    """Identity near zero, never beyond +-`LIMIT`, so that an unusual input stays near the training data."""
    return LIMIT * jnp.tanh(x / LIMIT)


class SettingsPrediction(NamedTuple):
    """A prediction of what was done to the reference, over the whole bank of effects."""

    unit_params: Array  # [B, K]
    presence_logits: Array  # [B, U]: whether each single effect of the bank was applied


class SettingsHead(nn.Module):
    """Predicts from an embedding which effects were applied, and their settings; used in pretraining only.

    Attributes:
        widths: of the hidden layers; none for a linear head.
        num_params: K of the bank.
        num_units: U, number of single effects of the bank.
    """

    widths: tuple[int, ...]
    num_params: int
    num_units: int

    @nn.compact
    def __call__(self, embedding: Array) -> SettingsPrediction:
        x = MLP((*self.widths, self.num_params + self.num_units))(embedding)
        return SettingsPrediction(nn.sigmoid(x[:, : self.num_params]), x[:, self.num_params :])


class ControllerOutput(NamedTuple):
    """Data, reconstruction, posterior and predicted settings of a batch, for g's objective."""

    joint: Array  # [B, 2E] standardised data
    reconstruction: Array  # [B, 2E]
    posterior: Posterior  # [B, Z]
    settings: SettingsPrediction


class ControllerVAE(nn.Module):
    """The beta-VAE over the joint encoding, whose encoder is g.

    Its decoder reconstructs the standardised joint encoding. A head predicts the settings from the latent, because the
    reconstruction alone spends the latent on what was played. The head is linear, so that h finds what it needs in the
    latent from few examples.

    Attributes:
        latent_dim: Z.
        width: of the two hidden layers.
        joint_size: 2E.
        num_params, num_units: K and U of the bank of effects used in pretraining.
        dtype: in which the hidden layers compute; None for float32.
    """

    latent_dim: int
    width: int
    joint_size: int
    num_params: int
    num_units: int
    dtype: Any = None

    def setup(self) -> None:
        self.joint_mean = self.variable("constants", "joint_mean", jnp.zeros, (self.joint_size,))
        self.joint_deviation = self.variable("constants", "joint_deviation", jnp.ones, (self.joint_size,))
        self.encoder = MLP((self.width, self.width, 2 * self.latent_dim), dtype=self.dtype)
        self.encoder_skip = nn.Dense(
            self.latent_dim, use_bias=False
        )  # keeps levels in order: a level in the encoding is a level in z
        self.decoder = MLP((self.width, self.width, self.joint_size), dtype=self.dtype)
        self.settings_head = SettingsHead((), self.num_params, self.num_units)

    def standardise(self, joint: Array) -> Array:
        """Standardise by constants measured once on encodings of f; `[B, 2E] -> [B, 2E]`.

        Outliers, such as encodings of near silence, are limited smoothly to `LIMIT` deviations.
        """
        data = (joint - self.joint_mean.value[None]) / self.joint_deviation.value[None]
        return soft_limit(data)

    def posterior(self, data: Array) -> Posterior:
        """Posterior of the standardised joint encoding; `[B, 2E] -> [B, Z]`."""
        mean, log_variance = jnp.split(self.encoder(data), 2, axis=-1)
        return Posterior(soft_limit(mean + self.encoder_skip(data)), jnp.clip(log_variance, -10.0, 5.0))

    def infer(self, joint: Array) -> Posterior:
        """Posterior of the raw joint encoding; `[B, 2E] -> [B, Z]`."""
        return self.posterior(self.standardise(joint))

    def encode(self, joint: Array) -> Array:
        """g: the posterior mean, deterministic; `[B, 2E] -> [B, Z]`."""
        return self.infer(joint).mean

    def __call__(self, joint: Array, keys: Array, input_noise: float = 0.0) -> ControllerOutput:
        """Run a training pass: reconstruction and settings from a sampled latent.

        Args:
            joint: raw joint encodings `[B, 2E]`.
            keys: typed PRNG keys `[B]`.
            input_noise: deviation of Gaussian noise on the encoder's input, in units of the standardised encoding; the
                clean encoding is reconstructed. Keeps g from memorising pairs that are seen often.

        References:
            Im et al. 2017 (denoising VAE).
        """
        data = self.standardise(joint)
        seen = data
        if input_noise:
            noise_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
            seen = data + input_noise * jax.vmap(lambda key: jax.random.normal(key, data.shape[1:]))(noise_keys)
        posterior = self.posterior(seen)
        z = sample(posterior, keys)
        return ControllerOutput(data, self.decoder(z), posterior, self.settings_head(z))
