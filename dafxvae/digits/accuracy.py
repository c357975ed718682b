"""Scores of a digit VAE on held-out speakers: errors in dB, and the share of digits recognised."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from rich.table import Table

from dafxvae.audio import dsp
from dafxvae.audio.griffin_lim import spectral_convergence
from dafxvae.digits.corpus import Digits, batch_of
from dafxvae.digits.inference import DigitVAE
from dafxvae.models.vae import kl_per_dimension

ACTIVE_VARIANCE = 1e-2  # of the posterior mean over clips (Burda et al. 2016, section 2)
BANDS, SECTIONS = 16, 16  # of the recogniser's spectrogram
SHRINKAGE = 0.3
FEATURE_FLOOR = 1e-2  # of the power, below full scale's by 62 dB


class Recogniser(NamedTuple):
    """Linear discriminant analysis with a shrunken common covariance (Friedman 1989)."""

    weight: np.ndarray  # [D, 10]
    bias: np.ndarray  # [10]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The likeliest digit of features `[M, D]`, `[M]`."""
        return np.argmax(features @ self.weight + self.bias, axis=-1)

    def accuracy(self, features: np.ndarray, digit: np.ndarray) -> float:
        """Share of the clips whose digit is predicted right."""
        return float(np.mean(self(features) == digit))


def fit_recogniser(features: np.ndarray, digit: np.ndarray) -> Recogniser:
    """Fits a classifier to features `[M, D]` and digits `[M]`; a digit that does not occur is never predicted."""
    features = features.astype(np.float64)
    means = np.stack(
        [features[digit == i].mean(0) if (digit == i).any() else np.zeros(features.shape[1]) for i in range(10)]
    )
    centred = features - means[digit]
    covariance = centred.T @ centred / len(digit)
    size = len(covariance)
    even = np.trace(covariance) / size + 1e-9  # one clip of each digit has no covariance at all
    covariance = (1.0 - SHRINKAGE) * covariance + SHRINKAGE * even * np.eye(size)
    weight = np.linalg.solve(covariance, means.T)
    bias = -0.5 * np.sum(means.T * weight, axis=0)
    return Recogniser(weight, np.where([(digit == i).any() for i in range(10)], bias, -np.inf))


def clip_features(audio: np.ndarray, vae: DigitVAE) -> np.ndarray:
    """A coarse log-spectrogram of clips, independent of the VAE; `[B, T, 1] -> [B, SECTIONS * BANDS]`."""
    window, hop = vae.vae.window_samples, vae.vae.hop_samples
    power = np.asarray(dsp.power_spectrogram(jnp.asarray(audio[..., 0]), window, hop))
    bands = np.stack([band.mean(-1) for band in np.array_split(power, BANDS, axis=-1)], axis=-1)
    level = np.log(bands + FEATURE_FLOOR)
    return np.stack([part.mean(1) for part in np.array_split(level, SECTIONS, axis=1)], 1).reshape(len(audio), -1)


def all_clips(digits: Digits) -> np.ndarray:
    """Every clip, float32 `[M, T, 1]`."""
    rows = np.arange(len(digits.digit))
    return batch_of(digits, rows, rows).audio


def _decibel(ratio: Any) -> float:
    return float(20.0 * np.mean(np.log10(np.asarray(ratio))))


def evaluate_digits(vae: DigitVAE, train: Digits, test: Digits, seed: int) -> dict[str, Any]:
    """Scores on the test speakers.

    Args:
        vae: trained.
        train: clips that the recognisers learn from.
        test: clips of other speakers.
        seed: of Griffin-Lim's initial phases.

    Returns:
        `log_magnitude_error_db`: RMS error of the reconstructed log-magnitudes over all cells, above the floor;
        `spectral_convergence_db` of the reconstructed magnitudes and of the sounds made of them against the original,
        and of Griffin-Lim's sound against the magnitudes that it was given; `kl_nats`; `active_dimensions`, most active
        first; `accuracy` of a linear recogniser on latents, and of one trained on original sound that gets originals
        and reconstructions.
    """
    learnt, clips = all_clips(train), all_clips(test)
    posterior = vae.encode(clips)
    means = np.asarray(posterior.mean)
    data, reconstruction, magnitude = vae.log_magnitude(clips), vae.decode(means), vae.decode_magnitude(means)
    sounds = {"original phase": vae.with_phases(magnitude, clips), "griffin-lim": vae.without_phases(magnitude, seed)}
    convergence = {"decoder": _decibel(spectral_convergence(jnp.asarray(magnitude), _magnitude(clips, vae)))}
    convergence |= {name: _decibel(_convergence(sound, clips, vae)) for name, sound in sounds.items()}
    found = spectral_convergence(_magnitude(sounds["griffin-lim"], vae), jnp.asarray(magnitude))
    deviation = np.asarray(vae.variables["constants"]["log_deviation"])
    error_db = 20.0 / np.log(10.0) * np.sqrt(np.mean(((reconstruction - data) * deviation) ** 2))
    latents = fit_recogniser(vae.mean(learnt), train.digit)
    by_sound = fit_recogniser(clip_features(learnt, vae), train.digit)
    accuracy = {"latents": latents.accuracy(means, test.digit)}
    for name, sound in {"original": clips, **sounds}.items():
        accuracy[name] = by_sound.accuracy(clip_features(sound, vae), test.digit)
    return {
        "digits": test.source,
        "num_clips": {"train": len(train.digit), "test": len(test.digit)},
        "speakers": {name: sorted(set(part.speaker.tolist())) for name, part in (("train", train), ("test", test))},
        "log_magnitude_error_db": float(error_db),
        "spectral_convergence_db": convergence,
        "griffin_lim_convergence_db": _decibel(found),
        "kl_nats": float(np.mean(np.sum(np.asarray(kl_per_dimension(posterior)), axis=-1))),
        "active_dimensions": active_dimensions(means),
        "accuracy": accuracy,
    }


def _magnitude(audio: np.ndarray, vae: DigitVAE) -> Any:
    return jnp.abs(dsp.stft(jnp.asarray(audio[..., 0]), vae.vae.window_samples, vae.vae.hop_samples))


def _convergence(audio: np.ndarray, original: np.ndarray, vae: DigitVAE) -> Any:
    return spectral_convergence(_magnitude(audio, vae), _magnitude(original, vae))


def active_dimensions(means: np.ndarray) -> list[int]:
    """Latent dimensions that vary between clips, the most active first, from posterior means `[M, Z]`."""
    variance = means.var(axis=0)
    return [int(i) for i in np.argsort(-variance, kind="stable") if variance[i] > ACTIVE_VARIANCE]


def scores_table(results: dict[str, Any]) -> Table:
    """The results for a terminal."""
    table = Table(
        title=f"{results['num_clips']['test']} digits of {len(results['speakers']['test'])} held-out speakers"
    )
    for column in ("sound", "spectral convergence, dB", "digits recognised"):
        table.add_column(column)
    for name in ("original", "original phase", "griffin-lim"):
        convergence = results["spectral_convergence_db"].get(name)
        table.add_row(
            name,
            "" if convergence is None else f"{convergence:.1f}",
            f"{100.0 * results['accuracy'][name]:.1f} %",
        )
    return table
