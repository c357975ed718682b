"""Stored controllers: h, and what it needs to be used again."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from dafxvae import __version__, networks
from dafxvae.config import Config
from dafxvae.errors import UserError
from dafxvae.runs.encoder_store import load_encoders
from dafxvae.weights import fingerprint, load_weights, save_weights

BATCH = 16


class Controller(NamedTuple):
    """A trained h over its frozen f and g."""

    effect: str  # short form of the effect that it drives
    parameters: tuple[str, ...]  # names of the axis K
    sample_rate: int
    encoders: networks.Encoders
    params: Any  # of h
    config: Config

    def predict(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Settings that give each input the style of its reference; deterministic.

        Args:
            dry: float32 `[B, T, C]` at `sample_rate`.
            reference: float32 `[B, T, C]`, of the same shape.

        Returns:
            float32 `[B, K]` in (0, 1).
        """
        h = networks.build_h(self.config, len(self.parameters))
        predict = networks.build_predict(self.encoders, h, self.sample_rate)
        parts = [
            np.asarray(predict(self.params, dry[start : start + BATCH], reference[start : start + BATCH]))
            for start in range(0, len(dry), BATCH)
        ]
        return np.concatenate(parts)


def save_controller(
    path: Path, params: Any, parameters: tuple[str, ...], encoders: networks.Encoders, config: Config
) -> None:
    """Writes h with the fingerprint of the f and g that it was trained on.

    Args:
        path: `*.safetensors`.
        params: of h.
        parameters: names of the axis K.
        encoders: f and g.
        config: resolved, of the run.
    """
    metadata = {
        "kind": "controller",
        "version": __version__,
        "effect": config.effect,
        "parameters": list(parameters),
        "sample_rate": config.sample_rate,
        "encoders": fingerprint(encoders.variables),
        "config": config.to_dict(),
    }
    save_weights(path, {"h": params}, metadata)


def load_controller(path: Path, encoders_path: Path) -> Controller:
    """A controller and the f and g that belong to it.

    Raises:
        UserError: a file is missing, damaged or of another kind, or the controller was trained on another f and g.
    """
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "controller":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not a controller: name a stored h")
    encoders = load_encoders(encoders_path)
    if fingerprint(encoders.variables) != metadata["encoders"]:
        raise UserError(f"{path} was trained on another f and g than {encoders_path} holds: name the file beside it")
    return Controller(
        metadata["effect"],
        tuple(metadata["parameters"]),
        metadata["sample_rate"],
        encoders,
        variables["h"],
        ConfigDict(metadata["config"]),
    )
