"""Pairs of single effects at random settings, and every feature of their recordings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.tracks import Corpus
from dafxvae.data.pairs.stream import PairOptions, make_pairs
from dafxvae.effects.bank import EffectBank
from dafxvae.latent.baselines import ClipFeature
from dafxvae.latent.probes import Parts, ProbeTask
from dafxvae.types import PairBatch

BATCH = 16
Advance = Callable[[int], None]  # called with the pairs made since the last call


class Features(NamedTuple):
    """One kind of features of the two recordings of each pair."""

    dry: np.ndarray  # [B, D]
    wet: np.ndarray  # [B, D], of the reference

    @property
    def joint(self) -> np.ndarray:
        """Input and reference side by side, as g takes them; `[B, 2D]`."""
        return np.concatenate([self.dry, self.wet], axis=1)


class ProbeExamples(NamedTuple):
    """A set of pairs without their audio."""

    task: ProbeTask
    features: dict[str, Features]  # by name of the kind


def single_effects(names: Iterable[str]) -> tuple[str, ...]:
    """The entries of a bank that are no chains."""
    return tuple(name for name in names if "|" not in name)


def pair_batches(
    config: Config, corpus: Corpus, bank: EffectBank, stream: str, num_pairs: int, seed: int
) -> Iterable[PairBatch]:
    """Batches of pairs whose reference always went through an effect at random settings.

    Args:
        config: of the run: length of clips, mode and options of its pairs.
        corpus: recordings of one part.
        bank: of single effects.
        stream: name of the random stream.
        num_pairs: in all; the last batch is cut.
        seed: of the stream.
    """
    if num_pairs < 1:
        raise UserError(f"{num_pairs} pairs: give at least one")
    options = replace(PairOptions(**config.data.options.to_dict()), untouched_share=0.0, style_share=0.0)
    pairs = make_pairs(
        corpus, bank, clip_samples=config.clip_samples, batch_size=BATCH, seed=seed, stream=f"latent/{stream}",
        mode=config.data.mode, options=options,
    )  # fmt: skip
    for step in range(-(-num_pairs // BATCH)):
        yield PairBatch(*(leaf[: num_pairs - step * BATCH] for leaf in pairs[step]))


def _whole_batch(audio: np.ndarray) -> np.ndarray:
    """Repeats the last clip up to a full batch, so that every batch is one compiled program."""
    return np.concatenate([audio, np.repeat(audio[-1:], 2 * BATCH - len(audio), axis=0)])


def collect(
    batches: Iterable[PairBatch], features: Mapping[str, ClipFeature], advance: Advance = lambda _: None
) -> ProbeExamples:
    """Applies every feature to both recordings of every pair; pairs that failed to render are left out.

    Args:
        batches: pairs; only one batch's audio is held at a time.
        features: by name; each `[B, T, C] -> [B, D]`.
        advance: told the number of pairs done.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in features}
    tasks = []
    for batch in batches:
        good, size = np.asarray(batch.valid) > 0, len(batch.dry)
        audio = _whole_batch(np.concatenate([batch.dry, batch.reference]))
        for name, feature in features.items():
            values = np.asarray(feature(audio), np.float32)[: 2 * size]
            found[name].append((values[:size][good], values[size:][good]))
        tasks.append(ProbeTask(*(np.asarray(leaf)[good] for leaf in (batch.effect, batch.unit_params, batch.mask))))
        advance(size)
    if not tasks:
        raise ValueError("collect: no batches")
    task = ProbeTask(*(np.concatenate(leaves) for leaves in zip(*tasks)))
    return ProbeExamples(task, {name: Features(*map(np.concatenate, zip(*rows))) for name, rows in found.items()})


def parts_of(train: ProbeExamples, valid: ProbeExamples, test: ProbeExamples, name: str, joint: bool) -> Parts:
    """One kind of features on the three sets: of both recordings, or of the reference alone."""
    sets = [examples.features[name] for examples in (train, valid, test)]
    return Parts(*(features.joint if joint else features.wet for features in sets))
