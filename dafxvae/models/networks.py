"""Build f, g and h from a configuration, or f and g from what was stored of them."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dafxvae.config import Config
from dafxvae.core.choices import COMPUTE_DTYPES
from dafxvae.core.errors import UserError
from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Descriptor
from dafxvae.descriptors.lfo_templates import Templates
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.spectrogram_vae import SpectrogramVAE

ENCODER_KEYS = ("latent_dim", "width", "time_strides", "num_mels", "window_sec", "hop_sec", "high_hz", "style_dim")


class Encoders(NamedTuple):
    """The frozen encoders f and g with their variables and metadata."""

    f: SpectrogramVAE
    g: ControllerVAE
    variables: dict[str, Any]  # {"f": ..., "g": ...}, numpy
    metadata: dict[str, Any]
    templates: Templates | None = None  # of one effect's LFO, for descriptors that need them
    check_clip: np.ndarray | None = None  # int16 [T, 1], stored with them: the clip that verifies them


def build_f(config: Config, dtype: str | None = None) -> SpectrogramVAE:
    """Build f and its decoder from a configuration's part `f`; hidden layers compute in `dtype` (None: float32)."""
    return SpectrogramVAE(**{key: config[key] for key in ENCODER_KEYS}, dtype=compute_dtype(dtype))


def build_g(
    config: Config, f: SpectrogramVAE, num_params: int, num_units: int, dtype: str | None = None
) -> ControllerVAE:
    """Build g and its decoder for a bank of `num_units` single effects with `num_params` parameters together."""
    joint_size = 2 * f.encoding_size
    sizes = config.latent_dim, config.width, joint_size, num_params, num_units
    return ControllerVAE(*sizes, dtype=compute_dtype(dtype))


def compute_dtype(name: str | None) -> Any:
    """Dtype of the networks' layers for a configuration's `compute_dtype`; UserError where there is no such dtype."""
    if name not in (None, *COMPUTE_DTYPES):
        raise UserError(f"compute_dtype is {name!r}: --config.compute_dtype takes one of {', '.join(COMPUTE_DTYPES)}")
    return None if name in (None, "float32") else jnp.dtype(name)


def input_descriptors(config: Config) -> tuple[Descriptor, ...]:
    """Descriptors of the reference that h takes in addition to g's latent; UserError for an unknown one."""
    return catalog.find_descriptors(config.h.descriptors)


def build_h(config: Config, num_params: int) -> ControllerDecoder:
    """Build h for an effect of `num_params` parameters."""
    descriptors = input_descriptors(config)
    return ControllerDecoder(
        tuple(config.h.widths),
        num_params,
        catalog.num_columns(descriptors, num_params),
        catalog.direct_columns(descriptors, num_params),
        catalog.estimate_columns(descriptors, num_params) if config.h.lfo.mix_estimates else (),
    )


def encoders_from(variables: dict[str, Any], metadata: dict[str, Any]) -> Encoders:
    """Build f and g from stored variables and metadata."""
    f = build_f(ConfigDict(metadata["f"] | {"time_strides": tuple(metadata["f"]["time_strides"])}))
    g = build_g(ConfigDict(metadata["g"]), f, len(metadata["parameters"]), len(metadata["bank"]))
    return Encoders(f, g, variables, metadata)
