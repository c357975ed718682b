"""A report of every estimator on one effect, by its number of renders."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dafxvae.core.errors import UserError
from dafxvae.effects.host import EffectHost
from dafxvae.gradients.measure.problems import ContinuousPart, Sampling, make_problem, mrstft_loss
from dafxvae.gradients.measure.quality import Meter, measure
from dafxvae.gradients.schemes import Estimator

STEPS = (1e-3, 3e-2)


def probe_counts(num_params: int) -> tuple[int, ...]:
    """1, 2, 4, ... and K: the points of a curve."""
    doubling = [2**power for power in range(num_params.bit_length()) if 2**power < num_params]
    return (*doubling, num_params)


def candidates(num_params: int, steps: Sequence[float] = STEPS) -> list[Estimator]:
    """The estimators of a report, each with K probes; with one parameter all directions are the same one."""
    found = []
    for step in steps:
        found += [Estimator("spsa", num_params, step), Estimator("spsa_one_sided", num_params, step)]
        found += [Estimator("finite_difference", num_params, step)]
        if num_params > 1:
            found.append(Estimator("orthogonal", num_params, step))
        if step == max(steps):
            found.append(Estimator("finite_difference", num_params, step, two_sided=True))
    return found


def report(host: EffectHost, sampling: Sampling, steps: Sequence[float] = STEPS) -> dict[str, Any]:
    """Compares every estimator, level, step size and number of renders on an effect's continuous parameters.

    Args:
        host: the effect or chain.
        sampling: audio and number of settings.
        steps: step sizes to compare.

    Returns:
        JSON: the effect, its parameters, what was measured on, and one entry a line of the table.

    Raises:
        UserError: the effect has no continuous parameter.
    """
    box = ContinuousPart(host, sampling.sample_rate)
    if not len(box.indices):
        raise UserError(
            f"{host.name} has no continuous parameter: exhaustive differences are exact, nothing to compare"
        )
    problem = make_problem(box, sampling)
    size = len(box.indices)
    rows = measure(Meter(box, mrstft_loss), problem, candidates(size, steps), lambda e: probe_counts(size))
    return {
        "effect": host.name,
        "parameters": list(box.names),
        "settings": sampling.num_settings,
        "clip_samples": sampling.clip_samples,
        "sample_rate": sampling.sample_rate,
        "rows": [asdict(row) for row in rows],
    }
