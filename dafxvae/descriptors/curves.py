"""Curves from a measured number to a setting: what a trace tells exactly is read off, not guessed.

The lag of an echo is a delay's time, the smallest step of a quantised sound its bit depth: up to a curve that belongs
to the effect (its range and scale) and that self-made pairs show. Curves are piecewise linear over fixed knots and
fitted in closed form, so that the pairs in which the trace shows something else do not bend them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

NUM_KNOTS = 129
KNOTS = np.linspace(-5.0, 5.0, NUM_KNOTS).astype(np.float32)  # deviations of a standardised trace, which has no others
ROUNDS = 30
SMALLEST = 1e-3  # residual below which an error counts by its square
STIFFNESS = 1e-2  # of the second difference, against the weight of one pair: carries a curve over knots without pairs
HEAP_STIFFNESS = 1.0
WIDTHS = np.geomspace(0.5, 0.01, ROUNDS)  # of Cauchy's likelihood
HIT, MORE = 0.02, 0.1  # of the range; of the pairs


def read(curves: Array, readings: Array) -> Array:
    """Settings at measured numbers; `([J, K, NUM_KNOTS], [B, J]) -> [B, K, J]` in [0, 1]."""
    of_settings = jax.vmap(lambda x, curve: jnp.interp(x, jnp.asarray(KNOTS), curve), (None, 0))
    found = jax.vmap(jax.vmap(of_settings), (0, None))(readings, curves)
    return jnp.clip(jnp.swapaxes(found, 1, 2), 0.0, 1.0)


def fit(readings: np.ndarray, unit_params: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The curve of each setting over each reading, by reweighted least squares.

    Of least absolute errors; where the trace shows something else in most of the pairs these are bent towards the
    middle of whatever that is. Then the curve through the largest heap of pairs is taken (Cauchy's likelihood, whose
    width goes down from half of the range), if by it `MORE` of the pairs come within `HIT`.

    Args:
        readings: standardised, `[N, J]`.
        unit_params: `[N, K]` in [0, 1].
        valid: `[N]`, 0 for pairs that do not count.

    Returns:
        float32 `[J, K, NUM_KNOTS]`.
    """
    counted = np.asarray(valid) > 0
    readings, unit_params = np.asarray(readings, np.float64)[counted], np.asarray(unit_params, np.float64)[counted]
    curves = np.zeros((readings.shape[1], unit_params.shape[1], NUM_KNOTS), np.float32)
    for j, reading in enumerate(readings.T):
        hats = _hats(reading)
        for k, target in enumerate(unit_params.T):
            found = _least_absolute(hats, target), _heaped(hats, target)
            hits = [np.sum(np.abs(target - hats @ curve) < HIT) for curve in found]
            curves[j, k] = found[int(hits[1] > hits[0] + MORE * len(target))]
    return curves


def _hats(reading: np.ndarray) -> np.ndarray:
    """The share of each knot in a curve's value at each reading; `[N] -> [N, NUM_KNOTS]`."""
    place = np.clip((reading - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0.0, NUM_KNOTS - 1.000001)
    below = place.astype(int)
    hats = np.zeros((len(reading), NUM_KNOTS))
    hats[np.arange(len(reading)), below] = 1.0 - (place - below)
    hats[np.arange(len(reading)), below + 1] = place - below
    return hats


def _weighted(hats: np.ndarray, target: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
    """The curve of least weighted squares; `[NUM_KNOTS]`."""
    bends = stiffness * np.diff(np.eye(NUM_KNOTS), 2, axis=0).T @ np.diff(np.eye(NUM_KNOTS), 2, axis=0)
    bends += 1e-9 * np.eye(NUM_KNOTS)  # no pair at all: the curve is 0 then, and nobody reads it
    weighted = hats * weights[:, None]
    return np.linalg.solve(weighted.T @ hats + bends, weighted.T @ target)


def _least_absolute(hats: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The curve of least absolute errors; `[NUM_KNOTS]`."""
    weights, curve = np.ones(len(target)), np.zeros(NUM_KNOTS)
    for _ in range(ROUNDS):
        curve = _weighted(hats, target, weights, STIFFNESS)
        weights = SMALLEST / np.maximum(np.abs(target - hats @ curve), SMALLEST)
    return curve


def _heaped(hats: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The curve through the largest heap; stiff, since between two of its knots there are few pairs to agree."""
    weights, curve = np.ones(len(target)), np.zeros(NUM_KNOTS)
    for width in WIDTHS:
        curve = _weighted(hats, target, weights, HEAP_STIFFNESS)
        weights = 1.0 / (1.0 + ((target - hats @ curve) / width) ** 2)
    return curve
