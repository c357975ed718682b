"""Search by CMA-ES for settings whose sound has the reference's statistics.

At inference there is no target, only another recording; so the distance compares what a sound is like (statistics over
time) and not when anything happens. It is weak where the two recordings differ (docs/objectives.md), which is why a
search that starts from a controller's prediction is held near it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cma
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio import features
from dafxvae.effects.host import EffectHost

Distance = Callable[[np.ndarray], np.ndarray]  # [B, T, C] -> [B]

# Measured on validation recordings (docs/transfer.md): wider or looser searches lead away from the truth.
SPREAD = 0.03  # first deviation of the search about a controller's prediction, in units of the range
COLD_SPREAD = 0.3
PRIOR_WEIGHT = 60.0  # weight of the mean squared step away from the controller's prediction, in units of the distance
FAILED = 1e6  # distance of settings that could not be rendered
RENDERS_AT_ONCE = 4  # filled up with silence: few, so that little is described in vain


class Refined(NamedTuple):
    """Result of a search."""

    unit_params: np.ndarray  # [K]
    distance: float  # to the reference, of these settings
    start_distance: float  # of the settings that the search began with
    num_renders: int
    num_failed: int


def make_style_distance(references: np.ndarray, sample_rate: int) -> Distance:
    """How unlike the references a sound is, whatever is played and however loud: 0 for the same statistics.

    The mean absolute difference of each log-mel band's mean over time (natural logarithm of power; the mean over the
    bands is taken off, since how loud the two recordings were before the effect is not known) plus that of each band's
    deviation. Of the distances that need no alignment it leads most often to the true setting (docs/objectives.md).

    Args:
        references: float32 `[M, T, C]`; their statistics are averaged.
        sample_rate: of the references and of what is compared, Hz.

    Returns:
        `audio [B, T', C] -> [B]`; NaN where the audio is not finite.
    """
    wanted = np.asarray(_statistics(jnp.asarray(references), sample_rate)).mean(0)

    def distance(audio: np.ndarray) -> np.ndarray:
        difference = np.asarray(_statistics(jnp.asarray(audio), sample_rate)) - wanted
        return np.abs(difference).mean(2).sum(1)

    return distance


@partial(jax.jit, static_argnums=1)
def _statistics(audio: Array, sample_rate: int) -> Array:
    """Shape of the mean log-mel spectrum, and deviations, mean over channels; `[B, T, C] -> [B, 2, F]`."""
    mean, deviation = (part.mean(1) for part in features.mel_statistics(audio, sample_rate))
    return jnp.stack([mean - mean.mean(1, keepdims=True), deviation], axis=1)


def refine(
    host: EffectHost,
    distance: Distance,
    audio: np.ndarray,
    sample_rate: int,
    start: np.ndarray | None,
    num_renders: int,
    *,
    seed: int = 0,
    free: np.ndarray | None = None,
    fixed: np.ndarray | None = None,
    spread: float | None = None,
    prior_weight: float | None = None,
) -> Refined:
    """CMA-ES over the settings of one effect for one input; deterministic.

    Args:
        host: the effect or chain.
        distance: of `make_style_distance`.
        audio: the input, float32 `[T, C]`.
        sample_rate: Hz.
        start: settings `[K]` to begin with; None for the middle of every range (a cold start).
        num_renders: at most; fewer than 2 change nothing.
        seed: of the search.
        free: bool `[K]`, False for settings that stay as they are; None for all.
        fixed: `[K]`, what the settings that are not free are held at; None for `start`.
        spread: first deviation in units of the range; None for `SPREAD` about a start, `COLD_SPREAD` from cold.
        prior_weight: weight of the mean squared step away from `start`; None for `PRIOR_WEIGHT`, and 0 from cold.

    References:
        Hansen 2016 (the CMA evolution strategy); Steinmetz et al. 2024 (ST-ITO) search so from cold.
    """
    count = len(host.parameters)
    origin = np.full(count, 0.5, np.float32) if start is None else np.asarray(start, np.float32)
    moving = np.flatnonzero(np.ones(count, bool) if free is None else free)
    held = origin if fixed is None else np.where(np.isin(np.arange(count), moving), origin, fixed)
    prior_weight = (0.0 if start is None else PRIOR_WEIGHT) if prior_weight is None else prior_weight
    search = _Search(host, distance, audio, sample_rate, held.astype(np.float32), moving, prior_weight)
    first = search.score(held[moving][None])[0]
    if len(moving) and num_renders > 1:
        spread = (COLD_SPREAD if start is None else SPREAD) if spread is None else spread
        _run_cma(search, held[moving], spread, num_renders, seed)
    return Refined(
        search.best, search.least - search.penalty(search.best), first, search.num_renders, search.num_failed
    )


class _Search:
    """Scores settings and remembers the best."""

    def __init__(
        self,
        host: EffectHost,
        distance: Distance,
        audio: np.ndarray,
        sample_rate: int,
        origin: np.ndarray,
        moving: np.ndarray,
        prior_weight: float,
    ):
        self._host, self._distance, self._audio, self._rate = host, distance, audio, sample_rate
        self._origin, self.moving, self._prior_weight = origin, moving, prior_weight
        self.best, self.least = origin, float("inf")
        self.num_renders = self.num_failed = 0

    def penalty(self, unit_params: np.ndarray) -> float:
        return self._prior_weight * float(np.mean((unit_params - self._origin) ** 2))

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Distance and penalty of settings of the moving parameters, `[N, K'] -> [N]`."""
        full = np.tile(self._origin, (len(rows), 1))
        full[:, self.moving] = np.clip(rows, 0.0, 1.0)
        scores = []
        for i in range(0, len(full), RENDERS_AT_ONCE):
            part = full[i : i + RENDERS_AT_ONCE]
            rendered = self._host.render_variants(self._audio[None], part[None], self._rate)[0]
            worked = np.isfinite(rendered).all((1, 2))
            padded = np.zeros((RENDERS_AT_ONCE, *rendered.shape[1:]), np.float32)  # one shape: one compilation
            padded[: len(part)] = np.where(worked[:, None, None], rendered, 0.0)
            scores.append(np.where(worked, self._distance(padded)[: len(part)], FAILED))
            self.num_failed += int((~worked).sum())
        self.num_renders += len(full)
        found = np.concatenate(scores) + np.array([self.penalty(row) for row in full])
        lowest = int(np.argmin(found))
        if found[lowest] < self.least:
            self.best, self.least = full[lowest], float(found[lowest])
        return found


def _run_cma(search: _Search, start: np.ndarray, spread: float, num_renders: int, seed: int) -> None:
    """CMA-ES within [0, 1]; the initial settings have been rendered already."""
    size = len(start)
    if size == 1:
        _scan(search, start, spread, num_renders)
        return
    population = int(min(4 + int(3 * np.log(max(size, 1))), num_renders - 1))
    options: dict[str, Any] = {
        "bounds": [0.0, 1.0], "seed": seed + 1, "verbose": -9, "popsize": max(population, 2),
        "maxfevals": num_renders - 1, "tolfun": 0, "tolx": 1e-4,
    }  # fmt: skip
    strategy = cma.CMAEvolutionStrategy(np.clip(start, 0.01, 0.99).tolist(), spread, options)
    while not strategy.stop() and search.num_renders + strategy.popsize <= num_renders:
        rows = strategy.ask()
        strategy.tell(rows, search.score(np.asarray(rows, np.float32)).tolist())


def _scan(search: _Search, start: np.ndarray, spread: float, num_renders: int) -> None:
    """One parameter needs no strategy: an even grid within three deviations, then a finer one about the best."""
    coarse = (num_renders - 1) // 2
    low, high = np.clip((start[0] - 3.0 * spread, start[0] + 3.0 * spread), 0.0, 1.0)
    if coarse:
        search.score(np.linspace(low, high, coarse, dtype=np.float32)[:, None])
    width = (high - low) / max(coarse, 1)
    centre = float(search.best[search.moving][0])
    search.score(np.linspace(centre - width, centre + width, num_renders - 1 - coarse, dtype=np.float32)[:, None])
