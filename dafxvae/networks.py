"""f, g and h from a configuration or from what was stored of them, and the deterministic way through them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from dafxvae.audio import cycles, matched, traces
from dafxvae.config import Config
from dafxvae.errors import UserError
from dafxvae.models.controller import ControllerDecoder, ControllerVAE
from dafxvae.models.encoder import SpectrogramVAE

COMPUTE_DTYPES = ("float32", "bfloat16")
ENCODER_KEYS = ("latent_dim", "width", "time_strides", "num_mels", "window_sec", "hop_sec", "high_hz", "style_dim")


# Groups of traces that h may hear: those of f's encoding, and what is looked for where h asks for it alone.
BESIDE = (*cycles.GROUPS, "matched")
GROUPS = (*traces.GROUPS, *BESIDE)
CLEARNESS = {"echoes": traces.CLEARNESS, "matched": matched.CLEARNESS} | dict.fromkeys(cycles.GROUPS, cycles.CLEARNESS)


class Encoders(NamedTuple):
    """The frozen half: f and g with their variables, and what is known of their making."""

    f: SpectrogramVAE
    g: ControllerVAE
    variables: dict[str, Any]  # {"f": ..., "g": ...}, numpy
    metadata: dict[str, Any]
    templates: matched.Templates | None = None  # of one effect's LFO: what the group "matched" of traces compares with


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
    columns = heard_columns(heard_traces(config), num_params)
    readings = tuple(int(columns[name][place]) for name in columns for place in reading_places(name, num_params))
    told: tuple[int, ...] = ()
    if "matched" in columns and config.h.matched.get("told", False):
        told = tuple(columns["matched"][matched.SETTINGS :].tolist())
    return ControllerDecoder(tuple(config.h.widths), num_params, sum(map(len, columns.values())), readings, told)


def encoders_from(variables: dict[str, Any], metadata: dict[str, Any]) -> Encoders:
    """f and g as they were stored."""
    f = build_f(ConfigDict(metadata["f"] | {"time_strides": tuple(metadata["f"]["time_strides"])}))
    g = build_g(ConfigDict(metadata["g"]), f, len(metadata["parameters"]), len(metadata["bank"]))
    return Encoders(f, g, variables, metadata)


def heard_traces(config: Config) -> tuple[str, ...]:
    """The groups of traces that h hears beside the latent, of its configuration; UserError unless there are such."""
    groups = tuple(config.h.get("traces", ()))
    for name in groups:
        if name not in GROUPS:
            raise UserError(f"h.traces has {name!r}: --config.h.traces takes a tuple of {', '.join(GROUPS)}")
    return groups


def group_size(name: str, num_params: int) -> int:
    """How many traces a group has, for an effect of K parameters."""
    if name == "matched":
        return matched.num_matched(num_params)
    return cycles.NUM_CYCLES if name in cycles.GROUPS else traces.GROUPS[name]


def reading_places(name: str, num_params: int) -> Sequence[int]:
    """Which traces of a group a setting may follow by a curve."""
    if name == "matched":
        return (matched.RATE,)
    return (cycles.RATE,) if name in cycles.GROUPS else traces.READINGS.get(name, ())


def rate_readings(config: Config, num_params: int) -> list[int]:
    """Which of h's readings are the logarithm of an LFO's rate in Hz."""
    names = [name for name in heard_traces(config) for _ in reading_places(name, num_params)]
    return [j for j, name in enumerate(names) if name in BESIDE]


def heard_columns(groups: Sequence[str], num_params: int) -> dict[str, np.ndarray]:
    """Where each group of traces stands in what h hears, counted from the end (below 0)."""
    sizes = [group_size(name, num_params) for name in groups]
    return {name: np.arange(sizes[i]) - sum(sizes[i:]) for i, name in enumerate(groups)}


def blurred_columns(num_heard: int, groups: Sequence[str], num_params: int) -> np.ndarray:
    """Columns of what h hears that are uncertain: the latent, and the period of a cycle, of which the rate is exact."""
    latent = np.arange(num_heard - sum(group_size(name, num_params) for name in groups))
    columns = heard_columns(groups, num_params)
    periods = [num_heard + columns[name][cycles.PERIOD :] for name in groups if name in cycles.GROUPS]
    return np.concatenate([latent, *periods])


def encode(encoders: Encoders, clips: Array, sample_rate: int, groups: Sequence[str] = ()) -> Array:
    """f's encoding E of recordings, and X traces of these groups that are no part of it; `[B, T, C] -> [B, E + X]`."""
    encoding = cast(Array, encoders.f.apply(encoders.variables["f"], clips, sample_rate, method=SpectrogramVAE.encode))
    return jnp.concatenate([encoding, *trace_beside(encoders, clips, sample_rate, groups)], axis=-1)


def trace_beside(encoders: Encoders, clips: Array, sample_rate: int, groups: Sequence[str]) -> list[Array]:
    """The traces of these groups that are no part of f's encoding, `[B, T, C]` to one array for each of the groups."""

    def trace(name: str) -> Array:
        if name != "matched":
            return cycles.GROUPS[name](clips, sample_rate)
        if encoders.templates is None:
            raise ValueError("to hear the group 'matched', encoders need templates of the effect")
        return matched.match(clips, sample_rate, jax.tree.map(jnp.asarray, encoders.templates))

    return [trace(name) for name in groups if name in BESIDE]


def hear(encoders: Encoders, dry: Array, reference: Array, groups: Sequence[str] = ()) -> Array:
    """What h is told of an input and a reference, each as `encode` gives it; `[B, E (+ X)] -> [B, Z + S]`.

    g's latent (the posterior mean), and beside it the reference's traces of these groups as they are, those of f
    standardised. A latent holds all that may matter for any effect, and so each of it a little blurred; a parameter
    that one trace tells exactly (a delay's time, a quantum) passes g by.
    """
    g, variables, size = encoders.g, encoders.variables["g"], encoders.f.encoding_size
    joint = jnp.concatenate([dry[:, :size], reference[:, :size]], axis=-1)
    z = cast(Array, g.apply(variables, joint, method=ControllerVAE.encode))
    if not groups:
        return z
    data = cast(Array, g.apply(variables, joint, method=ControllerVAE.standardise))[:, -traces.NUM_TRACES :]
    num_params = encoders.templates.settings.shape[1] if encoders.templates is not None else 0
    ends = np.cumsum([group_size(name, num_params) for name in groups if name in BESIDE]).tolist()
    beside = iter(jnp.split(reference[:, size:], ends, axis=-1))
    heard = [next(beside) if name in BESIDE else data[:, traces.group_columns((name,))] for name in groups]
    return jnp.concatenate([z, *heard], axis=-1)


def build_latent(encoders: Encoders, sample_rate: int, groups: Sequence[str] = ()) -> Callable[[Any, Any], Array]:
    """`(dry, reference [B, T, C]) -> what h hears [B, Z + S]` (see `hear`), jitted, deterministic.

    One item at a time: a product of matrices rounds differently in batches of other sizes, and so the latent of an item
    has the same bits alone and in any batch.
    """

    def one(encoders: Encoders, clips: tuple[Array, Array]) -> Array:
        dry, reference = jnp.split(encode(encoders, jnp.stack(clips), sample_rate), 2)
        beside = trace_beside(encoders, clips[1][None], sample_rate, groups)
        return hear(encoders, dry, jnp.concatenate([reference, *beside], axis=-1), groups)[0]

    return _with_templates(encoders, lambda own, *clips: jax.lax.map(partial(one, own), clips))


def build_encode(encoders: Encoders, sample_rate: int, groups: Sequence[str] = ()) -> Callable[[Any], Array]:
    """`encode`: `[B, T, C] -> [B, E + X]`, jitted, an item at a time as in `build_latent`.

    With `build_join` it takes W + V passes through f, which is nearly all of the work, to compare W recordings with V
    others, where `build_latent` takes 2 W V; the latents are those of `build_latent` but for rounding.
    """

    def one(encoders: Encoders, clip: Array) -> Array:
        return encode(encoders, clip[None], sample_rate, groups)[0]

    return _with_templates(encoders, lambda own, clips: jax.lax.map(partial(one, own), clips))


def _with_templates(encoders: Encoders, function: Callable[..., Array]) -> Callable[..., Array]:
    """`function(encoders, *clips)` as a jitted function of clips. The templates are an argument of what is compiled:
    megabytes of constants in a program take seconds to compile."""
    compiled = jax.jit(lambda templates, *clips: function(encoders._replace(templates=templates), *clips))
    return lambda *clips: compiled(encoders.templates, *clips)


def build_join(encoders: Encoders, groups: Sequence[str] = ()) -> Callable[[Any, Any], Array]:
    """g alone: `(inputs, references [B, E + X]) -> what h hears [B, Z + S]`, jitted."""

    def one(pair: tuple[Array, Array]) -> Array:
        return hear(encoders, pair[0][None], pair[1][None], groups)[0]

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
