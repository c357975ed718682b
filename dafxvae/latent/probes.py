"""Linear probes and forests that predict the effect and its settings from features.

A probe is fitted on training recordings alone. Its regularisation is chosen on other recordings of the same corpus
(`valid`), never on the test set. The same readers, grids and seeds serve every set of features, so that two sets differ
by nothing else (Alain & Bengio 2017, "Understanding intermediate layers using linear classifier probes").
"""

import warnings
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binomtest

from dafxvae.core import optional
from dafxvae.metrics.bootstrap import Interval

Kind = Literal["linear", "forest"]
KINDS: tuple[Kind, ...] = ("linear", "forest")
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the logistic regression, from strong to weak
RIDGE_PENALTIES = np.logspace(-3, 4, 15)  # per example, for standardised features
NUM_TREES = 200
MIN_EXAMPLES = 4  # of an effect in each part, below which no settings are probed


class ProbeTask(NamedTuple):
    """Effects and settings of a set of examples, which probes predict from their features."""

    effect: np.ndarray  # [B] int
    unit_params: np.ndarray  # [B, K]
    mask: np.ndarray  # [B, K], 1 where the parameter belongs to the example's effect


class Parts(NamedTuple):
    """One set of features on the three sets of examples."""

    train: np.ndarray  # [B, D]
    valid: np.ndarray  # [B', D], other recordings of the training corpus
    test: np.ndarray  # [B'', D]


class ProbeTasks(NamedTuple):
    """The tasks of the three sets of examples."""

    train: ProbeTask
    valid: ProbeTask
    test: ProbeTask


def standardise(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Zero mean and unit deviation by the statistics of the first, float64; a feature constant there becomes zero."""
    scaler = optional.load_sklearn("preprocessing", "latent").StandardScaler().fit(train.astype(np.float64))
    return [scaler.transform(part.astype(np.float64)) for part in (train, *others)]


def linear_classes(parts: Parts, train: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression with L2 penalty, the best C on the labels `valid`, int `[B']`; labels `[B'']`."""
    x = Parts(*standardise(*parts))
    model = optional.load_sklearn("linear_model", "latent").LogisticRegression(max_iter=400, tol=1e-3, warm_start=True)
    best, predicted = -1.0, np.zeros(len(x.test), int)
    with warnings.catch_warnings():  # the largest C may stop at max_iter; `valid` decides whether it is any good
        warnings.simplefilter("ignore")
        for inverse in INVERSE_PENALTIES:
            model.set_params(C=inverse)
            model.fit(x.train, train)
            score = model.score(x.valid, valid)
            if score > best:
                best, predicted = score, model.predict(x.test)
    return predicted


def forest_classes(parts: Parts, train: np.ndarray, seed: int) -> np.ndarray:
    """Random forest (Breiman 2001) at its usual settings, which need no validation; labels `[B'']`."""
    forest = optional.load_sklearn("ensemble", "latent").RandomForestClassifier(NUM_TREES, random_state=seed, n_jobs=2)
    return forest.fit(parts.train, train).predict(parts.test)


def linear_values(parts: Parts, train: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Ridge regression, the penalty of each target `[B, P]` chosen on `valid` `[B', P]`; `[B'', P]`."""
    x = Parts(*standardise(*parts))
    centre = train.mean(0)
    left, singular, right = np.linalg.svd(x.train, full_matrices=False)
    projected = left.T @ (train - centre)
    best = np.full(train.shape[1], np.inf)
    predicted = np.tile(centre, (len(x.test), 1))
    for penalty in RIDGE_PENALTIES * len(train):
        weights = right.T @ (projected * (singular / (singular**2 + penalty))[:, None])
        error = ((x.valid @ weights + centre - valid) ** 2).mean(0)
        better = error < best
        best = np.where(better, error, best)
        predicted[:, better] = (x.test @ weights + centre)[:, better]
    return predicted


def forest_values(parts: Parts, train: np.ndarray, seed: int) -> np.ndarray:
    """Random forest with one third of the features at each split, all targets in one; `[B'', P]`."""
    forest = optional.load_sklearn("ensemble", "latent").RandomForestRegressor(
        NUM_TREES, max_features=1 / 3, min_samples_leaf=2, random_state=seed, n_jobs=2
    )
    forest.fit(parts.train, train.ravel() if train.shape[1] == 1 else train)  # sklearn wants a lone target as a vector
    return forest.predict(parts.test).reshape(len(parts.test), -1)


def wilson_interval(successes: int, trials: int) -> Interval:
    """A binomial share and its 95 % score interval (Wilson 1927)."""
    bounds = binomtest(successes, trials).proportion_ci(method="wilson")
    return Interval(successes / trials, float(bounds.low), float(bounds.high))


def column_r2(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """R² of each column; `[B, P] -> [P]`; nan where `true` is constant."""
    score = optional.load_sklearn("metrics", "latent").r2_score
    return np.where(np.ptp(true, axis=0) > 0.0, score(true, predicted, multioutput="raw_values"), np.nan)


def probe_effect(parts: Parts, tasks: ProbeTasks, kind: Kind, seed: int = 0) -> np.ndarray:
    """Whether the probe names each test example's effect; bool `[B'']`."""
    if kind == "linear":
        predicted = linear_classes(parts, tasks.train.effect, tasks.valid.effect)
    else:
        predicted = forest_classes(parts, tasks.train.effect, seed)
    return predicted == tasks.test.effect


def probe_settings(parts: Parts, tasks: ProbeTasks, kind: Kind, seed: int = 0) -> np.ndarray:
    """Predicted settings of the test examples, each effect's by its own examples alone; `[B'', K]`, nan elsewhere.

    The true effect of a test example chooses the probe: `probe_effect` predicts the effect.
    """
    predicted = np.full(tasks.test.unit_params.shape, np.nan)
    for effect in np.unique(tasks.train.effect):
        rows = [task.effect == effect for task in tasks]
        columns = np.flatnonzero(tasks.train.mask[rows[0]].any(0))
        if min(int(row.sum()) for row in rows) < MIN_EXAMPLES or not len(columns):
            continue
        own = Parts(*(part[row] for part, row in zip(parts, rows)))
        train, valid = (task.unit_params[row][:, columns] for task, row in zip(tasks[:2], rows))
        values = linear_values(own, train, valid) if kind == "linear" else forest_values(own, train, seed)
        predicted[np.ix_(rows[2], columns)] = values
    return predicted


def settings_r2(task: ProbeTask, predicted: np.ndarray) -> np.ndarray:
    """R² of every parameter over the examples that were probed; `[K]`, nan where it was not."""
    found = np.full(task.unit_params.shape[1], np.nan)
    for column in range(len(found)):
        rows = (task.mask[:, column] > 0) & np.isfinite(predicted[:, column])
        if rows.sum() >= 2:
            found[column] = column_r2(task.unit_params[rows, column, None], predicted[rows, column, None])[0]
    return found
