"""The way from JAX to a host callable and back: one `pure_callback`, exceptions recorded, never thrown inside."""

import logging
import os
import threading
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.errors import EffectError, UserError
from dafxvae.types import RenderVariants

Bridge = Callable[[Array, Array], Array]


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
        """
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


def make_bridge(render: RenderVariants, log: CallbackLog | None = None) -> Bridge:
    """Makes a host callable usable in traced code (jit, scan, vmap, pmap), without a gradient.

    Args:
        render: the host callable; pure, numpy in and numpy out; may be called from several threads at once.
        log: where its exceptions go; a log of its own when None (they still reach Python's logging).

    Returns:
        `(audio [B, T, C], unit_params [B, R, K]) -> [R, B, T, C]` float32: variants lead, so that XLA reads each
        in place. An exception of `render`, or a result of another shape, gives NaN and is recorded. A vmapped call is
        one host call with a larger batch.

    Raises:
        UserError: at trace time, when several CPU devices could deadlock (see `require_thread_pool`).
    """
    exceptions = CallbackLog() if log is None else log

    def host_call(audio: np.ndarray, unit_params: np.ndarray) -> np.ndarray:
        shape = (*unit_params.shape[:-1], *audio.shape[-2:])  # an axis for every vmap, then B, R, T, C
        try:
            flat_audio = np.asarray(audio).reshape(-1, *audio.shape[-2:])
            flat_params = np.asarray(unit_params).reshape(-1, *unit_params.shape[-2:])
            out = np.asarray(render(flat_audio, flat_params), np.float32)
            if out.shape != (*flat_params.shape[:2], *flat_audio.shape[1:]):
                raise ValueError(f"render gave {out.shape} for audio {flat_audio.shape}, settings {flat_params.shape}")
            return np.moveaxis(out.reshape(shape), -3, -4)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is recorded, and raised after the step
            exceptions.record(error)
            return np.moveaxis(np.full(shape, np.nan, np.float32), -3, -4)

    def bridge(audio: Array, unit_params: Array) -> Array:
        if audio.ndim != 3 or unit_params.ndim != 3 or audio.shape[0] != unit_params.shape[0]:
            raise ValueError(f"need audio [B, T, C] and settings [B, R, K], got {audio.shape} and {unit_params.shape}")
        require_thread_pool(jax.local_device_count())
        result = jax.ShapeDtypeStruct((unit_params.shape[1], *audio.shape), jnp.float32)
        return jax.pure_callback(
            host_call, result, audio.astype(jnp.float32), unit_params.astype(jnp.float32), vmap_method="broadcast_all"
        )

    return bridge
