"""The one way from recordings to h's input features: f, g, and the descriptors that h takes in addition to the latent.

Every recording is embedded once, alone, and its encoding joined with those of others: comparing W recordings with V
takes W + V passes through f, which is nearly all of the work. Alone, because a product of matrices rounds differently
in batches of other sizes, and an item must have the same bits in any batch. Weights and templates are arguments of the
compiled programs, not constants: networks of equal sizes share one program for each length of clip, and megabytes of
constants take seconds to compile.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Descriptor, Recordings
from dafxvae.descriptors.lfo_templates import Templates
from dafxvae.models.batches import in_batches
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.networks import Encoders
from dafxvae.models.quick_program import QuickProgram
from dafxvae.models.spectrogram_vae import SpectrogramVAE

JOIN_BATCH = 64
KNOWN_CLIPS = 64  # whose encodings are kept: the windows of an input and a reference
Descriptors = tuple[Descriptor, ...]


class FeatureExtractor:
    """f and g with the descriptors of one h: numpy arrays to numpy arrays, deterministic."""

    def __init__(self, encoders: Encoders, sample_rate: int, descriptors: Sequence[Descriptor] = ()) -> None:
        """Computes nothing yet.

        Args:
            encoders: f and g, and the templates of the effect where a descriptor needs them.
            sample_rate: Hz, of all clips.
            descriptors: those of the reference that h takes in addition to the latent.

        Raises:
            ValueError: a descriptor needs templates, and there are none.
        """
        if encoders.templates is None:
            for descriptor in descriptors:
                if descriptor.needs_templates:
                    raise ValueError(f"the descriptor {descriptor.name!r} needs templates of the effect in `encoders`")
        self.encoders, self.sample_rate, self.descriptors = encoders, sample_rate, tuple(descriptors)

    @cached_property
    def _num_params(self) -> int:
        """K, which only templates know; no other descriptor's size depends on it."""
        templates = self.encoders.templates
        return 0 if templates is None else templates.settings.shape[1]

    @cached_property
    def _separate(self) -> Descriptors:
        """The descriptors that are no part of f's encoding."""
        return tuple(descriptor for descriptor in self.descriptors if not descriptor.in_encoding)

    @cached_property
    def num_separate(self) -> int:
        """X, columns of descriptors that are no part of f's encoding."""
        return catalog.num_columns(self._separate, self._num_params)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        arrays = {name: self.encoders.variables[name] for name in ("f", "g")}
        return jax.device_put(arrays | {"templates": self.encoders.templates})

    def encode(self, clips: np.ndarray, is_reference: bool = True) -> np.ndarray:
        """Embed recordings by f, with the descriptors that are no part of its encoding behind.

        Args:
            clips: float32 `[B, T, C]`.
            is_reference: False for clips that `join` gets as inputs only: h takes descriptors of references alone, so
                theirs are not computed and are 0.

        Returns:
            float32 `[B, E + X]`.
        """
        is_described = is_reference and self.num_separate > 0
        rows = [self._known(clip.tobytes(), clip.shape, is_described) for clip in np.asarray(clips, np.float32)]
        return np.concatenate([np.concatenate(parts, axis=1) for parts in rows])

    @cached_property
    def _known(self) -> Callable[[bytes, tuple[int, ...], bool], list[Array | np.ndarray]]:
        """`_encode_clip`, which a reference that is used again does not wait for."""
        return lru_cache(KNOWN_CLIPS)(self._encode_clip)

    def _encode_clip(self, samples: bytes, shape: tuple[int, ...], is_described: bool) -> list[Array | np.ndarray]:
        arrays, clip = self._arrays, np.frombuffer(samples, np.float32).reshape(1, *shape)
        encoding = _encode(arrays["f"], clip, self.encoders.f, self.sample_rate)
        if is_described:
            return [encoding, _describe(arrays["templates"], clip, self._separate, self.sample_rate)]
        return [encoding, np.zeros((1, self.num_separate), np.float32)]

    def join(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Input features of h: g's latent (the posterior mean), then the reference's descriptors.

        The latent holds everything that may matter for any effect, each a little blurred. What one descriptor shows
        exactly (a delay's time, a quantum) reaches h directly. Descriptors in f's encoding are standardised by g.

        Args:
            dry, reference: encodings by `encode`, `[B, E + X]`.

        Returns:
            float32 `[B, Z + S]`.
        """
        f, g, variables = self.encoders.f, self.encoders.g, self._arrays["g"]
        how: dict[str, Any] = {"f": f, "g": g, "descriptors": self.descriptors, "num_params": self._num_params}
        return in_batches(partial(_join, variables, **how), JOIN_BATCH, dry, reference)

    def features(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Input features of h for each input and its reference; float32 `[B, T, C]`, one shape, to `[B, Z + S]`."""
        return self.join(self.encode(dry, is_reference=False), self.encode(reference))


@partial(QuickProgram, static_argnums=(2, 3))
def _encode(variables: Any, clip: Array, f: SpectrogramVAE, sample_rate: int) -> Array:
    """`[1, T, C] -> [1, E]`."""
    return cast(Array, f.apply(variables, clip, sample_rate, method=SpectrogramVAE.encode))


@partial(QuickProgram, static_argnums=(2, 3))
def _describe(templates: Templates | None, clip: Array, descriptors: Descriptors, sample_rate: int) -> Array:
    """`[1, T, C] -> [1, X]`."""
    recordings = Recordings(clip, sample_rate, templates=templates)
    return jnp.concatenate([descriptor.compute(recordings) for descriptor in descriptors], axis=-1)


@partial(QuickProgram, static_argnames=("f", "g", "descriptors", "num_params"))
def _join(
    variables: Any,
    dry: Array,
    reference: Array,
    f: SpectrogramVAE,
    g: ControllerVAE,
    descriptors: Descriptors,
    num_params: int,
) -> Array:
    """`[B, E + X], [B, E + X] -> [B, Z + S]`, a pair at a time."""
    size = f.encoding_size
    separate = catalog.columns_of([each for each in descriptors if not each.in_encoding], num_params)
    in_encoding = catalog.encoding_columns()

    def one(pair: tuple[Array, Array]) -> Array:
        joint = jnp.concatenate([side[:size] for side in pair])[None]
        z = cast(Array, g.apply(variables, joint, method=ControllerVAE.encode))[0]
        data = cast(Array, g.apply(variables, joint, method=ControllerVAE.standardise))[0]
        parts = [
            data[in_encoding[each.name]] if each.in_encoding else pair[1][separate[each.name]] for each in descriptors
        ]
        return jnp.concatenate([z, *parts])

    return jax.lax.map(one, (dry, reference))
