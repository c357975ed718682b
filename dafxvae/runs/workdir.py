"""A run's folder: which configuration it belongs to, and what made it."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from dafxvae import __version__
from dafxvae.config import Config
from dafxvae.data.fixed import write_json
from dafxvae.errors import UserError
from dafxvae.training.writer import check_tracking

FREE_KEYS = ("num_devices", "num_workers", "log_every_steps", "log")  # may change between a run and its resumption
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "pedalboard", "numpy", "grain")


def describe_run() -> dict[str, str]:
    """Versions and device, for the workdir and for whoever asks later what made a result."""
    versions = {name: version(name) for name in LIBRARIES}
    device = jax.local_devices()[0].device_kind
    return {"dafxvae": __version__, "python": platform.python_version(), "device": device} | versions


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested configuration to dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def differences(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Dotted keys whose values are not the same, in words; tuples and lists are equal, as in JSON."""
    ours, theirs = (flatten(json.loads(json.dumps(tree))) for tree in (asked, stored))
    return [
        f"{key} is {theirs.get(key)!r} there, {ours.get(key)!r} here"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def claim_workdir(config: Config, workdir: Path) -> None:
    """Writes the resolved config into the workdir, or checks that the run there has the same one.

    Raises:
        UserError: the workdir belongs to a run of another config (names the differences), or cannot be written; or
            the run is to be tracked by something that is not there.
    """
    check_tracking(config.log.wandb)
    path = workdir / "config.json"
    ours = json.loads(config.to_json())
    if path.exists():
        theirs = json.loads(path.read_text()) | {key: ours[key] for key in FREE_KEYS}
        different = differences(ours, theirs)
        if different:
            raise UserError(
                f"{workdir} holds a run of another configuration ({'; '.join(different)}): "
                "give the old values to resume it, or another --workdir"
            )
    write_json(path, ours)
    write_json(workdir / "versions.json", describe_run())
