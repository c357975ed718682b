"""A host callable inside JAX by one `pure_callback`; exceptions are recorded, never raised inside."""

import logging
import os
import threading
from functools import partial
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.core.errors import EffectError, UserError
from dafxvae.types import RenderVariants


class Bridge(Protocol):
    """A host callable as a JAX function, by `make_bridge`."""

    def __call__(self, audio: Array, unit_params: Array, num_probes: int | None = None) -> Array:
        """One host call.

        Args:
            audio: `[B, T, C]`.
            unit_params: `[B, R, K]`.
            num_probes: S, to have the differences taken where the renders are; see `take_differences`.

        Returns:
            float32 `[R, B, T, C]`, or with `num_probes` `[1 + S, B, T, C]`: the forward render and the differences.
        """
        ...


class CallbackLog:
    """Exceptions that a host callable raised inside callbacks; any thread may write to it.

    JAX must not see them (with a collective an exception in a callback aborts the process), so they wait here until
    the step is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: Exception | None = None
        self.count = 0

    def record(self, error: Exception) -> None:
        """Counts `error`; the first one is kept whole, and written to the program's log."""
        with self._lock:
            self.count += 1
            if self._first is not None:
                return
            self._first = error
        logging.getLogger(__name__).error("a render callable raised; its renders are answered with NaN", exc_info=error)

    def check(self) -> None:
        """Call it after a step, when the results have arrived.

        Raises:
            EffectError: the callable raised at least once; the first exception is its cause.
            UserError: that is what it raised first.
        """
        if isinstance(self._first, UserError):
            raise self._first
        if self._first is not None:
            raise EffectError(
                f"the render callable raised {self.count} time(s), first: "
                f"{type(self._first).__name__}: {self._first}. A host should answer NaN and record the failure instead."
            ) from self._first


def require_thread_pool(num_devices: int) -> None:
    """Refuses to run where callbacks on several CPU devices would deadlock.

    XLA's CPU client copies a callback's arguments on the same thread pool that runs the callbacks. With as many
    devices as threads, all threads wait in callbacks for copies that no thread is left to make. The environment
    variable NPROC is the size of that pool, and is read when the client starts.

    Args:
        num_devices: devices that will run callbacks at once.

    Raises:
        UserError: several CPU devices, and NPROC does not exceed their number.
    """
    if num_devices <= 1 or jax.default_backend() != "cpu":
        return
    nproc = os.environ.get("NPROC", "")
    if not nproc.isdecimal() or int(nproc) <= num_devices:
        raise UserError(
            f"{num_devices} CPU devices render at once, but NPROC is {nproc or 'not set'}: XLA's thread pool would "
            f"deadlock. Set the environment variable before Python starts, e.g. NPROC={2 * num_devices}."
        )


def ends(num_renders: int, num_probes: int) -> tuple[np.ndarray, np.ndarray]:
    """Which two renders the difference of each probe is between.

    Variants are the forward render, both ends of the two-sided probes (all plus, then all minus), and the one-sided
    probes; with R - 1 of them for S differences, R - 1 - S probes are two-sided.

    Returns:
        Indices of the minuends and of the subtrahends, `[S]` each.
    """
    pairs = num_renders - 1 - num_probes
    minuends = np.r_[1 : pairs + 1, 2 * pairs + 1 : num_renders]
    return minuends, np.r_[pairs + 1 : 2 * pairs + 1, np.zeros(num_probes - pairs, int)]


def take_differences(renders: np.ndarray, num_probes: int) -> np.ndarray:
    """The forward render and the differences of the probes, in the memory of the renders.

    Taken here, on the host, XLA copies 1 + S renders instead of 1 + 2 S and its backward pass is a single product.

    Args:
        renders: `[R, B, T, C]`, overwritten.
        num_probes: S.

    Returns:
        `[1 + S, B, T, C]`; a difference with a failed render is NaN, as the render is.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        for row, (minuend, subtrahend) in enumerate(zip(*ends(len(renders), num_probes)), start=1):
            np.subtract(renders[minuend], renders[subtrahend], out=renders[row])  # no later probe needs this row
    return renders[: 1 + num_probes]


def make_bridge(render: RenderVariants, log: CallbackLog | None = None) -> Bridge:
    """Makes a host callable usable in traced code (jit, scan, vmap, pmap), without a gradient.

    Args:
        render: the host callable; pure, numpy in and numpy out; may be called from several threads at once.
        log: where its exceptions go; a log of its own when None (they still reach Python's logging).

    Returns:
        The bridge; variants lead, so that XLA reads each in place. An exception of `render`, or a result of another
        shape, gives NaN and is recorded. A vmapped call is one host call with a larger batch.

    Raises:
        UserError: at trace time, when several CPU devices could deadlock (see `require_thread_pool`).
    """
    exceptions = CallbackLog() if log is None else log

    def host_call(audio: np.ndarray, unit_params: np.ndarray, num_probes: int | None) -> np.ndarray:
        flat_audio = np.asarray(audio).reshape(-1, *audio.shape[-2:])  # an axis for every vmap, then B: joined
        flat_params = np.asarray(unit_params).reshape(-1, *unit_params.shape[-2:])
        shape = (*flat_params.shape[:2], *flat_audio.shape[1:])
        try:
            out = np.require(render(flat_audio, flat_params), np.float32, "W")
            if out.shape != shape:
                raise ValueError(f"render gave {out.shape} for audio {flat_audio.shape}, settings {flat_params.shape}")
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is recorded, and raised after the step
            exceptions.record(error)
            out = np.full(shape, np.nan, np.float32)
        out = np.moveaxis(out, 1, 0)
        if num_probes is not None:
            out = take_differences(out, num_probes)
        return np.moveaxis(out.reshape(len(out), *audio.shape), 0, -4)

    def bridge(audio: Array, unit_params: Array, num_probes: int | None = None) -> Array:
        if audio.ndim != 3 or unit_params.ndim != 3 or audio.shape[0] != unit_params.shape[0]:
            raise ValueError(f"need audio [B, T, C] and settings [B, R, K], got {audio.shape} and {unit_params.shape}")
        require_thread_pool(jax.local_device_count())
        rows = unit_params.shape[1] if num_probes is None else 1 + num_probes
        return jax.pure_callback(
            partial(host_call, num_probes=num_probes),
            jax.ShapeDtypeStruct((rows, *audio.shape), jnp.float32),
            audio.astype(jnp.float32),
            unit_params.astype(jnp.float32),
            vmap_method="broadcast_all",
        )

    return bridge
