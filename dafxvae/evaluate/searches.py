"""Searches that render many settings for each pair: from the controller's prediction, and from mid-range settings."""

from typing import NamedTuple

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.effects.host import EffectHost
from dafxvae.transfer.prediction import Prediction
from dafxvae.transfer.refinement import make_style_distance, refine

NUM_RENDERS = 64
MANY = 16
SEARCHES = {  # name: starts from the controller's prediction, renders
    f"controller + {NUM_RENDERS} renders": (True, NUM_RENDERS),
    f"CMA-ES, {NUM_RENDERS} renders": (False, NUM_RENDERS),
    f"CMA-ES, {MANY * NUM_RENDERS} renders": (False, MANY * NUM_RENDERS),
}


class Found(NamedTuple):
    """Settings by the searches."""

    settings: dict[str, np.ndarray]  # [B, K] each
    num_failed: int  # renders


def search(
    controller: Controller, host: EffectHost, dry: np.ndarray, reference: np.ndarray, start: Prediction, seed: int
) -> Found:
    """Every search on every pair, by the distance of styles that needs no target.

    Args:
        controller: whose predictions are refined, except direct estimates.
        host: of its effect.
        dry, reference: float32 `[B, T, C]`.
        start: the controller's predictions.
        seed: of the searches.
    """
    rate, num_failed = controller.sample_rate, 0
    rows: dict[str, list[np.ndarray]] = {name: [] for name in SEARCHES}
    for clip, example, own, is_direct in zip(dry, reference, start.unit_params, start.is_direct):
        distance = make_style_distance(example[None], rate)
        for name, (warm, num_renders) in SEARCHES.items():
            begin, free = (own, ~is_direct) if warm else (None, None)
            refined = refine(host, distance, clip, rate, begin, num_renders, seed=seed, free=free)
            rows[name].append(np.asarray(refined.unit_params, np.float32))
            num_failed += int(refined.num_failed)
    return Found({name: np.stack(values) for name, values in rows.items()}, num_failed)
