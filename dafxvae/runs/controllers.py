"""Stored controllers: h, and what it needs to be used again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from dafxvae import __version__, networks
from dafxvae.audio.matched import Templates
from dafxvae.config import Config
from dafxvae.errors import UserError
from dafxvae.models.controller import ControllerDecoder
from dafxvae.runs.encoder_store import SHIPPED, load_encoders, stored_encoders_path
from dafxvae.weights import fingerprint, load_weights, save_weights

BATCH = 16
JOIN_BATCH = 64


@dataclass(frozen=True)
class Controller:
    """A trained h over its frozen f and g."""

    effect: str  # short form of the effect that it drives
    parameters: tuple[str, ...]  # names of the axis K
    sample_rate: int  # Hz, at which it listens; the effect may be rendered at any other
    encoders: networks.Encoders
    params: Any  # of h
    config: Config

    @property
    def clip_samples(self) -> int:
        """T of the clips that it was trained on; it listens best to clips of this length."""
        return self.config.clip_samples

    @cached_property
    def _latent(self) -> Callable:
        return networks.build_latent(self.encoders, self.sample_rate, networks.heard_traces(self.config))

    @cached_property
    def _encode(self) -> Callable:
        return networks.build_encode(self.encoders, self.sample_rate, networks.heard_traces(self.config))

    @cached_property
    def _join(self) -> Callable:
        return networks.build_join(self.encoders, networks.heard_traces(self.config))

    @cached_property
    def _h(self) -> ControllerDecoder:
        return networks.build_h(self.config, len(self.parameters))

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return networks.heard_columns(networks.heard_traces(self.config), len(self.parameters))

    @cached_property
    def _answer(self) -> Callable:
        def one(params: Any, item: jax.Array) -> Any:
            return self._h.apply({"params": params}, item[None], method=ControllerDecoder.answer)

        return jax.jit(lambda params, z: jax.lax.map(lambda item: one(params, item), z))

    def latent(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """What h hears of each input and its reference: g's latent Z, and beside it S traces of the reference where
        the controller asks for them (`networks.hear`). Deterministic, the same bits alone and in any batch.

        Args:
            dry: float32 `[B, T, C]` at `sample_rate`.
            reference: float32 `[B, T, C]`, of the same shape.

        Returns:
            float32 `[B, Z + S]`.
        """
        starts = range(0, len(dry), BATCH)
        return np.concatenate([np.asarray(self._latent(dry[i : i + BATCH], reference[i : i + BATCH])) for i in starts])

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """What is heard of recordings, each once: float32 `[B, T, C]` at `sample_rate` to `[B, E + X]`, f's encoding
        first (`networks.encode`); see `join`."""
        return np.concatenate([np.asarray(self._encode(clips[i : i + 1])) for i in range(len(clips))])

    def join(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """`latent` of what `encode` has made, but for rounding; `[B, E + X]` each to `[B, Z + S]`."""
        missing = -len(dry) % JOIN_BATCH  # filled up, so that one compilation serves every number of pairs
        padded = (np.concatenate([side, np.zeros((missing, side.shape[1]), np.float32)]) for side in (dry, reference))
        dry_padded, reference_padded = padded
        starts = range(0, len(dry_padded), JOIN_BATCH)
        parts = [self._join(dry_padded[i : i + JOIN_BATCH], reference_padded[i : i + JOIN_BATCH]) for i in starts]
        return np.concatenate([np.asarray(part) for part in parts])[: len(dry)]

    def average(self, latents: np.ndarray) -> np.ndarray:
        """What h hears of several windows together, `[..., N, Z + S] -> [..., Z + S]`: the mean, but the echoes and the
        cycles of that window in which one stands out most. Between two lags, or two rates, lies no third that has
        anything to do with them."""
        found = latents.mean(axis=-2)
        for name, columns in self._columns.items():
            if name in networks.CLEARNESS:
                clearest = latents[..., columns[networks.CLEARNESS[name]]].argmax(axis=-1)[..., None, None]
                found[..., columns] = np.take_along_axis(latents, clearest, axis=-2)[..., 0, columns]
        return found

    def blend(self, neutral: np.ndarray, latents: np.ndarray, amount: float) -> np.ndarray:
        """From `neutral` towards `latents`, straight on beyond 1; `[..., Z + S]`. What settings are read off stays that
        of `latents`: half of an echo is a softer one, not one after half the time."""
        found = neutral + amount * (latents - neutral)
        readings = list(self._h.readings)
        found[..., readings] = latents[..., readings]
        return found

    def settings(self, z: np.ndarray) -> np.ndarray:
        """Settings of latents, `[B, Z + S] -> [B, K]` in [0, 1]."""
        return self.answer(z)[0]

    def answer(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`settings`, and bool `[B, K]`: which of them were read off a trace rather than guessed."""
        settings, read = (np.asarray(part)[:, 0] for part in self._answer(self.params, z))
        return settings, read

    def predict(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Settings that give each input the style of its reference: `settings(latent(dry, reference))`, `[B, K]`."""
        return self.settings(self.latent(dry, reference))


def save_controller(
    path: Path,
    params: Any,
    parameters: tuple[str, ...],
    encoders: networks.Encoders,
    config: Config,
    results: dict[str, Any] | None = None,
) -> None:
    """Writes h with the fingerprint of the f and g that it was trained on.

    Args:
        path: `*.safetensors`.
        params: of h.
        parameters: names of the axis K.
        encoders: f and g, and the templates that h needs.
        config: resolved, of the run.
        results: what was measured of it, for `python -m dafxvae.controllers show`.
    """
    metadata = {
        "kind": "controller",
        "version": __version__,
        "effect": config.effect,
        "parameters": list(parameters),
        "sample_rate": config.sample_rate,
        "encoders": fingerprint(encoders.variables),
        "config": config.to_dict(),
        "results": results or {},
    }
    templates = {} if encoders.templates is None else {"templates": encoders.templates._asdict()}
    save_weights(path, {"h": params} | templates, metadata)


def encoders_beside(path: Path) -> Path:
    """Where the f and g of a stored controller are: `NAME.encoders.safetensors` or `encoders.safetensors` beside it,
    else those that come with the package."""
    for beside in (path.with_suffix(".encoders.safetensors"), path.parent / "encoders.safetensors"):
        if beside.exists():
            return beside
    return stored_encoders_path(SHIPPED)


def load_controller(path: Path, encoders_path: Path | None = None) -> Controller:
    """A controller and the f and g that belong to it.

    Args:
        path: `*.safetensors`.
        encoders_path: of f and g; None for those of `encoders_beside`.

    Raises:
        UserError: a file is missing, damaged or of another kind, or the controller was trained on another f and g.
    """
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "controller":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not a controller: name a stored h")
    if encoders_path is None:
        encoders_path = encoders_beside(path)
    encoders = load_encoders(encoders_path)
    if fingerprint(encoders.variables) != metadata["encoders"]:
        raise UserError(f"{path} was trained on another f and g than {encoders_path} holds: name the file beside it")
    if "templates" in variables:
        encoders = encoders._replace(templates=Templates(**variables["templates"]))
    return Controller(
        metadata["effect"],
        tuple(metadata["parameters"]),
        metadata["sample_rate"],
        encoders,
        variables["h"],
        ConfigDict(metadata["config"]),
    )
