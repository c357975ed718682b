"""A run's folder: the configuration that it belongs to, and the versions that made it."""

import json
import os
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from dafxvae.config import Config
from dafxvae.core.differences import check_same, flatten
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, write_json
from dafxvae.core.version import __version__
from dafxvae.runs.values import OPEN_PART
from dafxvae.training.writer import check_tracking

FREE_KEYS = ("num_devices", "num_workers", "log_every_steps", "log")  # may change between a run and its resumption
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "pedalboard", "numpy", "grain")


def describe_run() -> dict[str, str]:
    """Versions and device of a run, stored in its workdir."""
    versions = {name: version(name) for name in LIBRARIES}
    device = jax.local_devices()[0].device_kind
    return {"dafxvae": __version__, "python": platform.python_version(), "device": device} | versions


def belongs_to(config: Config) -> dict[str, Any]:
    """What the checkpoints of a run belong to: the version, and the configuration but for its free keys."""
    values = json.loads(config.to_json())
    return {"dafxvae": __version__, "config": {key: values[key] for key in values if key not in FREE_KEYS}}


@contextmanager
def lock_workdir(workdir: Path) -> Iterator[None]:
    """Holds a workdir for one run; the lock is the operating system's, and goes with the process however it ends.

    Raises:
        UserError: another run holds it, or it cannot be written.
    """
    path = workdir / ".lock"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"cannot write to {workdir} ({error.strerror}): give another --workdir") from error
    try:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"{workdir} is in use by another run ({holder}): wait for its end, or give another --workdir"
            ) from error
        except ImportError:  # Windows: two runs in one workdir are the user's care
            pass
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)


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
        theirs = read_json(path) | {key: ours[key] for key in FREE_KEYS}
        unknown = sorted(key for key in flatten(theirs).keys() ^ flatten(ours).keys() if not key.startswith(OPEN_PART))
        if unknown:
            raise UserError(
                f"{workdir} holds a run of another version of dafxvae, whose configuration has other keys "
                f"({', '.join(unknown)}): finish it with that version, or give another --workdir"
            )
        fix = "give the old values to resume it, or another --workdir"
        check_same(ours, theirs, f"{workdir} holds a run of another configuration", fix)
    write_json(path, ours)
    write_json(workdir / "versions.json", describe_run())
