"""f, g and h from a configuration or from what was stored of them, and what h hears beside g's latent."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.descriptors import cycles, matched, traces
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
    check_clip: np.ndarray | None = None  # int16 [T, 1], stored with them: what they are tried on


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
