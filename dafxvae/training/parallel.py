"""Data parallelism over the local devices: the one file that knows `jax.pmap`.

A step is written for its share of the batch and reduces over the axis `AXIS`; batches gain a leading device axis D.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dafxvae.errors import UserError

AXIS = "devices"
Devices = list[Any]  # of jax.Device, which type checkers take for a variable


def local_devices(num_devices: int) -> Devices:
    """The first `num_devices` local devices; all of them for 0.

    Raises:
        UserError: more than there are.
    """
    devices = jax.local_devices()
    if num_devices > len(devices):
        raise UserError(f"num_devices is {num_devices}, but this machine has {len(devices)}: {devices}")
    return devices[: num_devices or len(devices)]


def check_batch_size(batch_size: int, num_devices: int) -> None:
    """Raises UserError unless every device gets the same number of examples."""
    if batch_size % num_devices:
        raise UserError(f"batch_size {batch_size} is not a multiple of the {num_devices} devices: choose one that is")


def compile_step(step: Callable, devices: Devices, *, donate_state: bool = False) -> Callable:
    """`step(state, frozen, batch)` on every device at once; state and frozen replicated, batch sharded (`[D, B/D]`)."""
    donate = (0,) if donate_state else ()
    return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)


def replicate(tree: Any, devices: Devices) -> Any:
    """A copy of every leaf on each device, as a leading axis D: laid out as a step returns it, so that no step is
    compiled twice and nothing is moved at each step."""
    sharding = NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec(AXIS))
    return jax.device_put(jax.tree.map(lambda leaf: np.stack([leaf] * len(devices)), tree), sharding)


def unreplicate(tree: Any) -> Any:
    """The first device's copy, on the host's side of the step."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def shard(batch: Any, devices: Devices) -> Any:
    """Splits the leading axis of every numpy leaf: `[B, ...] -> [D, B/D, ...]`."""
    return jax.tree.map(lambda leaf: np.reshape(leaf, (len(devices), -1, *np.shape(leaf)[1:])), batch)


def unshard(tree: Any) -> Any:
    """Joins device and batch axes as numpy: `[D, B/D, ...] -> [B, ...]`."""
    return jax.tree.map(lambda leaf: np.reshape(leaf, (-1, *leaf.shape[2:])), jax.device_get(tree))


def gather_over_devices(x: jax.Array) -> jax.Array:
    """Inside a step: the examples of all devices, `[B/D, ...] -> [B, ...]`; the same on each."""
    return jax.lax.all_gather(x, AXIS, tiled=True)


def sum_over_devices(tree: Any) -> Any:
    """Inside a step: the sum over the axis of devices."""
    return jax.lax.psum(tree, AXIS)
