"""Stored f and g: the pair that comes with the package, and the user's own; verified when they are loaded."""

from pathlib import Path
from typing import Any

import flax.errors
import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.rng import host_rng
from dafxvae.core.weights import load_weights, save_weights
from dafxvae.models import networks
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.networks import Encoders

CHECK_SEC = 0.5
TOLERANCE = 1e-2  # of the check's latent, whose dimensions deviate by about 1; other hardware rounds by about 1e-5


def make_check_clip(sample_rate: int) -> np.ndarray:
    """A pluck and noise bursts that use all of f's inputs; int16 `[T, 1]`."""
    seconds = np.arange(round(CHECK_SEC * sample_rate)) / sample_rate
    pluck = sum(np.sin(2 * np.pi * 220 * k * seconds) / k for k in range(1, 6)) * np.exp(-6 * seconds)
    noise = host_rng(0, "encoders/check").standard_normal(len(seconds)) * (seconds % 0.125 < 0.02)
    return np.round((0.2 * pluck + 0.05 * noise) * 32767).astype(np.int16)[:, None]


def check_latent(extractor: FeatureExtractor, clip: np.ndarray) -> np.ndarray:
    """g's latent of a 16-bit clip `[T, 1]` and its reversal; `[Z]`."""
    audio = clip[None].astype(np.float32) / 32768.0
    both = (extractor.encode(each, is_reference=False) for each in (audio, audio[:, ::-1]))
    return extractor.join(*both)[0, : extractor.encoders.g.latent_dim]


def verify_encoders(
    extractor: FeatureExtractor, clip: np.ndarray, expected: np.ndarray | None, name: str, version: Any
) -> None:
    """Embed the check clip and compare the latent with the stored one.

    Args:
        extractor: f and g.
        clip: int16 `[T, 1]`.
        expected: its `check_latent` when they were stored; None where none was.
        name: of what is verified, for messages.
        version: of dafxvae, by which it was stored.

    Raises:
        UserError: the networks of this version cannot be built of them, or encode the clip otherwise.
    """
    try:
        latent = check_latent(extractor, clip)
    except (KeyError, flax.errors.FlaxError) as error:
        raise _other_networks(name, error) from error
    if expected is None:
        return
    off = float(np.abs(latent - expected).max())
    if not off <= TOLERANCE:
        raise UserError(
            f"{name}: f and g encode their check clip {off:.3g} away from what was stored (at most {TOLERANCE} is "
            f"rounding): this version computes something else than version {version}, which stored them; install that "
            "version, or train them again"
        )


def _other_networks(name: str, error: Exception) -> UserError:
    return UserError(
        f"{name} holds f and g of an older version, which this one cannot build ({error}): delete it, or give "
        "--config.pretrained another name, and they are trained again"
    )


def save_encoders(path: Path, variables: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Store f and g, rounded to float16, with a clip and its latent, by which loading verifies them.

    Args:
        path: `*.safetensors`.
        variables: `{"f": ..., "g": ...}`.
        metadata: of `build.describe_encoders`.
    """
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    both = {name: variables[name] for name in ("f", "g")}
    save_weights(path, both, own, half=True)
    encoders = networks.encoders_from(*load_weights(path))
    clip = make_check_clip(own["sample_rate"])
    latent = check_latent(FeatureExtractor(encoders, own["sample_rate"]), clip)
    check = {"clip": clip, "latent": latent.astype(np.float64)}
    save_weights(path, both | {"check": check}, own, half=True)


def load_encoders(path: Path, *, verify: bool = True) -> Encoders:
    """Load f and g, and verify them on the stored clip.

    Args:
        path: `*.safetensors`.
        verify: False where `Controller.extractor` verifies them later, at the length of its clips.

    Raises:
        UserError: not there, damaged, something else, of networks that this version does not build, or they encode the
            clip otherwise than when they were stored.
    """
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "encoders":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not encoders: name a file of f and g")
    check = variables.pop("check", {})
    try:
        encoders = networks.encoders_from(variables, metadata)
        clip = check["clip"] if check else make_check_clip(metadata["sample_rate"])
    except KeyError as error:
        raise _other_networks(str(path), error) from error
    if verify:
        extractor = FeatureExtractor(encoders, metadata["sample_rate"])
        verify_encoders(extractor, clip, check.get("latent"), str(path), metadata.get("version"))
    return encoders._replace(check_clip=clip)
