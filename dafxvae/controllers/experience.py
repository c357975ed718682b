"""Statistics of a controller's training pairs: g's latents, and the settings that h predicts for them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dafxvae.core.weights import load_weights, save_weights

NEAR_SHARE = 0.05


class Experience(NamedTuple):
    """Means, deviations and a covariance over training pairs; float32."""

    settings_mean: np.ndarray  # [K] of the predictions
    settings_deviation: np.ndarray  # [K]
    near: np.ndarray  # [1] the spread below which NEAR_SHARE of the predictions lie: nearly the average ones
    latent_mean: np.ndarray  # [Z] of g's latent of input and reference
    latent_covariance: np.ndarray  # [Z, Z]

    def spread(self, unit_params: np.ndarray) -> float:
        """How far settings `[K]` are from the average prediction: root mean square, in deviations over the pairs.

        About 1 for a pair like those of training, 0 for the average settings themselves.
        """
        away = (unit_params - self.settings_mean) / np.maximum(self.settings_deviation, 1e-3)
        return float(np.sqrt(np.mean(away.astype(np.float64) ** 2)))

    def of_latents(self, kept: np.ndarray) -> "Experience":
        """The same over a g that keeps these dimensions of its latent."""
        covariance = self.latent_covariance[np.ix_(kept, kept)]
        return self._replace(latent_mean=self.latent_mean[kept], latent_covariance=covariance)


def measure_experience(settings: np.ndarray, latents: np.ndarray) -> Experience:
    """Statistics of some hundred pairs or more.

    Args:
        settings: predicted for them, `[N, K]` in [0, 1].
        latents: g's, `[N, Z]`.
    """
    covariance = np.cov(latents.astype(np.float64), rowvar=False)
    found = settings.mean(axis=0), settings.std(axis=0), np.zeros(1), latents.mean(axis=0), covariance
    result = Experience(*(part.astype(np.float32) for part in found))
    near = np.quantile([result.spread(row) for row in settings], NEAR_SHARE)
    return result._replace(near=np.array([near], np.float32))


def store_experience(path: Path, experience: Experience) -> None:
    """Add it to a stored controller, in the place of what was there."""
    variables, metadata = load_weights(path)
    save_weights(path, variables | {"experience": experience._asdict()}, metadata)
