"""The child process that plugins live in: `python -m dafxvae.effects.vst3.worker PARENT_PID`.

Never imports jax. Plugins load and render on the main thread, as many of them insist.
"""

import ctypes
import mmap
import os
import signal
import struct
import sys
import threading
import time
from typing import Any

import numpy as np

from dafxvae.effects.pool import keep_pages
from dafxvae.effects.units import BuiltinUnit, RenderError, render_builtins
from dafxvae.effects.vst3.pipe import receive, send, views
from dafxvae.effects.vst3.plugin import LoadedPlugin, Vst3Unit, stream_arguments

PR_SET_PDEATHSIG = 1


class PluginServer:
    """The plugins and units that this process has loaded."""

    def __init__(self) -> None:
        self.units: dict[int, Any] = {}
        self.plugins: dict[tuple[str, str | None], LoadedPlugin] = {}
        self.stream: Any = None  # dafxvae.effects.segments.Vst3

    def answer(self, message: Any) -> Any:
        """Handles one message of the parent; see `PluginProcess`."""
        kind, *rest = message
        return getattr(self, kind)(*rest)

    def hello(self) -> None:
        """Everything is imported."""

    def share(self, path: str) -> None:
        """Maps the memory that is shared with the parent."""
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def plugin(self, path: str, name: str | None) -> LoadedPlugin:
        if (path, name) not in self.plugins:
            try:
                self.plugins[path, name] = LoadedPlugin(path, name)
            except (ImportError, RuntimeError, ValueError, TypeError) as error:
                raise RenderError(f"cannot be loaded: {error}") from error
        return self.plugins[path, name]

    def describe(self, path: str, name: str | None) -> dict[str, Any]:
        plugin = self.plugin(path, name)
        return {
            "raw": plugin.raw,
            "channels": plugin.channels,
            "latency_samples": int(plugin.instance.reported_latency_samples),
            "name": str(plugin.instance.name),
            "maker": str(plugin.instance.manufacturer_name),
            "version": str(plugin.instance.version),
            "category": str(plugin.instance.category),
        }

    def find_method(self, unit: Vst3Unit) -> tuple[str, float]:
        return self.plugin(unit.path, unit.spec.plugin).find_method(unit)

    def read_preset(self, path: str, name: str | None, file: str) -> dict[str, float]:
        return self.plugin(path, name).read_preset(file)

    def define(self, key: int, unit: Any) -> None:
        self.units[key] = unit
        if isinstance(unit, Vst3Unit):
            self.plugin(unit.path, unit.spec.plugin)

    def open_stream(self, unit: Vst3Unit, physical: np.ndarray, sample_rate: int, num_channels: int) -> None:
        from dafxvae.effects.segments import Vst3

        try:
            self.stream = Vst3(*stream_arguments(unit, physical, sample_rate, num_channels))
        except (ImportError, RuntimeError, ValueError, TypeError) as error:
            raise RenderError(f"cannot be played as a stream: {type(error).__name__}: {error}") from error

    def feed(self, shape: tuple[int, int], sample_rate: int) -> int:
        chunk, out = views(self.memory, shape)
        try:
            played = self.stream.process(chunk, sample_rate)
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise RenderError(f"threw {type(error).__name__}: {error}") from error
        out[: len(played)] = played
        return len(played)

    def stream_preset(self) -> tuple[bytes, list[tuple[str, float]]]:
        plugin = self.stream.plugins[0]
        values = [(str(knob.name), float(knob.raw_value)) for knob in plugin.parameters.values() if knob.is_automatable]
        return bytes(plugin.preset_data), values

    def stream_state(self) -> bytes:
        return bytes(self.stream.plugins[0].raw_state)

    def render(self, keys: list[int], settings: list[np.ndarray], shape: tuple[int, int], sample_rate: int) -> None:
        audio, out = views(self.memory, shape)
        i = 0
        while i < len(keys):
            struct.pack_into("<i", self.memory, 0, i)
            unit = self.units[keys[i]]
            if isinstance(unit, Vst3Unit):
                stop = i + 1
                plugin = self.plugin(unit.path, unit.spec.plugin)
                audio = plugin.render(unit, settings[i], audio, sample_rate)
            else:
                stop = i + 1
                while stop < len(keys) and isinstance(self.units[keys[stop]], BuiltinUnit):
                    stop += 1
                run = [self.units[key] for key in keys[i:stop]]
                audio = render_builtins(run, settings[i:stop], audio, sample_rate)
            i = stop
        out[:] = audio


def die_with_parent(parent: int) -> None:
    """No orphan: even while a plugin hangs, and even if the parent was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # bound to the parent's thread, a thread of the pool
    if os.name == "posix":

        def watch() -> None:
            while os.getppid() == parent:
                time.sleep(0.5)
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Replies to messages until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what plugins print must not mix with replies
    die_with_parent(int(sys.argv[1]))
    keep_pages()
    worker = PluginServer()
    while True:
        try:
            message = receive(requests)
        except EOFError:
            os._exit(0)  # without destructors, in which plugins crash or hang
        try:
            reply = ("done", worker.answer(message))
        except RenderError as error:
            reply = ("error", str(error))
        send(replies, reply)


if __name__ == "__main__":
    main()
