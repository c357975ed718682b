"""The gradient estimator of a run, fitted to what is measured of its effect."""

import time
from dataclasses import replace

import numpy as np
from rich.console import Console

from dafxvae.config import Config
from dafxvae.core.choices import MEASURED_LEVEL
from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.data.corpora.corpus import Corpus
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.host import EffectHost
from dafxvae.gradients.estimators import Estimator
from dafxvae.gradients.measure.calibration import PROBE_STEP, ROUGH, Calibration, calibrate, estimator_for
from dafxvae.gradients.measure.measured_steps import load_calibration, save_calibration
from dafxvae.gradients.measure.problems import Sampling

LONG_MINUTES = 5.0
FEW_SETTINGS, MANY_SETTINGS, FEW_PARAMETERS = 8, 16, 8  # a calibration renders each parameter 13 times a setting


def effect_calibration(config: Config, host: ChainHost, corpus: Corpus, console: Console) -> Calibration:
    """The stored calibration of an effect; measured on the run's recordings, and stored, where there is none.

    Every process of a run measures the same, so that all estimate gradients alike.
    """
    found = load_calibration(host)
    if found is not None and not np.isnan(found.step_size).any():
        return found
    count = MANY_SETTINGS if len(host.parameters) <= FEW_PARAMETERS else FEW_SETTINGS
    sampling = Sampling(count, config.clip_samples, config.sample_rate, seed=config.seed)
    console.print(
        f"{host.name}: measuring how its sound follows each of {len(host.parameters)} parameters", markup=False
    )
    found = calibrate(host, sampling, corpus.split("train"))
    save_calibration(found)
    return found


def build_estimator(config: Config, host: EffectHost, calibration: Calibration | None) -> Estimator:
    """The gradient estimator of the configuration, with an effect's measured steps and level where it names none.

    Raises:
        UserError: a value out of range.
    """
    asked = config.estimator.to_dict()
    step = asked.pop("step_size")
    if asked["level"] == MEASURED_LEVEL:
        asked["level"] = "audio" if calibration is None else calibration.level
        asked["two_sided"] |= asked["level"] == "loss"  # of large steps, whose second-order bias would be as large
    try:
        estimator = estimator_for(host, Estimator(**asked), calibration)
        if step == 0:
            return estimator
        moved = estimator.steps(len(host.parameters)) > 0
        return replace(estimator, step_size=tuple(np.where(moved, step, 0.0).tolist()))
    except ValueError as error:
        raise UserError(f"--config.estimator: {error}") from error


def describe_cost(config: Config, host: ChainHost, estimator: Estimator) -> str:
    """How long the renders of a run will take, from how long one clip for each worker takes."""
    rng, count = host_rng(config.seed, "cost"), host.pool.num_workers
    clips = 0.1 * rng.standard_normal((count, config.clip_samples, config.num_channels)).astype(np.float32)
    settings = host.parameters.sample(rng, count)
    host.render(clips, settings, config.sample_rate)  # loads plugins
    begin = time.perf_counter()
    host.render(clips, settings, config.sample_rate)
    clip_sec = (time.perf_counter() - begin) / count
    length_sec = config.clip_samples / config.sample_rate
    steps = config.h.num_steps * config.h.batch_size * estimator.num_renders(len(host.parameters))
    total = 2 * (config.h.num_pairs + config.eval.num_pairs + config.eval.num_test_pairs) + steps
    total += config.eval.num_pairs * (1 + config.h.num_steps // config.eval.every_steps)
    text = f"rendering: {length_sec / clip_sec:,.0f} x real time on {count} core{'s' * (count > 1)}; {total:,} clips "
    text += f"of {length_sec:.1f} s take about {total * clip_sec / 60.0:.1f} min, beside the encoding of pairs"
    if total * clip_sec > 60.0 * LONG_MINUTES:
        text += " (fewer parameters, --config.h.num_pairs or --config.h.num_steps make it shorter)"
    return text


def describe_estimator(estimator: Estimator, host: EffectHost, calibration: Calibration) -> str:
    """How a run estimates gradients, why, and at how many renders; a warning where it cannot work as it was asked."""
    reasons = []
    if calibration.rough:
        reasons.append(f"the sound jumps with {', '.join(calibration.rough)} (by {ROUGH:.0%} for {PROBE_STEP})")
    single = [name for name, count in zip(host.parameters.names, host.parameters.num_values) if count]
    if single:
        reasons.append(f"{', '.join(single)} {'take' if len(single) > 1 else 'takes'} single values")
    why = " and ".join(reasons) or "the sound follows every parameter smoothly"
    how = "of losses" if estimator.level == "loss" else "of audio"
    text = f"gradient: differences {how}, {estimator.num_renders(len(host.parameters))} renders an example: {why}"
    if reasons and estimator.level == "audio":
        text = f'warning: {text}; leave --config.estimator.level at "{MEASURED_LEVEL}", as those have no such gradient'
    return text
