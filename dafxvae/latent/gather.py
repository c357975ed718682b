"""Examples for all measures: three sets with their features, and a few pairs with audio."""

from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

from dafxvae.core.errors import UserError
from dafxvae.effects.bank import EffectBank
from dafxvae.latent.baselines import baselines, fit_pca
from dafxvae.latent.examples import BATCH, ProbeExamples, collect, pair_batches
from dafxvae.latent.networks import f_feature
from dafxvae.latent.sources import ModelSource, held_out_corpus, training_corpus
from dafxvae.types import PairBatch

PCA_PAIRS = 1024  # of training pairs that the PCA is fitted on (two clips each), to bound its memory to a gigabyte
SHOWN_PAIRS = 32  # kept with their audio
MIN_PAIRS = 64


class Gathered(NamedTuple):
    """Examples of single effects at random settings."""

    effects: tuple[str, ...]
    parameters: tuple[str, ...]  # names of the axis K of the examples
    train: ProbeExamples
    valid: ProbeExamples  # other recordings of the training corpus
    test: ProbeExamples  # held out
    shown: PairBatch  # the first test pairs
    held_out: str  # name of the corpus of the test examples

    @property
    def sets(self) -> tuple[ProbeExamples, ProbeExamples, ProbeExamples]:
        return self.train, self.valid, self.test

    def joint(self, name: str = "f") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One kind of features of both recordings on the three sets."""
        train, valid, test = (examples.features[name].joint for examples in self.sets)
        return train, valid, test


def gather(
    source: ModelSource, bank: EffectBank, folder: str | None, num_pairs: int, seed: int, console: Console,
    with_baselines: bool = True,
) -> Gathered:  # fmt: skip
    """Renders pairs and extracts features: `num_pairs` to fit on, a quarter as many to choose with, half to test.

    Args:
        source: f and g.
        bank: of single effects.
        folder: held-out audio; None for the test split of the run's own recordings.
        num_pairs: training pairs.
        seed: of the pairs.
        console: for the progress.
        with_baselines: also the features that nothing was trained for.
    """
    if num_pairs < MIN_PAIRS:
        raise UserError(f"--pairs {num_pairs}: give at least {MIN_PAIRS}; a few thousand for numbers to believe")
    config = source.config
    corpus = training_corpus(config)
    train, valid, test = corpus.split("train"), corpus.split("valid"), held_out_corpus(config, folder)
    features = {"f": f_feature(source.encoders, config.sample_rate)}
    sizes = {"train": num_pairs, "valid": max(16, num_pairs // 4), "test": max(SHOWN_PAIRS, num_pairs // 2)}
    with Progress(console=console, transient=True) as progress:
        if with_baselines:
            count = min(num_pairs, PCA_PAIRS)
            task = progress.add_task("PCA of raw spectrograms", total=-(-count // BATCH))
            batches = progress.track(pair_batches(config, train, bank, "train", count, seed), task_id=task)
            pca = fit_pca(np.concatenate([batch.dry, batch.reference]) for batch in batches)
            features |= baselines(config.sample_rate, pca, seed)
        found = []
        for (stream, size), part in zip(sizes.items(), (train, valid, test)):
            task = progress.add_task(f"{stream} pairs", total=size)
            batches = pair_batches(config, part, bank, stream, size, seed)
            found.append(collect(batches, features, lambda done, task=task: progress.advance(task, done)))
    train_set, valid_set, test_set = found
    few = list(pair_batches(config, test, bank, "test", SHOWN_PAIRS, seed))
    shown = PairBatch(*(np.concatenate(leaves) for leaves in zip(*few)))
    name = folder or f"{corpus.name} (test split, by {corpus.split_by})"
    return Gathered(bank.names, bank.parameter_names, train_set, valid_set, test_set, shown, name)
