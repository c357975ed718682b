"""Curves from direct estimates to settings: a descriptor may show a parameter exactly, up to the parameter's scale.

The lag of an echo is a delay's time, the smallest step of a quantised sound its bit depth. The curve between them
belongs to the effect (its range and scale), and pairs with known settings show it. Curves are piecewise linear over
fixed knots and fitted robustly in closed form, so that pairs in which the descriptor shows something else do not bend
them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

NUM_KNOTS = 129
KNOTS = np.linspace(-5.0, 5.0, NUM_KNOTS).astype(np.float32)  # deviations: the range of a standardised descriptor
ROUNDS = 30  # of reweighting
SMALLEST = 1e-3  # residual below which an error counts by its square
STIFFNESS = 1e-2  # of the second difference, against the weight of one pair: carries a curve over knots without pairs
MODE_STIFFNESS = 1.0
WIDTHS = np.geomspace(0.5, 0.01, ROUNDS)  # of Cauchy's likelihood, from half of the range down
HIT, MORE = 0.02, 0.1  # error that counts as a hit, of the range; share of the pairs by which a curve must hit more


def evaluate_curves(curves: Array, estimates: Array) -> Array:
    """Settings at direct estimates; `([J, K, NUM_KNOTS], [B, J]) -> [B, K, J]` in [0, 1]."""
    of_settings = jax.vmap(lambda x, curve: jnp.interp(x, jnp.asarray(KNOTS), curve), (None, 0))
    found = jax.vmap(jax.vmap(of_settings), (0, None))(estimates, curves)
    return jnp.clip(jnp.swapaxes(found, 1, 2), 0.0, 1.0)


def fit_curves(estimates: np.ndarray, unit_params: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Fit the curve of each setting over each direct estimate, by reweighted least squares.

    Least absolute errors first. Where the descriptor shows something else in most of the pairs, they are bent towards
    the middle of that; then the curve through the mode (Cauchy's likelihood of shrinking width) is taken if by it
    `MORE` more of the pairs come within `HIT`.

    Args:
        estimates: standardised, `[N, J]`.
        unit_params: `[N, K]` in [0, 1].
        valid: `[N]`, 0 for pairs that do not count.

    Returns:
        float32 `[J, K, NUM_KNOTS]`.
    """
    counted = np.asarray(valid) > 0
    estimates, unit_params = np.asarray(estimates, np.float64)[counted], np.asarray(unit_params, np.float64)[counted]
    curves = np.zeros((estimates.shape[1], unit_params.shape[1], NUM_KNOTS), np.float32)
    for j, estimate in enumerate(estimates.T):
        hats = _hats(estimate)
        for k, target in enumerate(unit_params.T):
            found = _least_absolute(hats, target), _mode(hats, target)
            hits = [np.sum(np.abs(target - hats @ curve) < HIT) for curve in found]
            curves[j, k] = found[int(hits[1] > hits[0] + MORE * len(target))]
    return curves


def _hats(estimate: np.ndarray) -> np.ndarray:
    """Share of each knot in a curve's value at each estimate; `[N] -> [N, NUM_KNOTS]`."""
    place = np.clip((estimate - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0.0, NUM_KNOTS - 1.000001)
    below = place.astype(int)
    hats = np.zeros((len(estimate), NUM_KNOTS))
    hats[np.arange(len(estimate)), below] = 1.0 - (place - below)
    hats[np.arange(len(estimate)), below + 1] = place - below
    return hats


def _weighted(hats: np.ndarray, target: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
    """The curve of least weighted squares; `[NUM_KNOTS]`."""
    bends = stiffness * np.diff(np.eye(NUM_KNOTS), 2, axis=0).T @ np.diff(np.eye(NUM_KNOTS), 2, axis=0)
    bends += 1e-9 * np.eye(NUM_KNOTS)  # with no pair at all the curve is 0, and has no weight
    weighted = hats * weights[:, None]
    return np.linalg.solve(weighted.T @ hats + bends, weighted.T @ target)


def _least_absolute(hats: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The curve of least absolute errors; `[NUM_KNOTS]`."""
    weights, curve = np.ones(len(target)), np.zeros(NUM_KNOTS)
    for _ in range(ROUNDS):
        curve = _weighted(hats, target, weights, STIFFNESS)
        weights = SMALLEST / np.maximum(np.abs(target - hats @ curve), SMALLEST)
    return curve


def _mode(hats: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The curve through the mode of the settings; stiff, because few pairs lie between two of its knots."""
    weights, curve = np.ones(len(target)), np.zeros(NUM_KNOTS)
    for width in WIDTHS:
        curve = _weighted(hats, target, weights, MODE_STIFFNESS)
        weights = 1.0 / (1.0 + ((target - hats @ curve) / width) ** 2)
    return curve
