"""Models for the latent tools: a run's folder, or a file of f and g alone."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from dafxvae.config import Config, base_config
from dafxvae.controllers.controller import Controller, read_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.errors import UserError
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.models.networks import Encoders
from dafxvae.runs.build import build_corpus


class ModelSource(NamedTuple):
    """A trained f and g, the h over them if there is one, and the configuration of their run."""

    name: str
    encoders: Encoders
    controller: Controller | None
    config: Config
    encoders_path: Path


def _config(stored: dict[str, Any]) -> Config:
    """The base configuration with the stored values, so that keys younger than the run have a value."""
    config = base_config()
    with config.ignore_type():
        config.update(stored)
    return config


def open_source(path: Path) -> ModelSource:
    """Reads a workdir (`encoders.safetensors`, and `config.json` and `controller.safetensors` where they are), or a
    `*.safetensors` file of f and g.

    Raises:
        UserError: nothing there, something else, or a damaged file.
    """
    folder = path.parent if path.suffix == ".safetensors" else path
    weights = path if path.suffix == ".safetensors" else path / "encoders.safetensors"
    if not weights.is_file():
        raise UserError(
            f"{path}: no encoders.safetensors there: give the workdir of a finished run, or a file of f and g"
        )
    encoders = load_encoders(weights)
    known = ("sample_rate", "bank", "chains", "f", "g", "data", "seed")
    config = _config({key: encoders.metadata[key] for key in known})
    controller = None
    if path.is_dir():
        if (folder / "config.json").is_file():
            stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            config = _config(stored | {key: encoders.metadata[key] for key in known if key != "data"})
        if (folder / "controller.safetensors").is_file():
            controller = read_controller(folder / "controller.safetensors", weights)
    return ModelSource(path.resolve().name, encoders, controller, config, weights)


def training_corpus(config: Config) -> Corpus:
    """The recordings that the run was trained on."""
    return build_corpus(config)


def held_out_corpus(config: Config, folder: str | None) -> Corpus:
    """A folder used whole, or the test split of the run's own recordings."""
    if folder is None:
        return training_corpus(config).split("test")
    return open_corpus(
        folder=folder, sample_rate=config.sample_rate, num_channels=config.num_channels,
        minutes=config.data.minutes, seed=config.seed,
    )  # fmt: skip
