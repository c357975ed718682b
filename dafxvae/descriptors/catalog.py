"""All descriptors, and where the columns of chosen ones stand.

To add one, write its file and enter it in `DESCRIPTORS`. Those in the encoding come first and in a fixed order: it is
the order in f's encoding, which belongs to trained weights.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.core.errors import UserError
from dafxvae.descriptors.amplitudes import AMPLITUDES
from dafxvae.descriptors.combs import COMBS
from dafxvae.descriptors.descriptor import Descriptor, Recordings
from dafxvae.descriptors.echoes import ECHOES
from dafxvae.descriptors.lfo import LFO, LFO_LAGS
from dafxvae.descriptors.lfo_templates import LFO_TEMPLATES
from dafxvae.descriptors.movement import MOVEMENT

DESCRIPTORS: tuple[Descriptor, ...] = (ECHOES, COMBS, MOVEMENT, AMPLITUDES, LFO, LFO_LAGS, LFO_TEMPLATES)


def find_descriptors(names: Sequence[str]) -> tuple[Descriptor, ...]:
    """Descriptors by name, in the order asked for.

    Raises:
        UserError: there is none of that name.
    """
    known = {descriptor.name: descriptor for descriptor in DESCRIPTORS}
    for name in names:
        if name not in known:
            raise UserError(f"h.descriptors has {name!r}: --config.h.descriptors takes a tuple of {', '.join(known)}")
    return tuple(known[name] for name in names)


def encoding_columns() -> dict[str, np.ndarray]:
    """Columns of each descriptor in f's encoding, counted from its end (negative)."""
    return columns_of([descriptor for descriptor in DESCRIPTORS if descriptor.in_encoding], 0)


def encoding_size() -> int:
    """Number of columns of f's encoding that are descriptors."""
    return num_columns([descriptor for descriptor in DESCRIPTORS if descriptor.in_encoding], 0)


def encoding_part(recordings: Recordings) -> Array:
    """The descriptors in f's encoding, one after another; `[B, encoding_size()]`."""
    return jnp.concatenate([each.compute(recordings) for each in DESCRIPTORS if each.in_encoding], axis=-1)


def num_columns(descriptors: Sequence[Descriptor], num_params: int) -> int:
    """Number of columns of descriptors together, for an effect of K parameters."""
    return sum(descriptor.size(num_params) for descriptor in descriptors)


def columns_of(descriptors: Sequence[Descriptor], num_params: int) -> dict[str, np.ndarray]:
    """Columns of each descriptor where they stand last, one after another, counted from the end (negative)."""
    return {
        each.name: np.arange(each.size(num_params)) - num_columns(descriptors[i:], num_params)
        for i, each in enumerate(descriptors)
    }


def direct_columns(descriptors: Sequence[Descriptor], num_params: int) -> tuple[int, ...]:
    """Columns of the direct estimates, counted from the end (negative)."""
    columns = columns_of(descriptors, num_params)
    return tuple(int(columns[each.name][place]) for each in descriptors for place in each.direct)


def rate_estimates(descriptors: Sequence[Descriptor]) -> list[int]:
    """Which of the direct estimates, numbered as in `direct_columns`, are the logarithm of an LFO's rate in Hz."""
    is_rate = [each.direct_is_rate for each in descriptors for _ in each.direct]
    return [j for j, rate in enumerate(is_rate) if rate]


def estimate_columns(descriptors: Sequence[Descriptor], num_params: int) -> tuple[int, ...]:
    """K columns that estimate every parameter, counted from the end (negative); none where no descriptor has any."""
    columns = columns_of(descriptors, num_params)
    for each in descriptors:
        if each.estimates is not None:
            return tuple(columns[each.name][each.estimates :].tolist())
    return ()


def uncertain_columns(num_features: int, descriptors: Sequence[Descriptor], num_params: int) -> np.ndarray:
    """Columns of h's input features that are uncertain: the latent, and what descriptors say of their own columns."""
    columns = columns_of(descriptors, num_params)
    latent = np.arange(num_features - num_columns(descriptors, num_params))
    others = [num_features + columns[d.name][d.uncertain :] for d in descriptors if d.uncertain is not None]
    return np.concatenate([latent, *others])


def combine_windows(features: np.ndarray, descriptors: Sequence[Descriptor], num_params: int) -> np.ndarray:
    """Input features of h for several windows of a recording together; `[..., N, Z + S] -> [..., Z + S]`.

    The mean, but for a descriptor with a confidence the columns of the window where that is greatest: no mean of two
    lags, or of two rates, has anything to do with either of them.
    """
    combined = features.mean(axis=-2)
    for each, columns in zip(descriptors, columns_of(descriptors, num_params).values()):
        if each.confidence is not None:
            best = features[..., columns[each.confidence]].argmax(axis=-1)[..., None, None]
            combined[..., columns] = np.take_along_axis(features, best, axis=-2)[..., 0, columns]
    return combined
