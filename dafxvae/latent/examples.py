"""Pairs of single effects at random settings on three sets of recordings, with every feature of theirs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.tracks import Corpus
from dafxvae.data.pairs.stream import PairOptions, make_pairs
from dafxvae.effects.bank import EffectBank
from dafxvae.latent.baselines import ClipFeature, baselines, fit_pca
from dafxvae.latent.probes import Parts, ProbeTask, ProbeTasks
from dafxvae.latent.source import ModelSource, f_feature, held_out_corpus
from dafxvae.runs.build import build_corpus
from dafxvae.types import PairBatch

BATCH = 16
PCA_PAIRS = 1024  # of training pairs that the PCA is fitted on (two clips each), to bound its memory to a gigabyte
SHOWN_PAIRS = 32  # kept with their audio
MIN_PAIRS = 64


class Features(NamedTuple):
    """One kind of features of the two recordings of each pair."""

    dry: np.ndarray  # [B, D]
    wet: np.ndarray  # [B, D], of the reference

    @property
    def joint(self) -> np.ndarray:
        """Features of input and reference concatenated, as g takes them; `[B, 2D]`."""
        return np.concatenate(self, axis=1)


class ProbeExamples(NamedTuple):
    """A set of pairs without their audio."""

    task: ProbeTask
    features: dict[str, Features]  # by name of the kind


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
    def tasks(self) -> ProbeTasks:
        """What the probes predict on the three sets."""
        return ProbeTasks(self.train.task, self.valid.task, self.test.task)

    def parts(self, name: str, inputs: str = "joint") -> Parts:
        """One kind of features on the three sets: of both recordings ("joint"), or of the reference alone ("wet")."""
        return Parts(*(getattr(each.features[name], inputs) for each in (self.train, self.valid, self.test)))


def single_effects(names: Iterable[str]) -> tuple[str, ...]:
    """The entries of a bank that are not chains."""
    return tuple(name for name in names if "|" not in name)


def pair_batches(
    config: Config, corpus: Corpus, bank: EffectBank, stream: str, num_pairs: int, seed: int
) -> Iterable[PairBatch]:
    """Batches of `num_pairs` pairs in all whose reference always went through an effect at random settings."""
    if num_pairs < 1:
        raise UserError(f"{num_pairs} pairs: give at least one")
    options = replace(PairOptions(**config.data.options.to_dict()), untouched_share=0.0, style_share=0.0)
    pairs = make_pairs(
        corpus, bank, clip_samples=config.clip_samples, batch_size=BATCH, seed=seed, stream=f"latent/{stream}",
        mode=config.data.mode, options=options,
    )  # fmt: skip
    for step in range(-(-num_pairs // BATCH)):
        yield PairBatch(*(leaf[: num_pairs - step * BATCH] for leaf in pairs[step]))


def join_pairs(batches: Iterable[PairBatch]) -> PairBatch:
    """One batch of all pairs."""
    return PairBatch(*(np.concatenate(leaves) for leaves in zip(*batches)))


def collect(
    batches: Iterable[PairBatch],
    features: Mapping[str, ClipFeature],
    advance: Callable[[int], None] = lambda _: None,
) -> ProbeExamples:
    """Apply every feature to both recordings of every pair; pairs that failed to render are left out.

    Args:
        batches: pairs; only one batch's audio is held at a time.
        features: by name; each `[B, T, C] -> [B, D]`.
        advance: called with the number of pairs of each batch.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in features}
    tasks = []
    for batch in batches:
        good, size = np.asarray(batch.valid) > 0, len(batch.dry)
        audio = np.concatenate([batch.dry, batch.reference])
        # The last clip fills a full batch: every batch is one compiled program.
        audio = np.concatenate([audio, np.repeat(audio[-1:], 2 * (BATCH - size), axis=0)])
        for name, feature in features.items():
            values = np.asarray(feature(audio), np.float32)[: 2 * size]
            found[name].append((values[:size][good], values[size:][good]))
        tasks.append(ProbeTask(*(np.asarray(leaf)[good] for leaf in (batch.effect, batch.unit_params, batch.mask))))
        advance(size)
    if not tasks:
        raise ValueError("collect: no batches")
    task = ProbeTask(*(np.concatenate(leaves) for leaves in zip(*tasks)))
    return ProbeExamples(task, {name: Features(*map(np.concatenate, zip(*rows))) for name, rows in found.items()})


def check_pairs(num_pairs: int) -> None:
    """Raises UserError for too few pairs to fit a probe on."""
    if num_pairs < MIN_PAIRS:
        raise UserError(f"--pairs {num_pairs}: give at least {MIN_PAIRS}; a few thousand for numbers to believe")


def gather(
    source: ModelSource, bank: EffectBank, folder: str | None, num_pairs: int, seed: int, console: Console,
    with_baselines: bool = True,
) -> Gathered:  # fmt: skip
    """Render pairs and extract features: `num_pairs` to fit on, a quarter as many to choose with, half to test.

    Args:
        source: f and g.
        bank: of single effects.
        folder: held-out audio; None for the test split of the run's own recordings.
        num_pairs: training pairs, `MIN_PAIRS` at least.
        seed: of the pairs.
        console: for the progress.
        with_baselines: also the features of `baselines`.
    """
    config = source.config
    corpus = build_corpus(config)
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
        sets = []
        for (stream, size), part in zip(sizes.items(), (train, valid, test)):
            task = progress.add_task(f"{stream} pairs", total=size)
            batches = pair_batches(config, part, bank, stream, size, seed)
            sets.append(collect(batches, features, lambda done, task=task: progress.advance(task, done)))
    shown = join_pairs(pair_batches(config, test, bank, "test", SHOWN_PAIRS, seed))
    name = folder or f"{corpus.name} (test split, by {corpus.split_by})"
    return Gathered(bank.names, bank.parameter_names, sets[0], sets[1], sets[2], shown, name)
