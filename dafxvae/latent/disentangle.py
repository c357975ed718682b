"""Disentanglement scores against the settings of one effect, in bins: beta-VAE metric and MIG.

- beta-VAE metric (Higgins et al. 2017, section 3): of groups of pairs of examples that share the value of one factor, a
  linear classifier names the factor from the mean |z - z'|. 1 is perfect, 1 / (number of factors) is chance.
- MIG (Chen et al. 2018, equation 6): for each factor, the gap between its two greatest mutual informations with a
  dimension, over its entropy. 1 where one dimension alone holds the factor.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import entropy

from dafxvae.core import optional
from dafxvae.core.rng import host_rng
from dafxvae.latent.probes import ProbeTask

FACTOR_BINS, LATENT_BINS = 5, 10
GROUP = 16  # pairs whose differences are averaged for one point of the classifier (L of Higgins et al.)
POINTS = 120  # of each factor, for fitting and for testing each


class Scores(NamedTuple):
    """Disentanglement of one effect's settings."""

    beta_vae: float
    chance: float
    mig: float
    num_factors: int
    num_examples: int


def bins(values: np.ndarray, count: int) -> np.ndarray:
    """Quantile bins of each column, equal values in the same bin; `[B, P] -> int [B, P]`."""
    edges = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1], axis=0)
    return (values[None] > edges[:, None]).sum(0)


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information of two discrete variables in nats, less the bias of counting (Miller 1955); int `[B]` each.

    The bias (r - 1)(c - 1) / 2B is that of the r and c values that occur.
    """
    bias = (len(np.unique(a)) - 1) * (len(np.unique(b)) - 1) / (2 * len(a))
    return max(0.0, float(optional.load_sklearn("metrics", "latent").mutual_info_score(a, b)) - bias)


def discrete_entropy(a: np.ndarray) -> float:
    """Entropy of a discrete variable in nats; int `[B]`."""
    return float(entropy(np.bincount(a)))


def mutual_information_gap(z: np.ndarray, factors: np.ndarray) -> float:
    """MIG, the mean over the factors.

    Args:
        z: latents `[B, Z]`, Z >= 2.
        factors: int `[B, P]`, bins of each factor.
    """
    codes = bins(z, LATENT_BINS)
    gaps = []
    for k in range(factors.shape[1]):
        found = sorted(mutual_information(codes[:, j], factors[:, k]) for j in range(z.shape[1]))
        gaps.append((found[-1] - found[-2]) / max(discrete_entropy(factors[:, k]), 1e-9))
    return float(np.mean(gaps))


def difference_points(z: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean |z - z'| of groups of pairs that share one factor's bin, and which factor; `[P * POINTS, Z]`, int."""
    found, labels = [], []
    for k in range(factors.shape[1]):
        members = [
            rows for rows in (np.flatnonzero(factors[:, k] == b) for b in np.unique(factors[:, k])) if len(rows) > 1
        ]
        weights = np.asarray([len(rows) for rows in members], float)
        for _ in range(POINTS):
            chosen = rng.choice(len(members), GROUP, p=weights / weights.sum())
            pairs = np.stack([rng.choice(members[c], 2, replace=False) for c in chosen])
            found.append(np.abs(z[pairs[:, 0]] - z[pairs[:, 1]]).mean(0))
            labels.append(k)
    return np.stack(found), np.asarray(labels)


def beta_vae_metric(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> float:
    """Accuracy of naming the shared factor on test examples.

    Args:
        train, test: latents `[B, Z]` and binned factors int `[B, P]`, P >= 2.
        rng: draws the pairs.
    """
    scale = np.maximum(train[0].std(0), 1e-9)  # of a dead dimension
    x, y = difference_points(train[0] / scale, train[1], rng)
    held_out, true = difference_points(test[0] / scale, test[1], rng)
    scaler = optional.load_sklearn("preprocessing", "latent").StandardScaler()
    model = optional.load_sklearn("linear_model", "latent").LogisticRegression(max_iter=500, tol=1e-3)
    model.fit(scaler.fit_transform(x), y)
    return float(model.score(scaler.transform(held_out), true))


def effect_scores(
    effect: int, z: tuple[np.ndarray, np.ndarray], tasks: tuple[ProbeTask, ProbeTask], seed: int = 0
) -> Scores | None:
    """Both scores of one effect's settings; None for fewer than two settings or too few examples.

    `z` and `tasks` are the latents `[B, Z]` and tasks of the train and of the test examples.
    """
    rows = [task.effect == effect for task in tasks]
    if min(int(row.sum()) for row in rows) < 2 * FACTOR_BINS:
        return None
    columns = np.flatnonzero(tasks[0].mask[rows[0]].any(0))
    settings = [task.unit_params[row][:, columns] for task, row in zip(tasks, rows)]
    varies = [bool(np.all([len(np.unique(part[:, k])) > 1 for part in settings])) for k in range(len(columns))]
    factors = [bins(part[:, varies], FACTOR_BINS) for part in settings]
    if factors[0].shape[1] < 2:
        return None
    own = [latents[row] for latents, row in zip(z, rows)]
    metric = beta_vae_metric((own[0], factors[0]), (own[1], factors[1]), host_rng(seed, "latent/pairs", effect))
    everything, all_factors = np.concatenate(own), np.concatenate(factors)
    gap = mutual_information_gap(everything, all_factors)
    return Scores(metric, 1.0 / factors[0].shape[1], gap, factors[0].shape[1], len(everything))
