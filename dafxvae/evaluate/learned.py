"""Learned baselines: the nearest training example, and a random forest on the encodings of f."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.mel import mel_mean_and_deviation
from dafxvae.config import Config
from dafxvae.controllers.controller import Controller
from dafxvae.core import optional
from dafxvae.core.errors import UserError
from dafxvae.core.store import computed_once
from dafxvae.data.corpora.tracks import Corpus
from dafxvae.data.pairs.stream import PairOptions, make_pairs
from dafxvae.effects.bank import EffectBank
from dafxvae.runs.build import build_corpus

NUM_COMPONENTS = 128
NUM_TREES = 200
BATCH = 16


class BaselineExamples(NamedTuple):
    """Features and settings of training pairs, on which the learned baselines are fitted."""

    timbre: np.ndarray  # [N, 256] mel statistics of the reference minus those of the input
    encoding: np.ndarray  # [N, E] f's encoding of the reference minus that of the input
    unit_params: np.ndarray  # [N, K]


def mean_encoding(controller: Controller, clips: np.ndarray) -> np.ndarray:
    """f's encoding, averaged over a clip's windows side by side; `[B, T, C] -> [B, E]`. A rest is left out."""
    count, length, num_channels = clips.shape
    window = min(controller.clip_samples, length)
    cut = clips[:, : length // window * window].reshape(-1, window, num_channels)
    encodings = controller.extractor.encode(cut, is_reference=False)[:, : controller.encoders.f.encoding_size]
    return encodings.reshape(count, -1, encodings.shape[-1]).mean(1)


def describe_clips(controller: Controller, dry: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two differences of `BaselineExamples`; two `[B, T, C]` -> `[B, 256]`, `[B, E]`."""
    rate = controller.sample_rate
    timbre = mel_mean_and_deviation(reference, rate) - mel_mean_and_deviation(dry, rate)
    return timbre, mean_encoding(controller, reference) - mean_encoding(controller, dry)


def training_corpus(config: Config) -> Corpus:
    """The recordings that a controller was trained on.

    Raises:
        UserError: they are not there.
    """
    try:
        return build_corpus(config).split("train")
    except UserError as error:
        raise UserError(
            f"{error} (the learned baselines are fitted on the recordings that the controller was trained on; "
            "`--baseline-pairs 0` leaves them out)"
        ) from error


def training_examples(controller: Controller, bank: EffectBank, num_pairs: int, seed: int) -> BaselineExamples:
    """Pairs of the controller's own training recordings, with clips of the length that it was trained on.

    Args:
        controller: whose training recordings and f are used.
        bank: of its one effect.
        num_pairs: N; those that fail to render are left out.
        seed: of the pairs.

    Raises:
        UserError: the training recordings are not there.
    """
    config = controller.config
    pairs = make_pairs(
        training_corpus(config), bank, clip_samples=config.clip_samples, batch_size=BATCH, seed=seed,
        stream="evaluate/baselines", options=PairOptions(),
    )  # fmt: skip
    found = []
    for step in range(-(-num_pairs // BATCH)):
        batch = pairs[step]
        good = batch.valid > 0
        good[num_pairs - step * BATCH :] = False
        timbre, encoding = describe_clips(controller, batch.dry, batch.reference)
        found.append((timbre[good], encoding[good], batch.unit_params[good]))
    return BaselineExamples(*(np.concatenate(parts) for parts in zip(*found)))


def stored_examples(path: Path, recipe: Any, make: Callable[[], BaselineExamples]) -> BaselineExamples:
    """Examples from a file; where it is missing, damaged or of another recipe they are made and written."""
    return BaselineExamples(**computed_once(path, recipe, lambda: make()._asdict()))


class Neighbour(NamedTuple):
    """The settings of the training example whose sound changes most alike."""

    mean: np.ndarray  # [D]
    deviation: np.ndarray  # [D]
    components: np.ndarray  # [D, P]
    projected: np.ndarray  # [N, P]
    unit_params: np.ndarray  # [N, K]

    def project(self, timbre: np.ndarray) -> np.ndarray:
        """`[B, D] -> [B, P]`."""
        return ((timbre - self.mean) / self.deviation) @ self.components

    def __call__(self, timbre: np.ndarray) -> np.ndarray:
        """`[B, D] -> [B, K]`."""
        distance = np.linalg.norm(self.project(timbre)[:, None] - self.projected[None], axis=-1)
        return self.unit_params[distance.argmin(1)]


def fit_neighbour(examples: BaselineExamples, num_components: int = NUM_COMPONENTS) -> Neighbour:
    """Standardised differences of mel statistics on their principal components (at most `num_components`)."""
    mean, deviation = examples.timbre.mean(0), examples.timbre.std(0) + 1e-6
    standard = (examples.timbre - mean) / deviation
    components = np.linalg.svd(standard, full_matrices=False)[2][:num_components].T
    return Neighbour(mean, deviation, components, standard @ components, examples.unit_params)


def fit_forest(examples: BaselineExamples, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Random forest from the difference of the two encodings of f to the settings; `[B, E] -> [B, K]`.

    The Siamese way of controlling a compressor of Sheng & Fazekas 2019 ("A Feature Learning Siamese Model for
    Intelligent Control of the Dynamic Range Compressor"), with f in the place of their network.

    Raises:
        UserError: scikit-learn is not installed.
    """
    ensemble: Any = optional.load_sklearn("ensemble", "evaluation")
    forest = ensemble.RandomForestRegressor(
        NUM_TREES, max_features=1 / 3, min_samples_leaf=2, random_state=seed, n_jobs=2
    )
    num_params = examples.unit_params.shape[1]
    forest.fit(examples.encoding, examples.unit_params.ravel() if num_params == 1 else examples.unit_params)
    return lambda encoding: forest.predict(encoding).reshape(len(encoding), num_params).astype(np.float32)


class Learned(NamedTuple):
    """The learned baselines of one controller's effect."""

    neighbour: Neighbour
    forest: Callable[[np.ndarray], np.ndarray]
