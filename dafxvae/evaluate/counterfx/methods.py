"""The systems that are compared on an item, and what is recorded of each."""

from pathlib import Path
from typing import Any, NamedTuple

from dafxvae.audio.io import write_audio
from dafxvae.core.rng import host_rng
from dafxvae.core.threads import map_in_threads
from dafxvae.evaluate.counterfx.distance import counterfx_distance, magnitudes
from dafxvae.evaluate.counterfx.items import Item
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_decoder import Decoder
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.chain_search import Candidate, ChainSearch
from dafxvae.studio.palette import StudioChain, draw_chain
from dafxvae.studio.sound import SAMPLE_RATE, measure_sound

NOTHING, KNOWN, AUTO, BEST, RANDOM = "nothing", "known chain", "auto", "best of", "random"


class Studio(NamedTuple):
    """Decoder, feature extractor and renderer that the methods share."""

    decoder: Decoder
    extractor: FeatureExtractor
    renderer: ChainRenderer


def set_f1(found: StudioChain, true: StudioChain) -> float:
    """F1 of two unordered sets of effects; 1 for two empty ones."""
    both = int((found.is_on & true.is_on).sum())
    total = int(found.is_on.sum() + true.is_on.sum())
    return 2.0 * both / total if total else 1.0


def score_item(
    studio: Studio, item: Item, pools: tuple[int, ...], seed: int, sounds: Path | None = None
) -> dict[str, Any]:
    """L_d of every method on an item, with the set F1 and the length of its chain.

    Args:
        studio: what proposes and renders.
        item: with its chain where it is known; methods that need it are left out where it is not.
        pools: numbers of candidates, for the search and for as many random chains.
        seed: of the candidates.
        sounds: folder for the output of the search with most candidates, as `NAME.wav`; None keeps no sound.

    Returns:
        Method to `{"distance", "f1", "length", "effects"}`; "f1" is None where the chain is not known.
    """
    reference = measure_sound(item.reference, studio.extractor)
    search = ChainSearch(studio.decoder, studio.extractor, studio.renderer, item.source, reference, seed=seed)
    target = magnitudes(item.target)

    def measured(chain: StudioChain) -> dict[str, Any]:
        rendered = studio.renderer.render(chain, item.source, SAMPLE_RATE)
        return {
            "distance": counterfx_distance(magnitudes(rendered), target),
            "f1": None if item.chain is None else set_f1(chain, item.chain),
            "length": len(chain.places),
            "effects": list(chain.effects),
        }

    empty = StudioChain.empty()
    found = {NOTHING: measured(empty)}
    if item.chain is not None:
        found[KNOWN] = measured(search.chain(item.chain.is_on, item.chain.order))
    for pool in pools:
        ranked = search.find(pool)
        found[f"{AUTO} {pool}"] = measured(ranked[0].chain)
        if pool > 1:
            scored = list(map_in_threads(measured, [one.chain for one in ranked]))
            found[f"{BEST} {pool}"] = min(scored, key=lambda one: one["distance"])
            found[f"{RANDOM} {pool}"] = measured(_random(search, pool, seed).chain)
        if sounds is not None and pool == max(pools):
            rendered = studio.renderer.render(ranked[0].chain, item.source, SAMPLE_RATE)
            write_audio(sounds / f"{item.name}.wav", rendered, SAMPLE_RATE)
    return found


def _random(search: ChainSearch, pool: int, seed: int) -> Candidate:
    """The best of random chains by the same score."""
    rng = host_rng(seed, "counterfx/random")
    return min(search.compare([draw_chain(rng) for _ in range(pool)]), key=lambda one: one.score)
