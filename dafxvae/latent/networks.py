"""f, g and h as functions of numpy arrays: the only place where the latent tools know how the networks are built."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.controllers.controller import Controller
from dafxvae.models import networks
from dafxvae.models.controller_vae import ControllerVAE, SettingsPrediction
from dafxvae.models.networks import Encoders
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.models.vae import Posterior

ROWS = 512  # joint encodings at once
ClipFeature = Callable[[np.ndarray], np.ndarray]


class Frames(NamedTuple):
    """f's view of clips."""

    data: np.ndarray  # [B, N, F] standardised log-mel
    mean: np.ndarray  # [B, N', Z]
    log_variance: np.ndarray  # [B, N', Z]


def f_feature(encoders: Encoders, sample_rate: int) -> ClipFeature:
    """f as a feature of clips; `[B, T, C] -> [B, E]`."""

    @jax.jit
    def encode(audio: Array) -> Array:
        return cast(Array, encoders.f.apply(encoders.variables["f"], audio, sample_rate, method=SpectrogramVAE.encode))

    return lambda audio: np.asarray(encode(jnp.asarray(audio)))


def f_frames(encoders: Encoders, audio: np.ndarray, sample_rate: int) -> Frames:
    """Data and posterior of every frame."""

    def look(f: SpectrogramVAE, clips: Array) -> tuple[Array, Posterior]:
        data = f.standardise(f.log_mel(clips, sample_rate))
        return data, f.infer(data)

    run = jax.jit(lambda clips: encoders.f.apply(encoders.variables["f"], clips, method=look))
    data, posterior = cast(Any, run(jnp.asarray(audio)))
    return Frames(np.asarray(data), np.asarray(posterior.mean), np.asarray(posterior.log_variance))


def f_decoder(encoders: Encoders, num_frames: int) -> Callable[[np.ndarray], np.ndarray]:
    """`[B, N', Z] -> [B, num_frames, F]`, standardised log-mel."""

    @jax.jit
    def decode(z: Array) -> Array:
        return cast(Array, encoders.f.apply(encoders.variables["f"], z, num_frames, method=SpectrogramVAE.decode))

    return lambda z: np.asarray(decode(jnp.asarray(z, jnp.float32)))


def f_log_mel(encoders: Encoders, data: np.ndarray) -> np.ndarray:
    """Standardised frames back to natural log mel power."""
    constants = encoders.variables["f"]["constants"]
    return data * np.asarray(constants["mel_deviation"]) + np.asarray(constants["mel_mean"])


def encoding_blocks(f: SpectrogramVAE) -> list[np.ndarray]:
    """Columns of a joint encoding that each dimension of f's latent fills: its mean, deviation and step, of both
    recordings."""
    pooled = np.arange(3) * f.latent_dim
    return [np.concatenate([pooled + j, pooled + j + f.encoding_size]) for j in range(f.latent_dim)]


def in_rows(function: Callable[[Array], Any], rows: np.ndarray) -> Any:
    """Applies a jitted function to pieces of a fixed number of rows (one compilation) and joins the outputs."""
    pieces = []
    for start in range(0, len(rows), ROWS):
        piece = np.asarray(rows[start : start + ROWS], np.float32)
        padding = np.zeros((ROWS - len(piece), *piece.shape[1:]), np.float32)
        pieces.append(function(jnp.asarray(np.concatenate([piece, padding]))))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(rows)], *pieces)


class G(NamedTuple):
    """g and its decoders; every function takes any number of rows."""

    standardise: Callable[[np.ndarray], np.ndarray]  # joint [B, 2E] -> [B, 2E]
    infer: Callable[[np.ndarray], Posterior]  # joint [B, 2E] -> [B, Z]
    decode: Callable[[np.ndarray], np.ndarray]  # z [B, Z] -> standardised joint [B, 2E]
    settings: Callable[[np.ndarray], SettingsPrediction]  # z [B, Z] -> of the whole bank


def g_functions(g: ControllerVAE, variables: Any) -> G:
    """g as functions of numpy arrays."""

    def function(method: Callable) -> Callable[[np.ndarray], Any]:
        compiled = jax.jit(lambda rows: g.apply(variables, rows, method=method))
        return lambda rows: in_rows(compiled, rows)

    return G(
        function(ControllerVAE.standardise),
        function(ControllerVAE.infer),
        function(lambda module, z: module.decoder(z)),
        function(lambda module, z: module.settings_head(z)),
    )


def h_settings(controller: Controller, descriptors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """h: `[B, Z] -> unit_params [B, K]` of the controller's effect, the same descriptors `[S]` with every latent."""
    h = networks.build_h(controller.config, len(controller.parameters))

    def settings(z: Array) -> Any:
        constant = jnp.broadcast_to(jnp.asarray(descriptors, z.dtype), (len(z), len(descriptors)))
        return h.apply({"params": controller.params}, jnp.concatenate([z, constant], axis=-1))

    compiled = jax.jit(settings)
    return lambda z: in_rows(compiled, z)
