"""g and h: from the joint encoding of input and reference to a latent, and from the latent to settings."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dafxvae.descriptors import curves
from dafxvae.descriptors.matched import SPREAD
from dafxvae.models.mlp import MLP
from dafxvae.models.vae import Posterior, sample

LIMIT = 5.0  # deviations; no Gaussian of a thousand draws goes beyond


def soft_limit(x: Array) -> Array:
    """The identity near zero, never beyond +-`LIMIT`: nothing that was never seen leads far from what was."""
    return LIMIT * jnp.tanh(x / LIMIT)


class SettingsPrediction(NamedTuple):
    """A guess of what was done to the reference, over the whole bank of effects."""

    unit_params: Array  # [B, K]
    presence_logits: Array  # [B, U]: is the bank's single effect among what was applied?


class SettingsHead(nn.Module):
    """Which effects were applied, and their settings, from any embedding; used in pretraining alone.

    Attributes:
        widths: of the hidden layers; none for a linear head.
        num_params: K of the bank.
        num_units: U, single effects of the bank.
    """

    widths: tuple[int, ...]
    num_params: int
    num_units: int

    @nn.compact
    def __call__(self, embedding: Array) -> SettingsPrediction:
        x = MLP((*self.widths, self.num_params + self.num_units))(embedding)
        return SettingsPrediction(nn.sigmoid(x[:, : self.num_params]), x[:, self.num_params :])


class ControllerOutput(NamedTuple):
    """What training g looks at."""

    joint: Array  # [B, 2E] standardised data
    reconstruction: Array  # [B, 2E]
    posterior: Posterior  # [B, Z]
    settings: SettingsPrediction


class ControllerVAE(nn.Module):
    """The beta-VAE over the joint encoding, whose encoder is g.

    Its decoder reconstructs the standardised joint encoding; a head reads the settings off the latent, so that what
    matters for control is kept (the reconstruction alone spends the latent on what was played). The head is linear:
    what h will need stands in the latent as it is, and few examples are enough to find it.

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
        self.encoder_skip = nn.Dense(self.latent_dim, use_bias=False)  # a level in the encoding stays a level in z
        self.decoder = MLP((self.width, self.width, self.joint_size), dtype=self.dtype)
        self.settings_head = SettingsHead((), self.num_params, self.num_units)

    def standardise(self, joint: Array) -> Array:
        """By fixed constants, measured once on encodings of f and stored with the weights; outliers (the encodings of
        near silence, say) are drawn in smoothly to `LIMIT` deviations."""
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
        """g: the deterministic latent, the posterior mean; `[B, 2E] -> [B, Z]`."""
        return self.infer(joint).mean

    def __call__(self, joint: Array, keys: Array, input_noise: float = 0.0) -> ControllerOutput:
        """A training pass: everything is decoded from a sampled latent.

        Args:
            joint: raw joint encodings `[B, 2E]`.
            keys: typed PRNG keys `[B]`.
            input_noise: deviation of Gaussian noise on what the encoder sees, in units of the standardised encoding;
                the clean one is reconstructed (a denoising VAE, Im et al. 2017), so that an encoding that is seen often
                is not learnt by heart.
        """
        data = self.standardise(joint)
        seen = data
        if input_noise:
            noise_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
            seen = data + input_noise * jax.vmap(lambda key: jax.random.normal(key, data.shape[1:]))(noise_keys)
        posterior = self.posterior(seen)
        z = sample(posterior, keys)
        return ControllerOutput(data, self.decoder(z), posterior, self.settings_head(z))


class Experts(NamedTuple):
    """A guess of each setting, then what each reading says; J readings."""

    settings: Array  # [B, K, 1 + J] in [0, 1]
    trust: Array  # [B, K, 1 + J], sums to 1


class ControllerDecoder(nn.Module):
    """h: latent to settings in [0, 1]; starts at the middle of every range.

    A setting is guessed from all that h hears, or read off one trace by a curve (`descriptors.curves`), whichever h
    trusts more. A network of any size blurs: with a delay's exact time among its inputs it comes within 2 % of the
    range in a quarter of the pairs, the curve in 90 %. The guess ends in a sigmoid, not a clamp: a clamped setting has
    no gradient outside its range.

    Attributes:
        widths: of the hidden layers.
        num_params: K of the effect.
        num_traces: S; the last S inputs are traces, the others g's latent.
        readings: J columns of the input, counted from its end, that a setting may follow by a curve.
        told: K columns likewise, that tell each setting about right (`descriptors.matched`), or none. The guess is a
            mean of them and of what the network makes of everything, weighted as it sees fit. A network alone blurs
            them: where a phaser is clearly heard (the third of 200 pairs that stands out most) the median error of
            depth and centre is .09 and .05 of the range by a network, .03 and .02 so.

    References:
        Jacobs, Jordan, Nowlan & Hinton 1991 (experts of which each input gets one).
    """

    widths: tuple[int, ...]
    num_params: int
    num_traces: int = 0
    readings: tuple[int, ...] = ()
    told: tuple[int, ...] = ()

    @nn.compact
    def experts(self, z: Array) -> Experts:
        """All that is said of each setting; `[B, Z + S]`."""
        num_experts = 1 + len(self.readings)
        size = num_experts + bool(self.told), self.num_params
        outputs = MLP((*self.widths, size[0] * size[1]), zero_output=True)(z).reshape(-1, *size)
        guess = nn.sigmoid(outputs[:, 0])
        if self.told:
            share = nn.sigmoid(outputs[:, num_experts])
            settings = jnp.clip(z[:, jnp.asarray(self.told)] / SPREAD + 0.5, 0.0, 1.0)
            guess = (1.0 - share) * guess + share * settings
        guess, outputs = guess[..., None], outputs[:, :num_experts]
        if not self.readings:
            return Experts(guess, jnp.ones_like(guess))
        shape = len(self.readings), self.num_params, curves.NUM_KNOTS
        shown = jax.lax.stop_gradient(self.param("curves", nn.initializers.zeros, shape))
        read = curves.read(shown, z[:, jnp.asarray(self.readings)])
        gates = jnp.swapaxes(outputs, 1, 2).at[..., 0].set(0.0)
        return Experts(jnp.concatenate([guess, read], axis=-1), nn.softmax(gates))

    def answer(self, z: Array) -> tuple[Array, Array]:
        """Settings by the expert that is trusted most, and bool, whether that is a reading; `[B, K]` each."""
        found = self.experts(z)
        chosen = jnp.argmax(found.trust, axis=-1, keepdims=True)
        return jnp.take_along_axis(found.settings, chosen, axis=-1)[..., 0], chosen[..., 0] > 0

    def __call__(self, z: Array) -> Array:
        """Settings `[B, K]`."""
        return self.answer(z)[0]
