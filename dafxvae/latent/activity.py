"""Activity of each latent dimension: pure functions of a posterior and a decoder.

Three measures of dimension j of a posterior N(mu(x), sigma(x)^2):

- KL_j = E_x KL(q(z_j | x) || N(0, 1)), in nats: what the dimension may carry;
- activity A_j = Var_x mu_j(x), with A_j > .01 for an active unit (Burda et al. 2016, section 5.2);
- output variance V_j = E_x Var_{u ~ N(0, 1)} D(mu(x) with mu_j := u): how much the output D moves when this dimension
  alone moves over the prior's range. It is the total-effect index of variance-based sensitivity analysis, not divided
  by the total variance (Saltelli et al. 2010, table 2).

KL and activity depend on the encoder alone. V_j depends on the decoder, and so shows how many dimensions an output
needs: the decoder of a beta-VAE learns to ignore a collapsed dimension, which is N(0, 1) noise in every training step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Decode = Callable[[np.ndarray], Any]  # latents [B, ..., Z] -> output [B, ...]
ACTIVE = 0.01  # activity above which a unit counts as active (Burda et al. 2016)
SHARE = 0.99  # of the output variance that the dimensions in use account for together
NEGLIGIBLE = 1e-6  # total output variance below which an output does not depend on the latent at all
NUM_SHIFTS = 4  # other examples that each one is paired with
NUM_NODES = 7  # of the quadrature over the prior; exact for decoders of degree up to 6


class PerDimension(NamedTuple):
    """The encoder's measures of each dimension."""

    kl_nats: np.ndarray  # [Z]
    activity: np.ndarray  # [Z]
    deviation: np.ndarray  # [Z] of the aggregate posterior; about 1 where it matches the prior
    mean: np.ndarray  # [Z] of the aggregate posterior

    @property
    def active(self) -> np.ndarray:
        """bool [Z]"""
        return self.activity > ACTIVE


def per_dimension(mean: np.ndarray, log_variance: np.ndarray) -> PerDimension:
    """KL, activity and aggregate of a posterior; every axis but the last counts as examples.

    Args:
        mean, log_variance: `[..., Z]`.
    """
    mu, log_var = (np.asarray(leaf, np.float64).reshape(-1, leaf.shape[-1]) for leaf in (mean, log_variance))
    kl = 0.5 * (mu**2 + np.exp(log_var) - log_var - 1.0)
    activity = mu.var(0)
    return PerDimension(kl.mean(0), activity, np.sqrt(activity + np.exp(log_var).mean(0)), mu.mean(0))


def prior_nodes(count: int = NUM_NODES) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights of N(0, 1); `[count]` each, the weights sum to one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def output_variance(decode: Decode, means: np.ndarray) -> np.ndarray:
    """V_j of every dimension, averaged over examples and elements of the output; `[Z]`.

    Args:
        decode: `[B, ..., Z]` to any output with the examples first.
        means: posterior means `[B, ..., Z]`; where there are frames, a dimension moves in all of them together.
    """
    nodes, weights = prior_nodes()
    found = np.zeros(means.shape[-1])
    for j in range(means.shape[-1]):
        first: np.ndarray | float = 0.0
        second: np.ndarray | float = 0.0
        start = None
        for node, weight in zip(nodes, weights):
            z = means.copy()
            z[..., j] = node
            output = np.asarray(decode(z), np.float64)
            start = output if start is None else start  # variance about one value: no cancellation
            first = first + weight * (output - start)
            second = second + weight * (output - start) ** 2
        found[j] = float(np.mean(second - np.asarray(first) ** 2))
    return np.maximum(found, 0.0)


def swap_variance(decode: Decode, inputs: np.ndarray, blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Total effect of blocks of inputs on an output, with values of other examples (Jansen 1999); `[len(blocks)]`.

    V_j = E (D(x) - D(x with block j of another example))^2 / 2, averaged over the elements of the output.

    Args:
        decode: `[B, D]` to an output.
        inputs: `[B, D]`, B > `NUM_SHIFTS`.
        blocks: columns that belong together.
    """
    plain = np.asarray(decode(inputs), np.float64)
    found = np.zeros(len(blocks))
    for j, columns in enumerate(blocks):
        for shift in range(1, NUM_SHIFTS + 1):
            swapped = inputs.copy()
            swapped[:, columns] = np.roll(inputs, shift, axis=0)[:, columns]
            found[j] += float(((np.asarray(decode(swapped), np.float64) - plain) ** 2).mean()) / (2 * NUM_SHIFTS)
    return found


def shares(variance: np.ndarray) -> np.ndarray:
    """Each dimension's share of the output variance, `[Z]`; zeros for an output that ignores the latent."""
    total = float(variance.sum())
    return variance / total if total > NEGLIGIBLE else np.zeros_like(variance)


def in_use(variance: np.ndarray) -> np.ndarray:
    """The smallest set of dimensions that together account for `SHARE` of the output variance; bool `[Z]`."""
    order = np.argsort(-variance, kind="stable")
    cumulative = np.cumsum(shares(variance)[order])
    used = np.zeros(len(variance), bool)
    if cumulative[-1] > 0.0:
        used[order[: int(np.searchsorted(cumulative, SHARE - 1e-12)) + 1]] = True
    return used


class Recommendation(NamedTuple):
    """Which dimensions an encoder needs."""

    used: np.ndarray  # bool [Z]: in use for at least one output
    order: np.ndarray  # int [Z]: by the greatest share in any output, the most important first
    curves: dict[str, np.ndarray]  # of each output, the cumulative share of its own dimensions in falling order

    @property
    def size(self) -> int:
        """The recommended number of dimensions, at least 1."""
        return max(1, int(self.used.sum()))


def recommend(variances: Mapping[str, np.ndarray]) -> Recommendation:
    """A dimension is needed when any output needs it: the union over outputs of the sets of `in_use`.

    The share is of variance, so what is left out is 1 % of what the latent can do to each output (a tenth of its
    amplitude), which is below what a reconstruction leaves unexplained; the sweep checks it by training again.

    Args:
        variances: of each output, `[Z]`.
    """
    used = np.any([in_use(variance) for variance in variances.values()], axis=0)
    greatest = np.max([shares(variance) for variance in variances.values()], axis=0)
    order = np.argsort(-greatest, kind="stable")
    curves = {name: np.cumsum(np.sort(shares(variance))[::-1]) for name, variance in variances.items()}
    return Recommendation(used, order, curves)


def kept_curve(error: Decode, means: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Error when only the first d dimensions of `order` are kept and the others stand still at their mean.

    Args:
        error: latents `[B, ..., Z]` to the error of each example `[B]`.
        means: posterior means `[B, ..., Z]`.
        order: of the dimensions.

    Returns:
        `[Z + 1, B]`, for d = 0 ... Z.
    """
    still = means.reshape(-1, means.shape[-1]).mean(0)
    rows = []
    for count in range(len(order) + 1):
        z = np.broadcast_to(still, means.shape).astype(means.dtype)
        z[..., order[:count]] = means[..., order[:count]]
        rows.append(np.asarray(error(z)))
    return np.stack(rows)
