"""Chains as streams: chunk after chunk in constant memory, latency compensated, tails kept."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import EffectError
from dafxvae.core.resource import Closable
from dafxvae.effects.chain import Chain, Unit
from dafxvae.effects.segments import Segments
from dafxvae.effects.units import BuiltinUnit, RenderError
from dafxvae.effects.vst3.plugin import Vst3Unit
from dafxvae.effects.vst3.process import Limits, PluginProcess

# A multiple of the 8192 samples in which Pedalboard plays, so that a stream has its blocks where one call has them;
# more than any effect's latency, so that the first call already returns something and fixes the size of the blocks.
CHUNK = 1 << 18
MAX_SILENT_CHUNKS = 256  # of zeros after the end of the input; an effect that then still owes samples never gives them


class StreamStage(NamedTuple):
    """One effect of a stream."""

    unit: Unit
    play: Callable[[np.ndarray], np.ndarray]  # [T, C] -> [T', C]
    process: PluginProcess | None  # of a VST3 plugin


def _stage(
    unit: Unit, physical: np.ndarray, sample_rate: int, num_channels: int, end: int, limits: Limits
) -> StreamStage:
    if isinstance(unit, BuiltinUnit):
        plugin: Any = unit.instance(physical, sample_rate)
        if unit.builtin.segmented:
            plugin = Segments(plugin, end)
        return StreamStage(unit, lambda chunk: plugin.process(chunk, sample_rate, reset=False), None)
    process = PluginProcess(limits)
    try:
        process.open_stream(unit, physical, sample_rate, num_channels)
    except BaseException:
        process.close()
        raise
    return StreamStage(unit, lambda chunk: process.feed(chunk, sample_rate), process)


class ChainStream(Closable):
    """Fresh instances of a chain's effects with their settings, played once from beginning to end.

    Built-ins play in this process, each VST3 plugin in a process of its own: a crash or hang there is an error here.
    """

    def __init__(
        self,
        chain: Chain,
        unit_params: np.ndarray,
        sample_rate: int,
        num_channels: int,
        end: int,
        limits: Limits | None = None,
    ) -> None:
        """Opens the stream.

        Args:
            chain: what is played.
            unit_params: `[K]` in [0, 1].
            sample_rate: Hz.
            num_channels: 1 or 2.
            end: samples that will be asked for, the tail included.
            limits: how long a plugin may take.

        Raises:
            EffectError: an effect cannot be opened.
        """
        self.end = end
        self.num_channels = num_channels
        physical = chain.settings(chain.parameters.to_physical(unit_params), 0, len(chain.units))
        self.stages: list[StreamStage] = []
        try:
            for unit, values in zip(chain.units, physical, strict=True):
                with _named(unit):
                    self.stages.append(_stage(unit, values, sample_rate, num_channels, end, limits or Limits()))
        except BaseException:
            self.close()
            raise

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        """Plays the next chunk.

        Args:
            chunk: float32 `[CHUNK, C]`; the last one filled up with zeros, as is what follows for the tail.

        Returns:
            float32 `[T, C]`, as many samples as are ready.

        Raises:
            EffectError: an effect threw, crashed, hung, or returned NaN or inf.
        """
        for stage in self.stages:
            if not len(chunk):
                break
            with _named(stage.unit):
                chunk = stage.play(chunk)
                flat = chunk.reshape(-1)
                with np.errstate(over="ignore", invalid="ignore"):
                    if not math.isfinite(np.dot(flat, flat)):
                        raise RenderError("returned NaN or inf, or exploded")
        return chunk

    def play(self, chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Plays a whole input, and zeros after it until `end` samples are there.

        Args:
            chunks: float32 `[T, C]` of `CHUNK` samples each, the last one of up to so many.

        Yields:
            float32 `[T, C]`, `end` samples in all.

        Raises:
            EffectError: see `feed`; or the effect never returns as many samples as it was given.
        """
        produced = silent = 0
        while produced < self.end:
            chunk = next(chunks, None)
            silent += chunk is None
            if silent > MAX_SILENT_CHUNKS + self.end // CHUNK:
                raise EffectError(
                    f"{self.stages[-1].unit.label} returned {produced} of {self.end} samples: it cannot be streamed"
                )
            played = self.feed(_filled(chunk, self.num_channels))[: self.end - produced]
            produced += len(played)
            if len(played):
                yield played

    def states(self) -> list[tuple[str, bytes]]:
        """Label and Pedalboard `raw_state` of every VST3 plugin."""
        found = []
        for stage in self.stages:
            if stage.process is not None:
                with _named(stage.unit):
                    found.append((stage.unit.label, stage.process.stream_state()))
        return found

    def close(self) -> None:
        """Ends the plugin processes."""
        for stage in self.stages:
            if stage.process is not None:
                stage.process.close()


def _filled(chunk: np.ndarray | None, num_channels: int) -> np.ndarray:
    """A chunk of full length."""
    if chunk is not None and len(chunk) == CHUNK:
        return np.ascontiguousarray(chunk, np.float32)
    full = np.zeros((CHUNK, num_channels), np.float32)
    if chunk is not None:
        full[: len(chunk)] = chunk
    return full


@contextlib.contextmanager
def _named(unit: Unit) -> Iterator[None]:
    """Failures of a stage as an error that names the effect and the fix."""
    try:
        yield
    except (RenderError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, EffectError):
            raise
        what = str(error) if isinstance(error, RenderError) else f"threw {type(error).__name__}: {error}"
        kind = "the plugin " if isinstance(unit, Vst3Unit) else ""
        raise EffectError(
            f"{kind}{unit.label} {what}. Look at it with `dafxvae effects check '{unit.spec}'`"
        ) from error
