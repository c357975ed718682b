"""Is a recording unlike all training data of the package's f and g, and is a reference unprocessed?"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dafxvae.core.paths import shipped_path
from dafxvae.core.weights import fingerprint, load_weights, save_weights
from dafxvae.models.controller_vae import LIMIT
from dafxvae.models.networks import Encoders

NEAREST = 3  # recordings to which the distance is averaged
PASSING = 0.98  # share of processed recordings of other content that are within reach


class Familiar(NamedTuple):
    """Encodings of training recordings by f, and latents of g for references that are unprocessed; float32."""

    encodings: np.ndarray  # [N, E], see `standardised`
    reach: np.ndarray  # [1] mean distance to the nearest, beyond which a recording is unlike all of them
    latent_mean: np.ndarray  # [Z] of g for an input and an unprocessed other recording
    latent_covariance: np.ndarray  # [Z, Z]

    def strangeness(self, encodings: np.ndarray) -> float:
        """How unlike anything known a recording is: above 1 further away than all but a few are.

        Args:
            encodings: of its windows, `[W, E]`, standardised.
        """
        return float(nearest_distances(encodings, self.encodings).mean() / self.reach[0])


def nearest_distances(encodings: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance of each to the `NEAREST` of the known ones; `[W, E], [N, E] -> [W]`."""
    distances = np.stack([np.linalg.norm(known - one, axis=1) for one in encodings])
    return np.sort(distances, axis=1)[:, :NEAREST].mean(axis=1)


def standardised(encoders: Encoders, encodings: np.ndarray) -> np.ndarray:
    """Encodings of references by f as g standardises and limits them; what is behind them is left out, `[..., E]`."""
    size, constants = encoders.f.encoding_size, encoders.variables["g"]["constants"]
    mean, deviation = (constants[name][size:] for name in ("joint_mean", "joint_deviation"))
    return LIMIT * np.tanh((encodings[..., :size] - mean) / deviation / LIMIT)


def store_familiar(path: Path, familiar: Familiar, encoders: Encoders) -> None:
    """Writes it with the fingerprint of the f and g that it is of; float16."""
    metadata = {"kind": "familiar", "encoders": fingerprint(encoders.variables)}
    save_weights(path, familiar._asdict(), metadata, half=True)


def familiar_of(encoders: Encoders) -> Familiar | None:
    """What is known of f and g; None for others than the package's."""
    variables, metadata = load_weights(shipped_path("familiar.safetensors"))
    return Familiar(**variables) if metadata["encoders"] == fingerprint(encoders.variables) else None
