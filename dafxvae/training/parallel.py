"""Data parallelism over the devices of one or several processes: the one file that knows `jax.pmap` and processes.

A step is written for its share of the batch and reduces over the axis `AXIS`, which spans the devices of all processes;
batches gain a leading axis D of this process's devices. Every process runs the same program on its share of each batch
and holds the same state; the first one alone writes what others would read.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dafxvae.core.errors import EffectError, UserError
from dafxvae.data.pairs.shares import ProcessShare

AXIS = "devices"
VARIABLES = ("DAFXVAE_COORDINATOR", "DAFXVAE_NUM_PROCESSES", "DAFXVAE_PROCESS_ID")
FAILED, HEARD = "dafxvae/failed", "dafxvae/heard"  # keys of what the processes of a run tell each other
LOOK_SEC, WAIT_SEC = 1.0, 10.0
LEAVE_SEC = 3.0  # the others' time to end before the first one, whose end JAX would answer by aborting them
Devices = list[Any]  # of jax.Device, which type checkers take for a variable


def join_processes(environment: Mapping[str, str] = os.environ) -> None:
    """Joins the other processes of a run, where the environment names them; must come before anything touches a device.

    `DAFXVAE_COORDINATOR` is host:port of the first process, with `DAFXVAE_NUM_PROCESSES` and `DAFXVAE_PROCESS_ID`; or
    "auto" where JAX finds its peers itself (TPU slices). Without it, or as one of one, the process is alone.

    Raises:
        UserError: a variable is missing or not a number in its range, or the others do not answer.
    """
    coordinator, count, index = (environment.get(name, "") for name in VARIABLES)
    if not coordinator:
        return
    numbers = {}
    if coordinator != "auto":
        if not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
            raise UserError(
                f"{VARIABLES[0]} is {coordinator!r}, but {VARIABLES[1]} is {count!r} and {VARIABLES[2]} is {index!r}: "
                "give the number of processes, and this one's place from 0 on"
            )
        if int(count) == 1:
            return
        numbers = {"coordinator_address": coordinator, "num_processes": int(count), "process_id": int(index)}
    try:
        jax.distributed.initialize(**numbers)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes of the run did not find each other at {coordinator!r}: {error}") from error


@contextmanager
def ending_together() -> Iterator[None]:
    """What ends one process of a run ends all, with its message and exit code; else the others would wait for it.

    The others may wait on a device, where nothing reaches them: a thread of each looks for what another one says, and
    ends its process at once, as a kill would.
    """
    if jax.process_count() == 1:
        yield
        return
    from jax._src import distributed  # has no public name; processes that vanish without a word are noticed by JAX

    store: Any = distributed.global_state.client
    done = threading.Event()
    watcher = threading.Thread(target=_end_with_others, args=(store, done), daemon=True)
    watcher.start()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        code = 2 if isinstance(error, UserError | EffectError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        text = str(error) if code == 2 else traceback.format_exc()
        with suppress(jax.errors.JaxRuntimeError):  # where another one was first, this error may come of it
            store.key_value_set(FAILED, f"{code} process {jax.process_index()}: {text}")
        watcher.join(2 * WAIT_SEC)
        raise
    finally:
        done.set()


def _end_with_others(store: Any, done: threading.Event) -> None:
    """Ends this process as soon as one of the run has failed; the first one, which keeps the store, goes last."""
    while not done.wait(LOOK_SEC):
        try:
            code, _, text = store.blocking_key_value_get(FAILED, 1).partition(" ")
        except jax.errors.JaxRuntimeError:  # none has
            continue
        sys.stderr.write(f"error: {text}\n")
        sys.stderr.flush()
        sys.stdout.flush()
        with suppress(jax.errors.JaxRuntimeError):  # of one that is gone already
            if is_first_process():
                for index in range(1, jax.process_count()):
                    store.blocking_key_value_get(f"{HEARD}/{index}", round(1000 * WAIT_SEC))
                time.sleep(LEAVE_SEC)
            else:
                store.key_value_set(f"{HEARD}/{jax.process_index()}", "")
        os._exit(int(code))


def share() -> ProcessShare:
    """This process's part of every batch."""
    return ProcessShare(jax.process_index(), jax.process_count())


def is_first_process() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def local_devices(num_devices: int) -> Devices:
    """The first `num_devices` devices of this process; all of them for 0.

    Raises:
        UserError: more than there are; or, in a run of several processes, fewer.
    """
    devices = jax.local_devices()
    if num_devices > len(devices):
        raise UserError(f"num_devices is {num_devices}, but this machine has {len(devices)}: {devices}")
    if jax.process_count() > 1 and num_devices not in (0, len(devices)):
        raise UserError(f"num_devices is {num_devices}: each of several processes uses all its {len(devices)} devices")
    return devices[: num_devices or len(devices)]


def num_shards(devices: Devices) -> int:
    """Devices of all processes: into so many parts a batch is split."""
    return len(devices) * jax.process_count()


def check_batch_size(batch_size: int, shards: int, parts: int = 1) -> None:
    """Raises UserError unless every device gets the same number of examples, in so many equal parts."""
    if parts < 1:
        raise UserError(
            f"a batch is accumulated over {parts} parts: --config.accumulate takes 1 or more for each stage"
        )
    if batch_size % (shards * parts):
        accumulated = f", accumulated over {parts} parts" if parts > 1 else ""
        raise UserError(
            f"batch_size {batch_size} is not a multiple of the {shards} devices{accumulated}: choose one that is"
        )


def compile_step(step: Callable, devices: Devices, *, donate_state: bool = False) -> Callable:
    """`step(state, frozen, batch)` on every device at once; state and frozen replicated, batch sharded (`[D, B/D]`)."""
    donate = (0,) if donate_state else ()
    chosen = devices if jax.process_count() == 1 else None  # None: those of all processes
    return jax.pmap(step, axis_name=AXIS, devices=chosen, donate_argnums=donate)


def replicate(tree: Any, devices: Devices) -> Any:
    """A copy of every leaf on each device, as a leading axis D: laid out as a step returns it, so that no step is
    compiled twice and nothing is moved at each step."""
    sharding = NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec(AXIS))
    return jax.device_put(jax.tree.map(lambda leaf: np.stack([leaf] * len(devices)), tree), sharding)


def unreplicate(tree: Any) -> Any:
    """The first device's copy, on the host's side of the step."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def shard(batch: Any, devices: Devices) -> Any:
    """Splits the leading axis of every numpy leaf, a process's share: `[B, ...] -> [D, B/D, ...]`."""
    return jax.tree.map(lambda leaf: np.reshape(leaf, (len(devices), -1, *np.shape(leaf)[1:])), batch)


def own_share(batch: Any) -> Any:
    """This process's part of a batch that every process has."""
    return jax.tree.map(lambda leaf: leaf[share().rows(len(leaf))], batch)


def gather_over_devices(x: jax.Array) -> jax.Array:
    """Inside a step: the examples of all devices, `[B/D, ...] -> [B, ...]`; the same on each."""
    return jax.lax.all_gather(x, AXIS, tiled=True)


def sum_over_devices(tree: Any) -> Any:
    """Inside a step: the sum over the axis of devices."""
    return jax.lax.psum(tree, AXIS)


def gather_over_processes(batch: Any) -> Any:
    """The shares of all processes joined to the batch, numpy; the batch itself where there is one process."""
    if jax.process_count() == 1:
        return batch
    joined = multihost_utils.process_allgather(batch, tiled=True)
    return jax.tree.map(lambda leaf, own: np.asarray(leaf, np.asarray(own).dtype), joined, batch)


def broadcast(tree: Any) -> Any:
    """The first process's arrays, on all; the others give arrays of the same shapes."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def agree(number: int | None) -> int | None:
    """The first process's number (from 0 on, or None), on all."""
    if jax.process_count() == 1:
        return number
    agreed = int(multihost_utils.broadcast_one_to_all(np.int32(-1 if number is None else number)))
    return None if agreed < 0 else agreed


def all_have(flag: bool) -> bool:
    """Whether the flag is set in every process."""
    if jax.process_count() == 1:
        return flag
    return bool(np.all(multihost_utils.process_allgather(np.int32(flag))))


def preempted(look: int) -> bool:
    """Whether a run of several processes ends here, as one of them got SIGTERM; the same in each.

    Args:
        look: how often has been asked, from 1 on; the same in every process.
    """
    return jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(look)
