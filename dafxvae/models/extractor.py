"""The one way from recordings to what h hears: f, the traces that h asks for beside it, and g.

Every recording is encoded once, alone, and its encoding joined with those of others: comparing W recordings with V
takes W + V passes through f, which is nearly all of the work, and an item has the same bits alone and in any batch (a
product of matrices rounds differently in batches of other sizes). Weights and templates are arguments of what is
compiled: networks of the same sizes share one program for each length of clip, and megabytes of templates, as
constants, take seconds to compile.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.descriptors import cycles, matched, traces
from dafxvae.models.controller import ControllerVAE
from dafxvae.models.encoder import SpectrogramVAE
from dafxvae.models.networks import BESIDE, Encoders, group_size

JOIN_BATCH = 64


class FeatureExtractor:
    """f and g with the traces of one h: numpy arrays to numpy arrays, deterministic."""

    def __init__(self, encoders: Encoders, sample_rate: int, groups: Sequence[str] = ()) -> None:
        """Computes nothing yet.

        Args:
            encoders: f and g, and the templates of the effect where "matched" is among the groups.
            sample_rate: Hz, of all clips.
            groups: of traces that h hears beside the latent (`networks.heard_traces`).

        Raises:
            ValueError: templates are asked for, and there are none.
        """
        if "matched" in groups and encoders.templates is None:
            raise ValueError("to hear the group 'matched', encoders need templates of the effect")
        self.encoders, self.sample_rate, self.groups = encoders, sample_rate, tuple(groups)

    @cached_property
    def _num_params(self) -> int:
        templates = self.encoders.templates
        return 0 if templates is None else templates.settings.shape[1]

    @cached_property
    def _beside(self) -> tuple[str, ...]:
        return tuple(name for name in self.groups if name in BESIDE)

    @cached_property
    def num_beside(self) -> int:
        """X, the traces that are no part of f's encoding."""
        return sum(group_size(name, self._num_params) for name in self._beside)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        arrays = {name: self.encoders.variables[name] for name in ("f", "g")}
        return jax.device_put(arrays | {"templates": self.encoders.templates})

    def encode(self, clips: np.ndarray, beside: bool = True) -> np.ndarray:
        """f's encoding of recordings, then the traces of these groups that are no part of it.

        Args:
            clips: float32 `[B, T, C]`.
            beside: False where `join` is given them as inputs alone: of those h hears no traces, and they are 0.

        Returns:
            float32 `[B, E + X]`.
        """
        f, arrays = self.encoders.f, self._arrays
        encodings = [_encode(arrays["f"], clip[None], f, self.sample_rate) for clip in clips]
        others = np.zeros((len(clips), self.num_beside), np.float32)
        if beside and self.num_beside:
            found = [_traces(arrays["templates"], clip[None], self._beside, self.sample_rate) for clip in clips]
            others = np.concatenate(found)
        return np.concatenate([np.concatenate(encodings), others], axis=1)

    def join(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """g, and what h hears beside it: its latent (the posterior mean), and the reference's traces of these groups as
        they are, those of f standardised.

        A latent holds all that may matter for any effect, and so each of it a little blurred; a parameter that one
        trace tells exactly (a delay's time, a quantum) passes g by.

        Args:
            dry, reference: what `encode` made, `[B, E + X]`.

        Returns:
            float32 `[B, Z + S]`.
        """
        missing = -len(dry) % JOIN_BATCH  # filled up, so that one compilation serves every number of pairs
        pairs = [np.concatenate([side, np.zeros((missing, side.shape[1]), np.float32)]) for side in (dry, reference)]
        f, g = self.encoders.f, self.encoders.g
        parts = [
            _join(self._arrays["g"], *(side[i : i + JOIN_BATCH] for side in pairs), f, g, self.groups, self._num_params)
            for i in range(0, len(pairs[0]), JOIN_BATCH)
        ]
        return np.concatenate(parts)[: len(dry)]

    def latent(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """What h hears of each input with its reference; float32 `[B, T, C]` of one shape to `[B, Z + S]`."""
        return self.join(self.encode(dry, beside=False), self.encode(reference))


@partial(jax.jit, static_argnums=(2, 3))
def _encode(variables: Any, clip: Array, f: SpectrogramVAE, sample_rate: int) -> Array:
    """`[1, T, C] -> [1, E]`."""
    return cast(Array, f.apply(variables, clip, sample_rate, method=SpectrogramVAE.encode))


@partial(jax.jit, static_argnums=(2, 3))
def _traces(templates: matched.Templates, clip: Array, beside: tuple[str, ...], sample_rate: int) -> Array:
    """`[1, T, C] -> [1, X]`."""

    def trace(name: str) -> Array:
        if name == "matched":
            return matched.match_templates(clip, sample_rate, templates)
        return cycles.GROUPS[name](clip, sample_rate)

    return jnp.concatenate([trace(name) for name in beside], axis=-1)


@partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _join(
    variables: Any,
    dry: Array,
    reference: Array,
    f: SpectrogramVAE,
    g: ControllerVAE,
    groups: tuple[str, ...],
    num_params: int,
) -> Array:
    """`[B, E + X], [B, E + X] -> [B, Z + S]`, a pair at a time."""
    size = f.encoding_size
    ends = np.cumsum([group_size(name, num_params) for name in groups if name in BESIDE]).tolist()

    def one(pair: tuple[Array, Array]) -> Array:
        joint = jnp.concatenate([side[:size] for side in pair])[None]
        z = cast(Array, g.apply(variables, joint, method=ControllerVAE.encode))[0]
        data = cast(Array, g.apply(variables, joint, method=ControllerVAE.standardise))[0, -traces.NUM_TRACES :]
        beside = iter(jnp.split(pair[1][size:], ends))
        heard = [next(beside) if name in BESIDE else data[traces.group_columns((name,))] for name in groups]
        return jnp.concatenate([z, *heard])

    return jax.lax.map(one, (dry, reference))
