"""Quality of a gradient estimate: cosine to a reference gradient, bias and variance, by renders."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.core.choices import Level
from dafxvae.gradients.bridge import take_differences
from dafxvae.gradients.estimators import LossFn, estimate_differences
from dafxvae.gradients.schemes import Estimator, draw_probes
from dafxvae.types import RenderVariants

BATCH = 8  # examples at once
FINE_STEP = 1e-3
SMOOTH_STEP = 3e-2
SMOOTH_POINTS = 4  # random points within a step of the setting, over which the smoothed gradient is averaged


class Problem(NamedTuple):
    """Settings at which gradients are compared; numpy."""

    audio: np.ndarray  # [N, T, C]
    settings: np.ndarray  # [N, K]
    target: np.ndarray  # [N, T, C]


@dataclass(frozen=True)
class Quality:
    """One line of a report. Errors are relative to the squared norm of the reference, summed over the settings."""

    name: str
    level: Level
    step_size: float
    num_renders: int  # an example and step, the forward one included
    cosine: float  # mean over settings, to the fine gradient (central coordinate differences of the loss at 1e-3)
    cosine_smooth: float  # to the gradient smoothed at .03
    bias: float  # |mean estimate - fine gradient| / |fine gradient|, from all K probes, where it is least noisy
    variance: float  # of one estimate, relative to the squared norm
    seconds: float  # an example: renders and loss, on the machine of the report


class Changes(NamedTuple):
    """Differences that S probes of N examples make, at both levels."""

    audio: np.ndarray  # [S, N] product of the upstream gradient with the difference of renders
    loss: np.ndarray  # [S, N] difference of the losses


class Meter:
    """Renders probes and scores them, a few examples at a time; keeps the times that each part takes."""

    def __init__(self, render: RenderVariants, loss_fn: LossFn) -> None:
        self._render = render
        self._seconds: dict[str, list[float]] = {"render": [], "loss": [], "upstream": []}  # of one render or example

        @jax.jit
        def losses(variants: Array, target: Array) -> Array:
            return jax.lax.map(lambda output: loss_fn(output, target)[0], variants)

        @jax.jit
        def upstream(output: Array, target: Array) -> Array:
            return jax.grad(lambda y: jnp.sum(loss_fn(y, target)[0]))(output)

        self._losses, self._upstream = losses, upstream

    def losses(self, problem: Problem, rows: np.ndarray) -> np.ndarray:
        """Loss of each example with each of its settings; rows `[N, R, K]` -> float64 `[R, N]`."""
        parts = []
        for part in self._parts(problem):
            variants = self._variants(problem.audio[part], rows[part])
            parts.append(np.asarray(self._losses(variants, problem.target[part]), np.float64))
        return np.concatenate(parts, axis=1)

    def changes(self, problem: Problem, rows: np.ndarray, num_probes: int) -> Changes:
        """Of the probes in rows `[N, 1 + P, K]`, the forward settings first."""
        audio, loss = [], []
        for part in self._parts(problem):
            variants = self._variants(problem.audio[part], rows[part])
            target = problem.target[part]
            examples = variants.shape[1]
            values = self._timed("loss", variants.shape[0] * examples, self._losses, variants, target)
            upstream = self._timed("upstream", examples, self._upstream, variants[0], target)
            upstream = np.asarray(upstream).reshape(examples, -1)
            loss.append(np.asarray(estimate_differences(values, num_probes), np.float64))
            moved = take_differences(variants, num_probes)[1:].reshape(num_probes, examples, -1)
            audio.append(np.stack([[np.dot(*pair) for pair in zip(upstream, row)] for row in moved]).astype(np.float64))
        return Changes(np.concatenate(audio, axis=1), np.concatenate(loss, axis=1))

    def seconds(self, level: Level, num_renders: int) -> float:
        """Of one example with that many renders: the medians of what was timed so far (compilation is an outlier)."""
        render, loss, upstream = (float(np.median(times)) for times in self._seconds.values())
        return num_renders * (render + loss) if level == "loss" else num_renders * render + loss + upstream

    def _timed(self, what: str, count: int, run: Callable[..., Array], *arguments: np.ndarray) -> Array:
        started = time.perf_counter()
        result = jax.block_until_ready(run(*arguments))
        self._seconds[what].append((time.perf_counter() - started) / count)
        return result

    def _parts(self, problem: Problem) -> list[slice]:
        return [slice(start, start + BATCH) for start in range(0, len(problem.settings), BATCH)]

    def _variants(self, audio: np.ndarray, rows: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        variants = np.moveaxis(self._render(audio, rows.astype(np.float32)), 1, 0)
        self._seconds["render"].append((time.perf_counter() - started) / (rows.shape[0] * rows.shape[1]))
        if not np.isfinite(variants[..., 0, 0]).all():
            raise ValueError("a render failed; the report needs settings that render")
        return np.ascontiguousarray(variants)


def coordinate_differences(meter: Meter, problem: Problem, step: float) -> np.ndarray:
    """Central differences of the loss along every parameter; float64 `[N, K]`."""
    size = problem.settings.shape[1]
    centre = np.clip(problem.settings.astype(np.float64), step, 1 - step)[:, None]
    shifts = step * np.eye(size)[None]
    rows = np.concatenate([centre + shifts, centre - shifts], axis=1)
    values = meter.losses(problem, rows)
    return (values[:size] - values[size:]).T / (2 * step)


def smoothed_gradient(meter: Meter, problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Central differences at .03, averaged over random points within .03 of the settings; float64 `[N, K]`."""
    total = np.zeros(problem.settings.shape)
    for _ in range(SMOOTH_POINTS):
        shift = rng.uniform(-SMOOTH_STEP, SMOOTH_STEP, problem.settings.shape)
        moved = np.clip(problem.settings + shift, 0, 1)
        total += coordinate_differences(meter, problem._replace(settings=moved), SMOOTH_STEP)
    return total / SMOOTH_POINTS


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row; 0 where one of them vanishes."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.where(norms > 0, (a * b).sum(-1) / np.where(norms > 0, norms, 1.0), 0.0)


def estimates(changes: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """The estimate that the first `count` of S exchangeable probes give; `[S, N], [N, S, K] -> [N, K]`."""
    scale = weights.shape[1] / count
    return scale * np.einsum("nsk,sn->nk", weights[:, :count].astype(np.float64), changes[:count])


def measure(
    meter: Meter,
    problem: Problem,
    estimators: Sequence[Estimator],
    counts: Callable[[Estimator], Sequence[int]],
    seed: int = 0,
) -> list[Quality]:
    """Compares estimators with the fine and the smoothed gradient, at both levels and several numbers of probes.

    Every estimator is drawn twice, with independent keys: the product of the two errors has the squared bias as its
    mean, half their squared difference the variance.

    Args:
        meter: renders and scores.
        problem: where.
        estimators: with as many probes as the largest count; their level is ignored.
        counts: the numbers of probes to report of an estimator.
        seed: of the keys.
    """
    fine = coordinate_differences(meter, problem, FINE_STEP)
    smooth = smoothed_gradient(meter, problem, np.random.default_rng(seed))
    total = (fine**2).sum()
    num, num_params = problem.settings.shape
    found = []
    for estimator in estimators:
        draws = []
        for attempt in range(2):
            keys = jax.random.split(jax.random.key(2 * seed + attempt), num)
            probes = draw_probes(estimator, jnp.asarray(problem.settings), keys)
            rows = np.concatenate([problem.settings[:, None], np.asarray(probes.settings)], axis=1)
            weights = np.asarray(probes.weights)
            draws.append((meter.changes(problem, rows, weights.shape[1]), weights))
        for level in ("audio", "loss"):
            last = [estimates(getattr(c, level), w, estimator.probe_count(num_params)) - fine for c, w in draws]
            bias = float(np.sqrt(max(0.0, (last[0] * last[1]).sum()) / total))  # the same for any number of probes
            for count in counts(estimator):
                first, second = (estimates(getattr(c, level), w, count) for c, w in draws)
                renders = replace(estimator, num_probes=count).num_renders(num_params)
                both = np.concatenate([cosines(first, fine), cosines(second, fine)])
                both_smooth = np.concatenate([cosines(first, smooth), cosines(second, smooth)])
                found.append(
                    Quality(
                        estimator.name + ("_two_sided" if estimator.two_sided else ""),
                        level,
                        float(np.max(estimator.step_size)),
                        renders,
                        float(both.mean()),
                        float(both_smooth.mean()),
                        bias,
                        float(((first - second) ** 2).sum() / 2 / total),
                        meter.seconds(level, renders),
                    )
                )
    return found
