"""TensorBoard's files of a run, and Weights & Biases where it is configured.

The one importer of tensorboardX and wandb.
"""

import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import directory_check

from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_text

WANDB_MODES = ("offline", "online")
PROJECT = "dafxvae"
FLUSH_SECONDS = 10.0
PROTOS: Any = event_pb2  # its classes are made when it is imported, which type checkers do not see


class Sink(Protocol):
    """One place where numbers, sounds and pictures go. Names are `stage/name`; steps count within their stage."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One curve per name."""

    def audio(self, step: int, name: str, audio: np.ndarray, sample_rate: int) -> None:
        """A sound `[T, C]`; samples beyond [-1, 1] are clipped, as the format requires."""

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 `[height, width, 3]`."""

    def table(self, step: int, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of text."""

    def text(self, step: int, name: str, text: str) -> None:
        """Markdown."""

    def close(self) -> None:
        """Flushes and closes."""


class TensorBoard:
    """Event files; a resumed run adds one in the same folder.

    Events are written where they come, by tensorboardX's own record writer. Its `SummaryWriter` writes in a thread that
    ends at the first error (a full disk, a clock that is set back by a month), and then waits for it for ever.
    """

    def __init__(self, directory: Path):
        self._stage = f"{directory.name}/"  # TensorBoard itself puts the folder's name before every tag
        try:
            directory_check(str(directory))
            self._events: EventsWriter | None = EventsWriter(str(directory / "events"), f".{uuid.uuid4().hex[:8]}")
        except OSError as error:
            self._give_up(error)
        self._flushed = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._write(step, summary.scalar(name, float(value)))

    def audio(self, step: int, name: str, audio: np.ndarray, sample_rate: int) -> None:
        self._write(step, summary.audio(name, np.clip(audio, -1.0, 1.0), sample_rate))

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._write(step, summary.image(name, pixels, dataformats="HWC"))

    def table(self, step: int, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = ["|".join(header), "|".join("---" for _ in header), *("|".join(row) for row in rows)]
        self.text(step, name, "\n".join(f"|{line}|" for line in lines))

    def text(self, step: int, name: str, text: str) -> None:
        self._write(step, summary.text(name, text))

    def close(self) -> None:
        if self._events is not None:
            try:
                self._events.close()
            except OSError as error:
                self._give_up(error)

    def _write(self, step: int, content: Any) -> None:
        if self._events is None:
            return
        for value in content.value:
            value.tag = value.tag.removeprefix(self._stage)
        event = PROTOS.Event(wall_time=time.time(), step=step, summary=content)
        try:
            self._events.write_event(event)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._flushed = time.monotonic()
                self._events.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Curves are not worth a run: it goes on, and its checkpoints say when they cannot be written either."""
        self._events = None
        logging.getLogger(__name__).error("TensorBoard's files cannot be written (%s): no more curves", error.strerror)


class WeightsAndBiases:
    """One run of Weights & Biases for a whole workdir: named after it, with its configuration, its files inside.

    Stages count their steps anew, but wandb's own step only grows: each stage's curves have an axis `stage/step`.
    """

    def __init__(self, workdir: Path, mode: str, config: Mapping[str, Any]):
        import wandb

        self._wandb = wandb
        self._axes: set[str] = set()
        settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
        try:
            self._run = wandb.init(
                project=PROJECT,
                name=workdir.absolute().name,
                id=_run_id(workdir),
                dir=str(workdir),
                config=dict(config),
                mode="offline" if mode == "offline" else "online",
                resume="allow"
                if mode == "online"
                else None,  # offline parts have one id and are joined by `wandb sync`
                settings=settings,
            )
        except wandb.Error as error:
            raise UserError(
                f"Weights & Biases did not start ({error}): `wandb login` first, or --config.log.wandb=offline"
            ) from error

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        stages = {name.split("/")[0] for name in values}
        for stage in stages - self._axes:
            self._run.define_metric(f"{stage}/step")
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        self._axes |= stages
        self._run.log({**values, **{f"{stage}/step": step for stage in stages}})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._log(step, {name: float(value) for name, value in values.items()})

    def audio(self, step: int, name: str, audio: np.ndarray, sample_rate: int) -> None:
        self._log(step, {name: self._wandb.Audio(np.clip(audio, -1.0, 1.0), sample_rate=sample_rate)})

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._log(step, {name: self._wandb.Image(pixels)})

    def table(self, step: int, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._log(step, {name: self._wandb.Table(columns=list(header), data=[list(row) for row in rows])})

    def text(self, step: int, name: str, text: str) -> None:
        """Writes no text: the only one is the configuration, which the run has."""

    def close(self) -> None:
        self._run.finish()


class MetricWriter:
    """The writer of a stage: everything goes to every sink."""

    def __init__(self, *sinks: Sink):
        self._sinks = sinks

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One curve per name."""
        for sink in self._sinks:
            sink.scalars(step, values)

    def audio(self, step: int, name: str, audio: np.ndarray, sample_rate: int) -> None:
        """A sound `[T, C]`; samples beyond [-1, 1] are clipped, as the format requires."""
        for sink in self._sinks:
            sink.audio(step, name, audio, sample_rate)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 `[height, width, 3]`."""
        for sink in self._sinks:
            sink.image(step, name, pixels)

    def table(self, step: int, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of text; Markdown in TensorBoard."""
        for sink in self._sinks:
            sink.table(step, name, header, rows)

    def text(self, step: int, name: str, text: str) -> None:
        """Markdown."""
        for sink in self._sinks:
            sink.text(step, name, text)

    def close(self) -> None:
        """Flushes and closes all of them."""
        for sink in self._sinks:
            sink.close()


def tensorboard_writer(directory: Path) -> MetricWriter:
    """TensorBoard's files alone, in a stage's folder."""
    return MetricWriter(TensorBoard(directory))


def check_tracking(mode: str) -> None:
    """Raises UserError unless `log.wandb` is a mode that exists and that this installation supports."""
    if not mode:
        return
    if mode not in WANDB_MODES:
        raise UserError(f"log.wandb is {mode!r}: --config.log.wandb takes {', '.join(WANDB_MODES)} or nothing")
    try:
        version("wandb")
    except PackageNotFoundError as error:
        raise UserError(
            f"log.wandb is {mode!r}, but wandb is not installed: pip install 'dafxvae[wandb]', or leave it out"
        ) from error


def open_writer(directory: Path, config: Config) -> MetricWriter:
    """The writer of a stage in the folder `directory` of its workdir, as `config.log` has it.

    Raises:
        UserError: Weights & Biases is asked for and cannot be had.
    """
    check_tracking(config.log.wandb)
    if not config.log.wandb:
        return tensorboard_writer(directory)
    tracked = WeightsAndBiases(directory.parent, config.log.wandb, json.loads(config.to_json()))
    return MetricWriter(TensorBoard(directory), tracked)


def _run_id(workdir: Path) -> str:
    """The workdir's run at Weights & Biases: drawn once, kept beside its files, so that every stage adds to one run."""
    path = workdir / "wandb" / "run_id"
    if not path.exists():
        write_text(path, uuid.uuid4().hex[:12])
    return path.read_text().strip()
