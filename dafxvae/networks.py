"""f, g and h from a configuration or from what was stored of them, and the deterministic way through them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from dafxvae.audio.traces import GROUPS, NUM_TRACES, READINGS, group_columns
from dafxvae.config import Config
from dafxvae.errors import UserError
from dafxvae.models.controller import ControllerDecoder, ControllerVAE
from dafxvae.models.encoder import SpectrogramVAE, joint_encoding

COMPUTE_DTYPES = ("float32", "bfloat16")
ENCODER_KEYS = ("latent_dim", "width", "time_strides", "num_mels", "window_sec", "hop_sec", "high_hz", "style_dim")


class Encoders(NamedTuple):
    """The frozen half: f and g with their variables, and what is known of their making."""

    f: SpectrogramVAE
    g: ControllerVAE
    variables: dict[str, Any]  # {"f": ..., "g": ...}, numpy
    metadata: dict[str, Any]


def build_f(config: Config, dtype: str | None = None) -> SpectrogramVAE:
    """f and its decoder, from a configuration's part `f`; hidden layers compute in `dtype` (None: float32)."""
    return SpectrogramVAE(**{key: config[key] for key in ENCODER_KEYS}, dtype=compute_dtype(dtype))


def build_g(
    config: Config, f: SpectrogramVAE, num_params: int, num_units: int, dtype: str | None = None
) -> ControllerVAE:
    """g and its decoder for a bank of `num_units` single effects with `num_params` parameters together."""
    joint_size = 2 * f.encoding_size
    sizes = config.latent_dim, config.width, joint_size, num_params, num_units
    return ControllerVAE(*sizes, dtype=compute_dtype(dtype))


def compute_dtype(name: str | None) -> Any:
    """What networks take for the configuration's `compute_dtype`; UserError unless it is one they can compute in."""
    if name not in (None, *COMPUTE_DTYPES):
        raise UserError(f"compute_dtype is {name!r}: --config.compute_dtype takes one of {', '.join(COMPUTE_DTYPES)}")
    return None if name in (None, "float32") else jnp.dtype(name)


def build_h(config: Config, num_params: int) -> ControllerDecoder:
    """h for an effect of `num_params` parameters."""
    columns = heard_columns(heard_traces(config))
    readings = tuple(int(columns[name][place]) for name in columns for place in READINGS.get(name, ()))
    return ControllerDecoder(tuple(config.h.widths), num_params, sum(map(len, columns.values())), readings)


def encoders_from(variables: dict[str, Any], metadata: dict[str, Any]) -> Encoders:
    """f and g as they were stored."""
    f = build_f(ConfigDict(metadata["f"] | {"time_strides": tuple(metadata["f"]["time_strides"])}))
    g = build_g(ConfigDict(metadata["g"]), f, len(metadata["parameters"]), len(metadata["bank"]))
    return Encoders(f, g, variables, metadata)


def heard_traces(config: Config) -> tuple[str, ...]:
    """The groups of traces that h hears beside the latent, of its configuration; UserError unless f has them."""
    groups = tuple(config.h.get("traces", ()))
    for name in groups:
        if name not in GROUPS:
            raise UserError(f"h.traces has {name!r}: --config.h.traces takes a tuple of {', '.join(GROUPS)}")
    return groups


def heard_columns(groups: Sequence[str]) -> dict[str, np.ndarray]:
    """Where each group of traces stands in what h hears, counted from the end (below 0)."""
    sizes = [GROUPS[name] for name in groups]
    return {name: np.arange(sizes[i]) - sum(sizes[i:]) for i, name in enumerate(groups)}


def hear(encoders: Encoders, joint: Array, groups: Sequence[str] = ()) -> Array:
    """What h is told of joint encodings; `[B, 2E] -> [B, Z + S]`.

    g's latent (the posterior mean), and beside it the reference's traces of these groups as they are, standardised. A
    latent holds all that may matter for any effect, and so each of it a little blurred; a parameter that one trace
    tells exactly (a delay's time, a quantum) passes g by.
    """
    g, variables = encoders.g, encoders.variables["g"]
    z = cast(Array, g.apply(variables, joint, method=ControllerVAE.encode))
    if not groups:
        return z
    data = cast(Array, g.apply(variables, joint, method=ControllerVAE.standardise))
    return jnp.concatenate([z, data[:, -NUM_TRACES:][:, group_columns(groups)]], axis=-1)


def build_latent(encoders: Encoders, sample_rate: int, groups: Sequence[str] = ()) -> Callable[[Any, Any], Array]:
    """`(dry, reference [B, T, C]) -> what h hears [B, Z + S]` (see `hear`), jitted, deterministic.

    One item at a time: a product of matrices rounds differently in batches of other sizes, and so the latent of an item
    has the same bits alone and in any batch.
    """

    def one(clips: tuple[Array, Array]) -> Array:
        dry, reference = (clip[None] for clip in clips)
        joint = joint_encoding(encoders.f, encoders.variables["f"], dry, reference, sample_rate)
        return hear(encoders, joint, groups)[0]

    return jax.jit(lambda dry, reference: jax.lax.map(one, (dry, reference)))


def build_encode(encoders: Encoders, sample_rate: int) -> Callable[[Any], Array]:
    """f alone: `[B, T, C] -> encodings [B, E]`, jitted, an item at a time as in `build_latent`.

    With `build_join` it takes W + V passes through f, which is nearly all of the work, to compare W recordings with V
    others, where `build_latent` takes 2 W V; the latents are those of `build_latent` but for rounding.
    """

    def one(clip: Array) -> Array:
        f, variables = encoders.f, encoders.variables["f"]
        return cast(Array, f.apply(variables, clip[None], sample_rate, method=SpectrogramVAE.encode))[0]

    return jax.jit(lambda clips: jax.lax.map(one, clips))


def build_join(encoders: Encoders, groups: Sequence[str] = ()) -> Callable[[Any, Any], Array]:
    """g alone: `(encodings of the inputs [B, E], of the references [B, E]) -> what h hears [B, Z + S]`, jitted."""

    def one(pair: tuple[Array, Array]) -> Array:
        return hear(encoders, jnp.concatenate(pair)[None], groups)[0]

    return jax.jit(lambda dry, reference: jax.lax.map(one, (dry, reference)))


def build_predict(encoders: Encoders, config: Config, num_params: int) -> Callable[[Any, Any, Any], Array]:
    """`(h's params, dry, reference [B, T, C]) -> unit_params [B, K]`, jitted, deterministic."""

    h = build_h(config, num_params)
    latent = build_latent(encoders, config.sample_rate, heard_traces(config))

    @jax.jit
    def predict(params: Any, dry: Array, reference: Array) -> Array:
        z = latent(dry, reference)
        return jax.lax.map(lambda item: cast(Array, h.apply({"params": params}, item[None]))[0], z)

    return predict
