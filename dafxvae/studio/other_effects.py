"""Effects that the decoder does not know, such as a user's plugins: their settings are searched for by rendering."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import EffectError
from dafxvae.effects.factory import open_host
from dafxvae.studio.chain_search import Candidate, ChainSearch
from dafxvae.studio.sound import SAMPLE_RATE
from dafxvae.transfer.refinement import refine

SPREAD = 0.15  # first deviation of the search about the defaults, in units of the range
LEAST_GAIN = 0.1  # by which the score must get better, or an effect is left out: the truth scores about 1


class AddedEffect(NamedTuple):
    """An effect that made the score better."""

    effect: str  # short form
    settings: dict[str, Any]  # parameter name to physical value, or label
    misfit: float  # `ChainSearch.misfit` of the chain with it
    audio: np.ndarray  # the input after the chain and this effect, [T, 2]


def add_effects(search: ChainSearch, found: Candidate, effects: Sequence[str], num_renders: int) -> list[AddedEffect]:
    """Put effects behind a chain, one after another, as long as the misfit gets smaller.

    Each is tried alone first; those that help nothing are not tried again.

    Args:
        search: of the pair.
        found: the chain that was found.
        effects: short forms.
        num_renders: for the settings of one effect, each time that it is tried.

    Raises:
        EffectError: an effect failed.
    """
    audio = search.renderer.render(found.chain, search.audio, SAMPLE_RATE)
    best, left, added = search.misfit(audio), list(effects), list[AddedEffect]()
    while left:
        tried = [_settings_of(search, effect, audio, num_renders) for effect in left]
        helpful = sorted((one for one in tried if one.misfit < best - LEAST_GAIN), key=lambda one: one.misfit)
        if not helpful:
            break
        added.append(helpful[0])
        best, audio = helpful[0].misfit, helpful[0].audio
        left = [one.effect for one in helpful[1:]]
    return added


def _settings_of(search: ChainSearch, effect: str, audio: np.ndarray, num_renders: int) -> AddedEffect:
    """The settings with which an effect, behind what was found before, brings the input nearest to what is wanted."""

    def distances(rendered: np.ndarray) -> np.ndarray:
        return np.array([search.misfit(one) for one in rendered])

    with open_host(effect) as host:
        start = host.parameters.default_unit
        options: dict[str, Any] = {"spread": SPREAD, "prior_weight": 0.0, "seed": search.seed}
        found = refine(host, distances, audio, SAMPLE_RATE, start, num_renders, **options)
        rendered = host.render(audio[None], found.unit_params[None], SAMPLE_RATE)[0]
        if not np.isfinite(rendered).all():
            raise EffectError(f"{host.name}: {'; '.join(map(str, host.failures.last))}")
        settings = host.parameters.describe(found.unit_params)
    return AddedEffect(effect, settings, search.misfit(rendered), rendered)
