"""Calibration: the step by which each parameter is perturbed, measured once (`measured_steps` stores it)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dafxvae.core.choices import Level
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.effects.factory import check_controllable
from dafxvae.effects.host import EffectHost
from dafxvae.gradients.measure.problems import ContinuousPart, Sampling, discrete_of, make_problem, mrstft_loss
from dafxvae.gradients.measure.quality import Meter, Problem, coordinate_differences
from dafxvae.gradients.schemes import Estimator

ROUGH = 0.1  # |change of the audio| / |audio| at a step of 1e-3; above it, differences of audio mean nothing
PROBE_STEP = 1e-3
ROUGH_STEP = 3e-2
STEPS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
VERSION = 1


@dataclass(frozen=True)
class Calibration:
    """Measured properties of one effect's parameters, in the order of its host; NaN where nothing was measured."""

    effect: str  # canonical short form
    names: tuple[str, ...]
    step_size: tuple[float, ...]  # in units of the range; 0 for discrete parameters
    roughness: tuple[float, ...]  # median |change of the audio| / |audio| at a step of 1e-3
    num_values: tuple[int, ...]  # of discrete parameters, 0 for continuous ones
    level: Level
    sample_rate: int
    num_settings: int
    version: int = VERSION

    @property
    def rough(self) -> tuple[str, ...]:
        """Names of the parameters that need differences of losses and a large step."""
        return tuple(name for name, value in zip(self.names, self.roughness) if value > ROUGH)


def level_for(roughness: Sequence[float], num_values: Sequence[int]) -> Level:
    """The level at which all of an effect's parameters have a gradient."""
    return "loss" if any(num_values) or any(value > ROUGH for value in roughness) else "audio"


def roughness(box: ContinuousPart, problem: Problem) -> np.ndarray:
    """Median over the settings of |change of the audio| / |audio| when one parameter moves by 1e-3; `[K]`."""
    size = problem.settings.shape[1]
    shift = PROBE_STEP * np.where(problem.settings > 0.5, -1.0, 1.0)[:, None] * np.eye(size)[None]
    rows = np.concatenate([problem.settings[:, None], problem.settings[:, None] + shift], axis=1).astype(np.float32)
    ratios = np.empty((len(rows), size))
    for n in range(len(rows)):
        variants = box(problem.audio[n : n + 1], rows[n : n + 1])[0].reshape(size + 1, -1)
        ratios[n] = np.linalg.norm(variants[1:] - variants[:1], axis=1) / max(np.linalg.norm(variants[0]), 1e-9)
    return np.median(ratios, axis=0)


def slopes(meter: Meter, problem: Problem) -> np.ndarray:
    """Central differences of the loss along every parameter at every candidate step; `[len(STEPS), N, K]`."""
    return np.stack([coordinate_differences(meter, problem, step) for step in STEPS])


def choose_steps(found: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """For each parameter the step in the middle of the plateau: small against the curvature, large against rounding.

    The disagreement of two neighbouring steps is the summed difference of their slopes over the summed slopes. A step
    is judged by the worse of its neighbours; a stepped response (slopes that vanish or jump) disagrees until the step
    spans several of its stairs.

    Args:
        found: slopes `[len(STEPS), N, K]`.
        rough: bool `[K]`; these get the large step.

    Returns:
        `[K]`.
    """
    size = np.abs(found).sum(axis=1)
    gap = np.abs(np.diff(found, axis=0)).sum(axis=1) / np.maximum(np.maximum(size[1:], size[:-1]), 1e-12)
    gap = np.where(np.maximum(size[1:], size[:-1]) > 0, gap, np.inf)
    worst = np.maximum(gap[:-1], gap[1:])  # of the inner steps
    chosen = np.asarray(STEPS[1:-1])[np.argmin(worst, axis=0)]
    return np.where(rough, ROUGH_STEP, chosen)


def calibrate(host: EffectHost, sampling: Sampling, corpus: Corpus | None = None) -> Calibration:
    """Measures an effect's parameters on real audio and random settings.

    Args:
        host: the effect or chain.
        sampling: audio and number of settings.
        corpus: of the audio; None for `sampling.folder`.

    Raises:
        UserError: the effect has no parameter to measure.
    """
    check_controllable(host)
    steps, rough = np.zeros(len(host.parameters)), np.zeros(len(host.parameters))
    box = ContinuousPart(host, sampling.sample_rate)
    if len(box.indices):
        problem = make_problem(box, sampling, corpus)
        rough[box.indices] = roughness(box, problem)
        found = slopes(Meter(box, mrstft_loss), problem)
        steps[box.indices] = choose_steps(found, rough[box.indices] > ROUGH)
    counts = tuple(int(count) for count in host.parameters.num_values)
    return Calibration(
        host.name,
        host.parameters.names,
        tuple(float(step) for step in steps),
        tuple(float(value) for value in rough),
        counts,
        level_for(rough.tolist(), counts),
        sampling.sample_rate,
        sampling.num_settings,
    )


def estimator_for(host: EffectHost, estimator: Estimator, calibration: Calibration | None) -> Estimator:
    """Fits an estimator to an effect: measured steps, and probes for switches and choices.

    Args:
        host: the effect or chain.
        estimator: as the config asks for it; a single step size gives way to the measured ones, where there are any.
        calibration: of the effect, if there is one.
    """
    asked = estimator.step_size
    if calibration is not None and isinstance(asked, float) and any(calibration.step_size):
        steps = tuple(asked if math.isnan(step) else step for step in calibration.step_size)
        estimator = replace(estimator, step_size=steps)
    if estimator.level == "loss" and estimator.discrete is None:
        estimator = replace(estimator, discrete=discrete_of(host))
    return estimator
