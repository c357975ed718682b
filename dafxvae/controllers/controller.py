"""Stored controllers: h, and what it needs to be used again."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from dafxvae import __version__
from dafxvae.config import Config
from dafxvae.controllers.encoders import (
    SHIPPED,
    check_latent,
    load_encoders,
    make_check_clip,
    stored_encoders_path,
    try_encoders,
)
from dafxvae.core.errors import UserError
from dafxvae.core.weights import fingerprint, load_weights, save_weights
from dafxvae.descriptors.matched import Templates
from dafxvae.models import networks
from dafxvae.models.controller import ControllerDecoder
from dafxvae.models.extractor import FeatureExtractor


@dataclass(frozen=True)
class Controller:
    """A trained h over its frozen f and g."""

    effect: str  # short form of the effect that it drives
    parameters: tuple[str, ...]  # names of the axis K
    sample_rate: int  # Hz, at which it listens; the effect may be rendered at any other
    encoders: networks.Encoders
    params: Any  # of h
    config: Config
    check: np.ndarray | None = None  # [Z], latent of `check_clip` when it was stored; None: f and g were tried already
    version: str = __version__  # of dafxvae, by which it was stored

    @property
    def clip_samples(self) -> int:
        """T of the clips that it was trained on; it listens best to clips of this length."""
        return self.config.clip_samples

    @cached_property
    def hearing(self) -> FeatureExtractor:
        """f, g and the traces that h hears, tried when they are first used: on the clip that was stored with them,
        brought to the length of this controller's clips, so that what is compiled for it serves the recordings, too.

        Raises:
            UserError: this version cannot build f and g, or they encode otherwise than when the controller was stored.
        """
        hearing = FeatureExtractor(self.encoders, self.sample_rate, networks.heard_traces(self.config))
        if self.check is not None:
            try_encoders(hearing, self.check_clip, self.check, f"the controller of {self.effect}", self.version)
        return hearing

    @property
    def check_clip(self) -> np.ndarray:
        """The clip that was stored with f and g, repeated to `clip_samples`; int16 `[T, 1]`."""
        stored = self.encoders.check_clip
        return np.resize(make_check_clip(self.sample_rate) if stored is None else stored, (self.clip_samples, 1))

    @cached_property
    def _h(self) -> ControllerDecoder:
        return networks.build_h(self.config, len(self.parameters))

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return networks.heard_columns(networks.heard_traces(self.config), len(self.parameters))

    def latent(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """What h hears of each input and its reference: g's latent Z, and beside it S traces of the reference where
        the controller asks for them (`FeatureExtractor`). Deterministic, the same bits alone and in any batch.

        Args:
            dry: float32 `[B, T, C]` at `sample_rate`.
            reference: float32 `[B, T, C]`, of the same shape.

        Returns:
            float32 `[B, Z + S]`.
        """
        return self.hearing.latent(dry, reference)

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
        settings, read = (np.asarray(part)[:, 0] for part in _answer(self._h, self.params, z))
        return settings, read

    def predict(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Settings that give each input the style of its reference: `settings(latent(dry, reference))`, `[B, K]`."""
        return self.settings(self.latent(dry, reference))


@partial(jax.jit, static_argnums=0)
def _answer(h: ControllerDecoder, params: Any, z: jax.Array) -> Any:
    """Settings and whether they were read, `[B, 1, K]` each, an item at a time."""
    return jax.lax.map(lambda item: h.apply({"params": params}, item[None], method=ControllerDecoder.answer), z)


def save_controller(
    path: Path, params: Any, parameters: tuple[str, ...], encoders: networks.Encoders, config: Config
) -> None:
    """Writes h with the fingerprint of the f and g that it was trained on, and with what they make of their check clip
    at the length of its clips.

    Args:
        path: `*.safetensors`.
        params: of h.
        parameters: names of the axis K.
        encoders: f and g, and the templates that h needs.
        config: resolved, of the run.
    """
    controller = Controller(config.effect, tuple(parameters), config.sample_rate, encoders, params, config)
    check = {"latent": check_latent(controller.hearing, controller.check_clip)}
    metadata = {
        "kind": "controller",
        "version": __version__,
        "effect": config.effect,
        "parameters": list(parameters),
        "sample_rate": config.sample_rate,
        "encoders": fingerprint(encoders.variables),
        "config": config.to_dict(),
        "results": {},
    }
    templates = {} if encoders.templates is None else {"templates": encoders.templates._asdict()}
    save_weights(path, {"h": params, "check": check} | templates, metadata)


def store_results(path: Path, results: dict[str, Any]) -> None:
    """Adds to a stored controller what was measured of it, for `python -m dafxvae.controllers show`."""
    variables, metadata = load_weights(path)
    save_weights(path, variables, metadata | {"results": results})


def encoders_beside(path: Path) -> Path:
    """Where the f and g of a stored controller are: `NAME.encoders.safetensors` or `encoders.safetensors` beside it,
    else those that come with the package."""
    for beside in (path.with_suffix(".encoders.safetensors"), path.parent / "encoders.safetensors"):
        if beside.exists():
            return beside
    return stored_encoders_path(SHIPPED)


def read_controller(path: Path, encoders_path: Path | None = None) -> Controller:
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
    check = variables.get("check", {}).get("latent")  # None: stored before there was one
    encoders = load_encoders(encoders_path, tried=check is None)
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
        check,
        metadata["version"],
    )
