"""Stored controllers: h, and what it needs to be used again."""

import os
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from dafxvae.config import Config
from dafxvae.controllers.encoders import check_latent, load_encoders, make_check_clip, verify_encoders
from dafxvae.controllers.experience import Experience
from dafxvae.controllers.familiar import Familiar, familiar_of
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path, user_path
from dafxvae.core.version import __version__
from dafxvae.core.weights import fingerprint, load_weights, save_weights
from dafxvae.descriptors import catalog
from dafxvae.descriptors.descriptor import Descriptor
from dafxvae.descriptors.lfo_templates import Templates
from dafxvae.models import networks
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.quick_program import QuickProgram

RENAMED_DESCRIPTORS = {"cycles": "lfo", "lag_cycles": "lfo_lags", "matched": "lfo_templates"}
NO_LFO = {"rate": "", "num_templates": 0, "mix_estimates": False}  # of controllers stored before there were any


@dataclass(frozen=True)
class Controller:
    """A trained h with its frozen f and g."""

    effect: str  # short form of the effect that it drives
    parameters: tuple[str, ...]  # names of the axis K
    sample_rate: int  # Hz, of the encoders' clips; the effect may be rendered at any other
    encoders: networks.Encoders
    params: Any  # of h
    config: Config
    check: np.ndarray | None = None  # [Z], latent of `check_clip` when it was stored; None: f and g are verified
    version: str = __version__  # of dafxvae, by which it was stored
    experience: Experience | None = None  # None: stored before there was any

    @property
    def clip_samples(self) -> int:
        """T of the clips that it was trained on, and at which it predicts best."""
        return self.config.clip_samples

    @cached_property
    def extractor(self) -> FeatureExtractor:
        """f, g and h's descriptors, verified at their first use.

        The check clip has the length of this controller's clips, so that what is compiled for it serves the recordings.

        Raises:
            UserError: this version cannot build f and g, or they encode otherwise than when the controller was stored.
        """
        extractor = FeatureExtractor(self.encoders, self.sample_rate, self.descriptors)
        if self.check is not None:
            verify_encoders(extractor, self.check_clip, self.check, f"the controller of {self.effect}", self.version)
        return extractor

    @property
    def check_clip(self) -> np.ndarray:
        """The clip that was stored with f and g to verify them, repeated to `clip_samples`; int16 `[T, 1]`."""
        stored = self.encoders.check_clip
        return np.resize(make_check_clip(self.sample_rate) if stored is None else stored, (self.clip_samples, 1))

    @cached_property
    def familiar(self) -> Familiar | None:
        """Statistics of the training data of its f and g; None for others than the package's."""
        return familiar_of(self.encoders)

    @cached_property
    def _h(self) -> ControllerDecoder:
        return networks.build_h(self.config, len(self.parameters))

    @cached_property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """The descriptors of the reference that h takes in addition to the latent."""
        return networks.input_descriptors(self.config)

    def features(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Input features of h: g's latent Z and S columns of descriptors; the same bits alone and in any batch.

        Args:
            dry: float32 `[B, T, C]` at `sample_rate`.
            reference: float32 `[B, T, C]`, of the same shape.

        Returns:
            float32 `[B, Z + S]`.
        """
        return self.extractor.features(dry, reference)

    def combine(self, features: np.ndarray) -> np.ndarray:
        """Input features of several windows together (`combine_windows`); `[..., N, Z + S] -> [..., Z + S]`."""
        return catalog.combine_windows(features, self.descriptors, len(self.parameters))

    def settings(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Settings for input features, and which are direct estimates; `[B, Z + S] -> [B, K]` in [0, 1], bool.

        Raises:
            UserError: they are no numbers.
        """
        settings, is_direct = (np.asarray(part)[:, 0] for part in _settings(self._h, self.params, features))
        if not np.isfinite(settings).all():
            raise UserError(f"the controller of {self.effect} predicts NaN: its weights are unusable; train it again")
        return settings, is_direct

    def predict(self, dry: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Settings that give each input the style of its reference; `[B, T, C]` of one shape to `[B, K]` in [0, 1]."""
        return self.settings(self.features(dry, reference))[0]


@partial(QuickProgram, static_argnums=0)
def _settings(h: ControllerDecoder, params: Any, features: jax.Array) -> Any:
    """Settings and whether they are direct estimates, `[B, 1, K]` each; an item at a time, as in any batch."""
    return jax.lax.map(lambda item: h.apply({"params": params}, item[None], method=ControllerDecoder.predict), features)


def save_controller(
    path: Path, params: Any, parameters: tuple[str, ...], encoders: networks.Encoders, config: Config
) -> None:
    """Store h with the fingerprint of its f and g, and their latent of the check clip, which verifies them later.

    Args:
        path: `*.safetensors`.
        params: of h.
        parameters: names of the axis K.
        encoders: f and g, and the templates that h needs.
        config: resolved, of the run.
    """
    controller = Controller(config.effect, tuple(parameters), config.sample_rate, encoders, params, config)
    check = {"latent": check_latent(controller.extractor, controller.check_clip)}
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
    """Add measured results to a stored controller, for `dafxvae controllers show`."""
    variables, metadata = load_weights(path)
    save_weights(path, variables, metadata | {"results": results})


def current_config(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration with today's keys and names; those of version 0.1 spoke of traces and cycles."""
    h = dict(stored["h"])
    if "traces" in h:
        h["descriptors"] = tuple(RENAMED_DESCRIPTORS.get(name, name) for name in h.pop("traces"))
    if "matched" in h:
        lfo = dict(h.pop("matched"))
        h["lfo"] = {"rate": lfo["rate"], "num_templates": lfo["num_templates"], "mix_estimates": lfo.get("told", False)}
    return stored | {"h": {"descriptors": (), "lfo": NO_LFO} | h}


def encoders_path_of(path: Path) -> Path:
    """File of the f and g of a stored controller.

    `NAME.encoders.safetensors` or `encoders.safetensors` in its folder, else the file that comes with the package.
    """
    for nearby in (path.with_suffix(".encoders.safetensors"), path.parent / "encoders.safetensors"):
        if nearby.exists():
            return nearby
    return stored_encoders_path(SHIPPED)


def read_controller(path: str | os.PathLike[str], encoders_path: Path | None = None) -> Controller:
    """Read a controller with its f and g from files.

    Args:
        path: `*.safetensors`.
        encoders_path: of f and g; None for those of `encoders_path_of`.

    Raises:
        UserError: a file is missing, damaged or of another kind, or the controller was trained on another f and g.
    """
    path = user_path(path)
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "controller":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not a controller: name a stored h")
    if encoders_path is None:
        encoders_path = encoders_path_of(path)
    check = variables.get("check", {}).get("latent")  # None: stored before there was one
    encoders = load_encoders(encoders_path, verify=check is None)
    if fingerprint(encoders.variables) != metadata["encoders"]:
        raise UserError(f"{path} was trained on another f and g than {encoders_path} holds: name the file next to it")
    if "templates" in variables:
        encoders = encoders._replace(templates=Templates(**variables["templates"]))
    return Controller(
        metadata["effect"],
        tuple(metadata["parameters"]),
        metadata["sample_rate"],
        encoders,
        variables["h"],
        ConfigDict(current_config(metadata["config"])),
        check,
        metadata["version"],
        Experience(**variables["experience"]) if "experience" in variables else None,
    )
