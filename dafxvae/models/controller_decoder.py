"""h, the controller decoder: from g's latent and descriptors of the reference to settings of the effect."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dafxvae.descriptors import curves
from dafxvae.descriptors.lfo_templates import SPREAD
from dafxvae.models.mlp import MLP


class Candidates(NamedTuple):
    """Candidate values of each setting: the network's, then those of J direct estimates."""

    settings: Array  # [B, K, 1 + J] in [0, 1]
    weights: Array  # [B, K, 1 + J], sums to 1; the candidate of the greatest weight is chosen


class ControllerDecoder(nn.Module):
    """h: input features to settings in [0, 1]; starts at the middle of every range.

    A network of any size blurs what its inputs show exactly. So each setting has several candidates: the network's own
    prediction from all input features, and a curve (`descriptors.curves`) over each direct estimate. The network's
    prediction ends in a sigmoid, because a clamped setting has no gradient outside its range.

    Attributes:
        widths: of the hidden layers.
        num_params: K of the effect.
        num_descriptors: S; the last S inputs are descriptors, the others g's latent.
        direct: J columns of the input, counted from its end, that are direct estimates.
        estimates: K columns of the input, counted from its end, that estimate each setting roughly
            (`descriptors.lfo_templates`), or none. They are mixed into the network's prediction by learnt shares.

    References:
        Jacobs, Jordan, Nowlan & Hinton 1991 (mixtures of experts, one of which serves each input).
    """

    widths: tuple[int, ...]
    num_params: int
    num_descriptors: int = 0
    direct: tuple[int, ...] = ()
    estimates: tuple[int, ...] = ()

    @nn.compact
    def candidates(self, features: Array) -> Candidates:
        """All candidates for each setting; `[B, Z + S]`."""
        num_candidates = 1 + len(self.direct)
        size = num_candidates + bool(self.estimates), self.num_params
        outputs = MLP((*self.widths, size[0] * size[1]), zero_output=True)(features).reshape(-1, *size)
        predicted = nn.sigmoid(outputs[:, 0])
        if self.estimates:
            share = nn.sigmoid(outputs[:, num_candidates])
            settings = jnp.clip(features[:, jnp.asarray(self.estimates)] / SPREAD + 0.5, 0.0, 1.0)
            predicted = (1.0 - share) * predicted + share * settings
        predicted, outputs = predicted[..., None], outputs[:, :num_candidates]
        if not self.direct:
            return Candidates(predicted, jnp.ones_like(predicted))
        shape = len(self.direct), self.num_params, curves.NUM_KNOTS
        # Fitted in closed form before training (training.warm_start): no gradient moves them.
        fitted = jax.lax.stop_gradient(self.param("curves", nn.initializers.zeros, shape))
        direct = curves.evaluate_curves(fitted, features[:, jnp.asarray(self.direct)])
        logits = jnp.swapaxes(outputs, 1, 2).at[..., 0].set(0.0)
        return Candidates(jnp.concatenate([predicted, direct], axis=-1), nn.softmax(logits))

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Settings by the candidates of greatest weight, and whether these are direct estimates; `[B, K]` each."""
        found = self.candidates(features)
        chosen = jnp.argmax(found.weights, axis=-1, keepdims=True)
        return jnp.take_along_axis(found.settings, chosen, axis=-1)[..., 0], chosen[..., 0] > 0

    def __call__(self, features: Array) -> Array:
        """Settings `[B, K]`."""
        return self.predict(features)[0]
