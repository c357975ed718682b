"""The model under study: opened from a path, and its f, g and h as functions of numpy arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.config import Config, base_config
from dafxvae.controllers.controller import Controller, read_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.latent.baselines import ClipFeature
from dafxvae.models import networks
from dafxvae.models.batches import in_batches
from dafxvae.models.controller_vae import ControllerVAE, SettingsPrediction
from dafxvae.models.networks import Encoders
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.models.vae import Posterior
from dafxvae.runs.build import build_corpus

ROWS = 512  # joint encodings at once


class ModelSource(NamedTuple):
    """A trained f and g, the h over them if there is one, and the configuration of their run."""

    name: str
    encoders: Encoders
    controller: Controller | None
    config: Config
    encoders_path: Path


def _config(stored: dict[str, Any]) -> Config:
    # The base configuration gives a value to every key that is younger than the run.
    config = base_config()
    with config.ignore_type():
        config.update(stored)
    return config


def open_source(path: Path) -> ModelSource:
    """Read a run's folder (h and `config.json` where they are), or a `*.safetensors` file of f and g.

    Raises:
        UserError: no such file, something else, or a damaged file.
    """
    folder = path.parent if path.suffix == ".safetensors" else path
    weights = path if path.suffix == ".safetensors" else path / "encoders.safetensors"
    if not weights.is_file():
        raise UserError(
            f"{path}: no encoders.safetensors there: give the workdir of a finished run, or a file of f and g"
        )
    encoders = load_encoders(weights)
    stored_keys = ("sample_rate", "bank", "chains", "f", "g", "data", "seed")
    config = _config({key: encoders.metadata[key] for key in stored_keys})
    controller = None
    if path.is_dir():
        if (folder / "config.json").is_file():
            stored = read_json(folder / "config.json")
            config = _config(stored | {key: encoders.metadata[key] for key in stored_keys if key != "data"})
        if (folder / "controller.safetensors").is_file():
            controller = read_controller(folder / "controller.safetensors", weights)
    return ModelSource(path.resolve().name, encoders, controller, config, weights)


def held_out_corpus(config: Config, folder: str | None) -> Corpus:
    """A folder used whole, or the test split of the run's own recordings."""
    if folder is None:
        return build_corpus(config).split("test")
    return open_corpus(
        folder=folder, sample_rate=config.sample_rate, num_channels=config.num_channels,
        minutes=config.data.minutes, seed=config.seed,
    )  # fmt: skip


class Frames(NamedTuple):
    """Standardised data of f and its posterior."""

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

    def infer(f: SpectrogramVAE, clips: Array) -> tuple[Array, Posterior]:
        data = f.standardise(f.log_mel(clips, sample_rate))
        return data, f.infer(data)

    run = jax.jit(lambda clips: encoders.f.apply(encoders.variables["f"], clips, method=infer))
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
    """Columns of a joint encoding of each dimension of f: its mean, deviation and step, of both recordings."""
    pooled = np.arange(3) * f.latent_dim
    return [np.concatenate([pooled + j, pooled + j + f.encoding_size]) for j in range(f.latent_dim)]


class G(NamedTuple):
    """g and its decoders; every function takes any number of rows."""

    standardise: Callable[[np.ndarray], np.ndarray]  # joint [B, 2E] -> [B, 2E]
    infer: Callable[[np.ndarray], Posterior]  # joint [B, 2E] -> [B, Z]
    decode: Callable[[np.ndarray], np.ndarray]  # z [B, Z] -> standardised joint [B, 2E]
    settings: Callable[[np.ndarray], SettingsPrediction]  # z [B, Z] -> of the whole bank

    def encode(self, joint: np.ndarray) -> np.ndarray:
        """Posterior means of joint encodings; `[B, 2E] -> [B, Z]`."""
        return np.asarray(self.infer(joint).mean)


def g_functions(g: ControllerVAE, variables: Any) -> G:
    """g as functions of numpy arrays."""

    def function(method: Callable) -> Callable[[np.ndarray], Any]:
        compiled = jax.jit(lambda rows: g.apply(variables, rows, method=method))
        return lambda rows: in_batches(compiled, ROWS, np.asarray(rows, np.float32))

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
    return lambda z: in_batches(compiled, ROWS, np.asarray(z, np.float32))


def joint_encodings(encoders: Encoders, sample_rate: int, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Joint encodings of pairs of clips `[B, T, C]`; `[B, 2E]`."""
    encode = f_feature(encoders, sample_rate)
    return np.concatenate([encode(dry), encode(reference)], axis=1)
