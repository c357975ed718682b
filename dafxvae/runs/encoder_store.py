"""Stored f and g: the pair that comes with the package, and the user's own."""

from importlib import resources
from pathlib import Path
from typing import Any

import flax.errors
import numpy as np

from dafxvae import networks
from dafxvae.errors import UserError
from dafxvae.networks import Encoders
from dafxvae.paths import data_dir
from dafxvae.rng import host_rng
from dafxvae.weights import load_weights, save_weights

SHIPPED = "shipped"
CHECK_SEC = 0.5
TOLERANCE = 1e-2  # of the check's latent, whose dimensions deviate by about 1: other hardware rounds by about 1e-5


def stored_encoders_path(name: str) -> Path:
    """Where f and g of a name live: "shipped" in the package, others in the data folder; a path to a *.safetensors file
    stands for itself."""
    if name == SHIPPED:
        return Path(str(resources.files("dafxvae"))) / "pretrained" / "encoders.safetensors"
    return Path(name) if name.endswith(".safetensors") else data_dir() / "pretrained" / f"{name}.safetensors"


def check_clip(sample_rate: int) -> np.ndarray:
    """A pluck and noise bursts, `[T, 1]` in 16-bit steps: something of everything that f looks at."""
    seconds = np.arange(round(CHECK_SEC * sample_rate)) / sample_rate
    pluck = sum(np.sin(2 * np.pi * 220 * k * seconds) / k for k in range(1, 6)) * np.exp(-6 * seconds)
    noise = host_rng(0, "encoders/check").standard_normal(len(seconds)) * (seconds % 0.125 < 0.02)
    return np.round((0.2 * pluck + 0.05 * noise) * 32767).astype(np.int16)[:, None]


def latent_of(encoders: Encoders, clip: np.ndarray) -> np.ndarray:
    """g's latent of a 16-bit clip `[T, 1]` and its reversal; `[Z]`."""
    audio = clip[None].astype(np.float32) / 32768.0
    return np.asarray(networks.build_latent(encoders, encoders.metadata["sample_rate"])(audio, audio[:, ::-1]))[0]


def save_encoders(path: Path, variables: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Writes f and g, rounded to float16, with a clip and its latent, by which loading tells that they still work.

    Args:
        path: `*.safetensors`.
        variables: `{"f": ..., "g": ...}`.
        metadata: of `build.describe_encoders`.
    """
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    both = {name: variables[name] for name in ("f", "g")}
    save_weights(path, both, own, half=True)
    encoders = networks.encoders_from(*load_weights(path))
    clip = check_clip(own["sample_rate"])
    check = {"clip": clip, "latent": latent_of(encoders, clip).astype(np.float64)}
    save_weights(path, both | {"check": check}, own, half=True)


def load_encoders(path: Path) -> Encoders:
    """f and g from their file, tried on the stored clip.

    Raises:
        UserError: not there, damaged, something else, of networks that this version does not build, or they encode the
            clip otherwise than when they were stored.
    """
    variables, metadata = load_weights(path)
    if metadata.get("kind") != "encoders":
        raise UserError(f"{path} holds {metadata.get('kind')!r}, not encoders: name a file of f and g")
    check = variables.pop("check", None)
    try:
        encoders = networks.encoders_from(variables, metadata)
        latent = latent_of(encoders, check_clip(metadata["sample_rate"]) if check is None else check["clip"])
    except (KeyError, flax.errors.FlaxError) as error:
        raise UserError(
            f"{path} holds f and g of an older version, which this one cannot build ({error}): delete it, or give "
            "--config.pretrained another name, and they are trained again"
        ) from error
    if check is not None:
        off = float(np.abs(latent - check["latent"]).max())
        if not off <= TOLERANCE:
            raise UserError(
                f"{path}: f and g encode their check clip {off:.3g} away from what was stored (at most {TOLERANCE} is "
                f"rounding): this version computes something else than version {metadata.get('version')}, which stored "
                "them; install that version, or train them again"
            )
    return encoders
