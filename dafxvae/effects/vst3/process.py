"""The parent's side of a plugin process: start, feed, time, kill, replace."""

import contextlib
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.files import reserve
from dafxvae.effects.units import RenderError
from dafxvae.effects.vst3.pipe import HEADER_BYTES, receive, send, views

PAGE_BYTES = 1 << 20
MAX_LOG_BYTES = 1 << 20
WATCH_SEC = 0.1


@dataclass(frozen=True)
class Limits:
    """How long a plugin may take before it counts as hung.

    Attributes:
        load_sec: to start the process, or to load a plugin.
        trial_sec: to try out how a loaded plugin can be rendered purely.
        render_sec: for a render, plus render_ratio times the length of the audio.
        render_ratio: seconds per second of audio and plugin.
    """

    load_sec: float = 30.0
    trial_sec: float = 30.0
    render_sec: float = 8.0
    render_ratio: float = 4.0


def memory_folders() -> list[str]:
    """Where the shared file may lie: in memory, and on the disk (a container's memory for files may be 64 MiB)."""
    return [folder for folder in ("/dev/shm", tempfile.gettempdir()) if os.access(folder, os.W_OK)]


class Deadline:
    """Time at which a child's reply is overdue."""

    def __init__(self) -> None:
        self.at = float("inf")  # of time.monotonic
        self.passed = False


class ProcessLost(RenderError):
    """The child crashed or had to be killed."""


class PluginProcess:
    """One child process. Not thread-safe: it belongs to one thread of the pool.

    A child that crashed, hung or was killed is replaced by the next call that needs one.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.num_started = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline = Deadline()
        self._known: dict[int, Any] = {}  # units that this child knows, by id(); the reference keeps the id taken
        self._memory: mmap.mmap | None = None
        self._closed = False
        self._log: Any = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def describe(self, path: str, plugin: str | None) -> dict[str, Any]:
        """Loads a plugin and returns its description.

        Raises:
            RenderError: it cannot be loaded, crashes or hangs.
        """
        return self._ask(("describe", path, plugin), self.limits.load_sec, "loading it")

    def find_method(self, unit: Any) -> tuple[Any, float]:
        """The plugin's way to pure renders; see `LoadedPlugin.find_method`.

        Raises:
            RenderError: it crashes or hangs on the way.
        """
        return self._ask(("find_method", unit), self.limits.trial_sec, "trying it out")

    def read_preset(self, path: str, plugin: str | None, file: str) -> dict[str, float]:
        """Raw values of a plugin that has loaded a preset; else a RenderError."""
        return self._ask(("read_preset", path, plugin, file), self.limits.load_sec, f"loading {file}")

    def render(
        self, units: Sequence[Any], settings: Sequence[np.ndarray], audio: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        """Renders one clip through units in a row.

        Args:
            units: of the chain, built-ins or plugins.
            settings: physical `[K]` of each.
            audio: float32 `[T, C]`, only read.
            sample_rate: Hz.

        Returns:
            float32 `[T, C]`: a view of shared memory that lasts until the next call.

        Raises:
            RenderError: it failed, with the unit's name and the reason.
            UserError: there is no room for the clip's file.
        """
        self._ensure_started()
        for unit in units:
            if id(unit) not in self._known:
                self._ask(("define", id(unit), unit), self.limits.load_sec, f"{unit.label}: loading it")
                self._known[id(unit)] = unit
        memory = self._shared(HEADER_BYTES + 2 * audio.nbytes)
        source, rendered = views(memory, audio.shape)
        source[:] = audio
        limit = self.limits.render_sec + self.limits.render_ratio * len(units) * len(audio) / sample_rate
        message = ("render", [id(unit) for unit in units], list(settings), audio.shape, sample_rate)
        try:
            self._ask(message, limit, "rendering")
        except ProcessLost as error:
            at = struct.unpack_from("<i", memory, 0)[0]
            raise RenderError(f"{units[min(at, len(units) - 1)].label} {error}") from None
        return rendered

    def open_stream(self, unit: Any, physical: np.ndarray, sample_rate: int, num_channels: int) -> None:
        """Loads a plugin afresh for one stream, in place of the last one.

        Args:
            unit: the plugin.
            physical: its settings `[K]`.
            sample_rate: Hz.
            num_channels: of the audio.

        Raises:
            RenderError: it cannot be loaded, crashes or hangs.
        """
        message = ("open_stream", unit, physical, sample_rate, num_channels)
        self._ask(message, self.limits.load_sec + self.limits.trial_sec, "opening a stream")

    def feed(self, chunk: np.ndarray, sample_rate: int) -> np.ndarray:
        """The next chunk of a stream, float32 `[T, C]`; as many samples as the plugin has ready, a new array.

        Raises:
            RenderError: it failed; the stream is then lost.
        """
        self._ensure_started()
        memory = self._shared(HEADER_BYTES + 2 * chunk.nbytes)
        source, played = views(memory, (len(chunk), chunk.shape[1]))
        source[:] = chunk
        limit = self.limits.render_sec + self.limits.render_ratio * len(chunk) / sample_rate
        count = self._ask(("feed", source.shape, sample_rate), limit, "rendering")
        return played[:count].copy()

    def stream_preset(self) -> tuple[bytes, list[tuple[str, float]]]:
        """The stream's plugin as a .vstpreset file, and each parameter that a host can set: its own name, raw value."""
        return self._ask(("stream_preset",), self.limits.load_sec, "reading its state")

    def stream_state(self) -> bytes:
        """The state of the stream's plugin, as `raw_state` of Pedalboard's VST3Plugin takes it; else a RenderError."""
        return self._ask(("stream_state",), self.limits.load_sec, "reading its state")

    def _ask(self, message: Any, limit_sec: float, doing: str) -> Any:
        self._ensure_started()
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        # A blocking read and a watchdog: waiting on the pipe with a time limit is not portable, and a thread that reads
        # for us would cost a second wake-up for every render.
        self._deadline.at = time.monotonic() + limit_sec
        try:
            send(self._child.stdin, message)
            kind, answer = receive(self._child.stdout)
        except (EOFError, BrokenPipeError):
            late = self._deadline.passed
            how = self._obituary()
            slow = f"did not answer within {limit_sec:.3g} s of {doing}: its process was killed"
            raise ProcessLost(slow if late else f"crashed its process while {doing}: {how}") from None
        finally:
            self._deadline.at = float("inf")
        self._trim_log()
        if kind == "error":
            raise RenderError(answer)
        return answer

    def _ensure_started(self) -> None:
        if self._closed:
            raise RenderError("the render pool is closed")
        if self._child is not None and self._child.poll() is None:
            return
        if self._child is not None:
            self._forget()
        self._log = tempfile.TemporaryFile(mode="a+b")  # noqa: SIM115  what plugins print; kept for an obituary
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH", "")])])
        # A plain interpreter rather than multiprocessing's spawn, which would import the caller's main module again.
        self._child = subprocess.Popen(
            [sys.executable, "-m", "dafxvae.effects.vst3.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then ends the child
        )
        self.num_started += 1
        self._deadline = Deadline()
        threading.Thread(target=_watch, args=(self._child, self._deadline), daemon=True).start()
        self._ask(("hello",), self.limits.load_sec, "starting")

    def _shared(self, num_bytes: int) -> mmap.mmap:
        """Memory of at least `num_bytes` that the child has too: a file, in the first folder that has room for it."""
        if self._memory is not None and len(self._memory) >= num_bytes:
            return self._memory
        self._memory, reasons = None, []  # views of the old one keep it alive
        num_bytes = -(-num_bytes // PAGE_BYTES) * PAGE_BYTES
        for folder in memory_folders():
            try:
                with tempfile.NamedTemporaryFile(prefix="dafxvae-", dir=folder, delete=False) as file:
                    try:
                        reserve(file.fileno(), num_bytes)
                        memory = mmap.mmap(file.fileno(), num_bytes)
                        self._ask(("share", file.name), self.limits.load_sec, "sharing memory")
                    finally:  # nothing is left behind; Windows does not remove what is mapped
                        with contextlib.suppress(OSError):
                            os.unlink(file.name)
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror}")
                continue
            self._memory = memory
            return memory
        raise UserError(
            f"no room for {num_bytes >> 20} MiB of audio to hand to a plugin ({'; '.join(reasons)}): "
            "make room, or name a folder with room by TMPDIR"
        )

    def _obituary(self) -> str:
        """How the child ended, and the last thing it printed."""
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=5.0)
        code = self._child.returncode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        self._log.seek(0)
        printed = self._log.read()[-2000:].decode(errors="replace").strip().splitlines()
        self._forget()
        return f"{how}; it last printed: {printed[-1]}" if printed else how

    def _trim_log(self) -> None:
        if os.fstat(self._log.fileno()).st_size > MAX_LOG_BYTES:
            self._log.truncate(0)

    def kill(self) -> None:
        """Ends the child at once; any thread may call it."""
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _forget(self) -> None:
        """Frees what belonged to a child that is gone."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            assert child.stdin is not None
            assert child.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.stdout.close()
            self._log.close()
        self._known.clear()
        self._memory = None

    def close(self) -> None:
        """Ends the child, and for good."""
        self._closed = True
        self._forget()


def _watch(child: subprocess.Popen[bytes], deadline: Deadline) -> None:
    """Thread of one child: kills it when a reply is overdue, which ends the wait for that reply."""
    while child.poll() is None:
        if time.monotonic() > deadline.at:
            deadline.passed = True
            child.kill()
            return
        time.sleep(WATCH_SEC)
