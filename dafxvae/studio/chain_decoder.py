"""The studio's decoder: from two sounds to which effects, in what order, how they are set, and what they changed.

It is an h for many chains at once: the settings are predicted for a given chain, so that every
chain that may have been at work can be asked for.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.core.errors import UserError
from dafxvae.core.paths import shipped_path
from dafxvae.core.weights import load_weights, save_weights
from dafxvae.studio.palette import EFFECTS, ORDERS, SPACE
from dafxvae.studio.sound import MeasuredSound

FORMAT = 1
NUM_LEVELS = 24
LEVELS = np.linspace(0.0, 1.0, NUM_LEVELS)  # a setting is predicted as a distribution over these values
LOG_VARIANCE = (-6.0, 3.0)


class DecoderOutput(NamedTuple):
    """Predictions of the network for B pairs."""

    is_on: Array  # [B, 8] logits
    order: Array  # [B, 4] logits
    change: Array  # [B, D] standardised
    change_log_variance: Array  # [B, D]
    settings: Array  # [B, K, NUM_LEVELS] logits, of the chain that was given


class StudioDecoder(nn.Module):
    """Three heads on one trunk; the settings are those of a given chain.

    Attributes:
        change_size: D.
        width: of the hidden layers.
    """

    change_size: int
    width: int = 512

    @nn.compact
    def __call__(self, features: Array, is_on: Array, order: Array, is_training: bool) -> DecoderOutput:
        """Features `[B, F]`, the given chain: bool `[B, 8]` and int `[B]`."""

        def layer(x: Array, width: int, rate: float) -> Array:
            x = nn.gelu(nn.LayerNorm()(nn.Dense(width)(x)))
            return nn.Dropout(rate, deterministic=not is_training)(x)

        hidden = nn.Dropout(0.1, deterministic=not is_training)(features)
        hidden = layer(layer(hidden, 2 * self.width, 0.2), self.width, 0.2)
        presence = nn.Dense(len(EFFECTS))(nn.gelu(nn.Dense(256)(hidden)))
        change = nn.Dense(2 * self.change_size)(nn.gelu(nn.Dense(self.width)(hidden)))
        mean, log_variance = jnp.split(change, 2, axis=-1)
        given = jnp.concatenate([2.0 * is_on, 2.0 * jax.nn.one_hot(order, len(ORDERS))], axis=-1)
        chain = layer(jnp.concatenate([hidden, given], axis=-1), self.width, 0.1)
        settings = nn.Dense(len(SPACE) * NUM_LEVELS)(nn.gelu(nn.Dense(self.width)(chain)))
        return DecoderOutput(
            presence,
            nn.Dense(len(ORDERS))(hidden),
            mean,
            jnp.clip(log_variance, *LOG_VARIANCE),
            settings.reshape(*settings.shape[:-1], len(SPACE), NUM_LEVELS),
        )


def features_of(source: MeasuredSound, reference: MeasuredSound) -> np.ndarray:
    """Both encodings and their difference, the input's statistics and the difference to the reference's; `[B, F]`.

    Args:
        source, reference: of one pair, or with an axis B in front.
    """
    encodings = [np.atleast_2d(sound.encoding) for sound in (source, reference)]
    statistics = [np.atleast_2d(sound.statistics) for sound in (source, reference)]
    parts = [*encodings, encodings[1] - encodings[0], statistics[0], statistics[1] - statistics[0]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def change_of(before: MeasuredSound, after: MeasuredSound) -> np.ndarray:
    """What an effect changed of the statistics and of f's encoding; `[..., S + E]`."""
    return np.concatenate([after.statistics - before.statistics, after.encoding - before.encoding], axis=-1)


class Scaling(NamedTuple):
    """Means and deviations over training pairs, of features and of changes."""

    feature_mean: np.ndarray
    feature_deviation: np.ndarray
    change_mean: np.ndarray
    change_deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, changes: np.ndarray) -> "Scaling":
        """Measure them; a thousandth is added to deviations, so that what never changes does not divide by zero."""
        both = (features, changes)
        return cls(*(part for array in both for part in (array.mean(0), array.std(0) + 1e-3)))

    def features(self, raw: np.ndarray) -> np.ndarray:
        """Standardised features, at most eight deviations away: another kind of recording must not blow up."""
        return np.clip((raw - self.feature_mean) / self.feature_deviation, -8.0, 8.0)

    def change(self, change: np.ndarray) -> np.ndarray:
        """Standardised changes `[N, S + E]`, at most eight deviations away."""
        return np.clip((change - self.change_mean) / self.change_deviation, -8.0, 8.0)


@dataclass(frozen=True)
class Decoder:
    """A trained network and its scaling."""

    network: StudioDecoder
    params: Any
    scaling: Scaling

    def predict(self, features: np.ndarray, is_on: np.ndarray, order: np.ndarray) -> DecoderOutput:
        """For raw features `[B, F]` and given chains; numpy arrays."""
        scaled = self.scaling.features(features)
        return jax.device_get(_apply(self.params, scaled, is_on.astype(np.float32), order, self.network))

    def save(self, path: Path, metadata: dict[str, Any]) -> None:
        """Writes it to a safetensors file, in half precision."""
        variables = {"network": self.params["params"], "scaling": self.scaling._asdict()}
        network = {"change_size": self.network.change_size, "width": self.network.width}
        save_weights(path, variables, metadata | {"studio_format": FORMAT, "network": network}, half=True)


@partial(jax.jit, static_argnums=4)
def _apply(params: Any, features: Array, is_on: Array, order: Array, network: StudioDecoder) -> DecoderOutput:
    return cast(DecoderOutput, network.apply(params, features, is_on, order, is_training=False))


def stored_decoder_path() -> Path:
    """File of the decoder that comes with the package."""
    return shipped_path("studio.safetensors")


def load_decoder(path: Path) -> Decoder:
    """Reads a stored decoder.

    Raises:
        UserError: it is not there, harmed, or of another version.
    """
    variables, metadata = load_weights(path)
    if metadata.get("studio_format") != FORMAT:
        raise UserError(f"{path} is no decoder of a studio that this version reads: train it again")
    return Decoder(
        StudioDecoder(**metadata["network"]), {"params": variables["network"]}, Scaling(**variables["scaling"])
    )
