"""Choose a chain: propose some, render each on the input, compare what it changes with what was predicted, and prune.

The score of a chain is the negative logarithm of its probability: how well the change that it really makes agrees with
the predicted one, each column weighed by its predicted variance, and how probable its effects are alone. The agreement
is that of a Cauchy distribution: on recordings unlike those that the decoder was trained on, a few columns are far off
for the right chain, too, and must not outweigh the rest.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax, softmax

from dafxvae.core.rng import host_rng
from dafxvae.core.threads import map_in_threads
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_decoder import LEVELS, Decoder, DecoderOutput, change_of, features_of
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.palette import EFFECTS, MOST_STAGES, ORDERS, OWNER, StudioChain
from dafxvae.studio.sound import NUM_STATISTICS, SAMPLE_RATE, MeasuredSound, measure_sound

CHAIN_WEIGHT = 0.2  # of the logarithm of a chain's probability; chosen on validation recordings
NUM_LIKELY = 4  # the most probable sets of effects come first, with mean settings; then sets and settings are drawn
SHARPNESS = 1.5  # of the distributions that settings are drawn from
SUBSETS = np.array(
    [
        [place in places for place in range(len(EFFECTS))]
        for size in range(MOST_STAGES + 1)
        for places in itertools.combinations(range(len(EFFECTS)), size)
    ]
)  # bool [163, 8], the empty chain first


class Candidate(NamedTuple):
    """A chain that was rendered and compared."""

    chain: StudioChain
    score: float  # smaller is better


class Predicted(NamedTuple):
    """Predictions of the decoder for a pair before a chain is given."""

    presence: np.ndarray  # [8] probability of each effect
    log_subsets: np.ndarray  # [163] of each of SUBSETS; -inf where an effect is not allowed
    log_orders: np.ndarray  # [4]
    change: np.ndarray  # [D] standardised
    precision: np.ndarray  # [D] one over its variance


class ChainSearch:
    """The search for one pair of recordings."""

    def __init__(
        self,
        decoder: Decoder,
        extractor: FeatureExtractor,
        renderer: ChainRenderer,
        audio: np.ndarray,
        reference: MeasuredSound,
        *,
        seed: int = 0,
        allowed: np.ndarray | None = None,
    ) -> None:
        """Measures both recordings and predicts.

        Args:
            decoder: of the studio.
            extractor: f and g.
            renderer: of the chains.
            audio: the input, float32 `[T, 2]` at `SAMPLE_RATE` and `LOUDNESS_LUFS`.
            reference: as measured, at the same loudness.
            seed: of the candidates.
            allowed: bool `[8]`, effects that a chain may have; None for all.
        """
        self.decoder, self.extractor, self.renderer, self.audio = decoder, extractor, renderer, audio
        self.seed, self.allowed = seed, np.ones(len(EFFECTS), bool) if allowed is None else allowed
        self.source = measure_sound(audio, extractor)
        self.features = features_of(self.source, reference)
        self.predicted = self._predict()

    def _decode(self, chains: list[StudioChain]) -> DecoderOutput:
        rows = np.repeat(self.features, len(chains), axis=0)
        is_on, orders = np.stack([chain.is_on for chain in chains]), np.array([chain.order for chain in chains])
        return self.decoder.predict(rows, is_on, orders)

    def _predict(self) -> Predicted:
        found = DecoderOutput(*(array[0] for array in self._decode([StudioChain.empty()])))
        log_on, log_off = log_expit(found.is_on), log_expit(-found.is_on)
        is_possible = ~(SUBSETS & ~self.allowed).any(1)
        subsets = log_softmax(np.where(is_possible, np.where(SUBSETS, log_on, log_off).sum(1), -np.inf))
        precision = np.exp(-found.change_log_variance)
        return Predicted(np.exp(log_on), subsets, log_softmax(found.order), np.asarray(found.change), precision)

    def chain(self, is_on: np.ndarray, order: int | None = None) -> StudioChain:
        """A given set of effects, bool `[8]`, in a given or the most probable order, with mean settings."""
        order = int(self.predicted.log_orders.argmax()) if order is None else order
        blank = StudioChain(is_on, order, np.zeros(len(OWNER), np.float32))
        weights = softmax(self._decode([blank]).settings[0], axis=-1)
        return StudioChain(is_on, order, (weights @ LEVELS).astype(np.float32))

    def proposals(self, num_candidates: int) -> Iterator[StudioChain]:
        """Chains to compare: the most probable sets with mean settings, then sets, orders and settings as drawn."""
        rng = host_rng(self.seed, "studio/candidates")
        ranked = np.argsort(-self.predicted.log_subsets, kind="stable")
        ranked = ranked[np.isfinite(self.predicted.log_subsets[ranked])]
        for place in ranked[: min(num_candidates, NUM_LIKELY)]:
            yield self.chain(SUBSETS[place])
        drawn = max(0, num_candidates - NUM_LIKELY) if self.allowed.any() else 0
        if not drawn:
            return
        rows = rng.choice(len(SUBSETS), drawn, p=np.exp(self.predicted.log_subsets))
        orders = rng.choice(len(ORDERS), drawn, p=np.exp(self.predicted.log_orders))
        blank = np.zeros(len(OWNER), np.float32)
        given = [StudioChain(SUBSETS[row], int(order), blank) for row, order in zip(rows, orders, strict=True)]
        logits = SHARPNESS * log_softmax(self._decode(given).settings, axis=-1)
        noise = rng.gumbel(size=logits.shape)
        settings = LEVELS[(logits + noise).argmax(-1)].astype(np.float32)
        for chain, row in zip(given, settings, strict=True):
            yield StudioChain(chain.is_on, chain.order, row)

    def compare(self, chains: list[StudioChain]) -> list[Candidate]:
        """Render chains on the input and score each."""

        def score(chain: StudioChain) -> Candidate:
            error = self._squared_errors(self.renderer.render(chain, self.audio, SAMPLE_RATE))
            return Candidate(chain, _mean(np.log1p(error)) - CHAIN_WEIGHT * self.log_chain(chain))

        return list(map_in_threads(score, chains))

    def misfit(self, rendered: np.ndarray) -> float:
        """How far what an effect made of the input, `[T, 2]`, is from the predicted change; about 1 for the truth.

        The mean square, for a search of settings: it falls from far away, too.
        """
        return _mean(self._squared_errors(rendered))

    def _squared_errors(self, rendered: np.ndarray) -> np.ndarray:
        """Of each column of the change, in parts of its predicted variance; `[D]`."""
        change = self.decoder.scaling.change(change_of(self.source, measure_sound(rendered, self.extractor)))
        return self.predicted.precision * np.square(change - self.predicted.change)

    def log_chain(self, chain: StudioChain) -> float:
        """Logarithm of the probability of a chain's set of effects, before anything is rendered."""
        return float(self.predicted.log_subsets[(chain.is_on == SUBSETS).all(1).argmax()])

    def find(self, num_candidates: int) -> list[Candidate]:
        """Candidates from the best to the worst; with more than one, the best is pruned as well.

        Args:
            num_candidates: chains to render; 1 takes the most probable without rendering any.
        """
        if num_candidates == 1:
            return [Candidate(next(self.proposals(1)), 0.0)]
        found = sorted(self.compare(list(self.proposals(num_candidates))), key=lambda one: one.score)
        return sorted([*self.prune(found[0]), *found[1:]], key=lambda one: one.score)

    def prune(self, best: Candidate) -> list[Candidate]:
        """The chain without one stage after another, as long as the score gets better; all that were compared."""
        compared = [best]
        while best.chain.places:
            shorter = self.compare([best.chain.without(place) for place in best.chain.places])
            compared += shorter
            nearest = min(shorter, key=lambda one: one.score)
            if nearest.score >= best.score:
                break
            best = nearest
        return compared


def _mean(columns: np.ndarray) -> float:
    """Mean over the columns, `[D]`; the statistics, and f's encoding, count alike."""
    return float(0.5 * (columns[:NUM_STATISTICS].mean() + columns[NUM_STATISTICS:].mean()))
