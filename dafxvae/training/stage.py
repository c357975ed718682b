"""Run one stage (f, g, h, or another) from its last checkpoint to its last step."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dafxvae.core.errors import UserError
from dafxvae.core.files import write_json
from dafxvae.core.progress import ProgressLines
from dafxvae.training import parallel
from dafxvae.training.checkpoint import Checkpoints, DamagedCheckpoint
from dafxvae.training.clock import Clock
from dafxvae.training.kl import ACTIVE_NATS
from dafxvae.training.session import Session
from dafxvae.training.state import TrainState
from dafxvae.training.steps import NUM_VALID
from dafxvae.training.writer import MetricWriter, tensorboard_writer
from dafxvae.types import Batch

MIN_EVALUATIONS = 4  # of a stage, besides that of what it begins with: the best of them is kept
KL, ACTIVE = "kl_per_dimension", "active_dimensions"
Show = Callable[[TrainState, MetricWriter], None]


@dataclass(frozen=True)
class Stage:
    """Everything that differs between stages. Steps are the undecorated ones of `training.steps`."""

    name: str
    state: TrainState  # at step 0
    frozen: Any  # variables of the networks that this stage only uses
    train_step: Callable
    eval_step: Callable
    batches: Callable[[int], Iterator[Batch]]  # from a step on; a generator, closed at the end
    valid: Iterable[Batch]  # the fixed held-out batches
    num_steps: int
    config_text: str = ""  # shown beside the curves
    remedy: str = "lower the learning rate"  # for a loss that is not finite
    show: Show = lambda state, writer: None  # sounds and pictures of an evaluation
    check: Callable[[], None] = lambda: None  # raises when effects fail too often
    renders_per_example: int = 0  # that went into a batch
    open_writer: Callable[[Path], MetricWriter] = tensorboard_writer


def check_finite(stage: Stage, step: int, metrics: dict[str, float]) -> None:
    """Raises UserError naming the step, the metrics and what to try, unless all are finite."""
    bad = [name for name, value in metrics.items() if not np.isfinite(value)]
    if bad:
        remedy = stage.remedy if step > 1 else "nothing was learnt before: lower the weights of the loss"
        raise UserError(
            f"stage {stage.name}, step {step}: {', '.join(bad)} not finite; {remedy}. The checkpoints before are kept"
        )


def to_scalars(metrics: dict[str, np.ndarray]) -> dict[str, float]:
    """Metrics as curves: of a latent's KL per dimension, how many dimensions carry anything."""
    values = {name: float(value) for name, value in metrics.items() if np.ndim(value) == 0}
    if KL in metrics:
        values[ACTIVE] = float((metrics[KL] > ACTIVE_NATS).sum())
    return values


class Log:
    """One step's numbers to the writer and the progress bar, a step late, so that the device is never waited for."""

    def __init__(
        self,
        stage: Stage,
        writer: MetricWriter,
        progress: Progress,
        task: TaskID,
        lines: ProgressLines,
        clock: Clock,
        every: int,
    ):
        self._stage, self._writer, self._progress, self._task, self._lines = stage, writer, progress, task, lines
        self._clock, self._every = clock, every
        self._pending: tuple[int, Any] | None = None
        self._last_lap_step: int | None = None
        self.rate = 0.0

    def step(self, step: int, metrics: Any) -> None:
        """Takes the metrics of `step` (on the device) and writes those of the step before."""
        self.flush()
        self._pending = (step, metrics)

    def flush(self) -> None:
        """Writes what is pending; raises UserError for a number that is not finite."""
        if self._pending is None:
            return
        step, metrics = self._pending
        self._pending = None
        values = to_scalars(jax.device_get(parallel.unreplicate(metrics)))
        check_finite(self._stage, step, values)
        self._stage.check()
        if self._last_lap_step is None or step - self._last_lap_step >= self._every:
            values |= self._speed(step)
            self._writer.scalars(step, {f"{self._stage.name}/{name}": value for name, value in values.items()})
        self._progress.update(self._task, completed=step, loss=values["loss"], rate=self.rate)
        self._lines.show(step, f", loss {values['loss']:.4f}")

    def warn_of_collapse(self, step: int, values: dict[str, float]) -> None:
        """Warns when the latent of a beta-VAE has collapsed: the decoder then ignores it."""
        if values.get(ACTIVE) == 0.0:
            self._progress.console.print(
                f"warning: stage {self._stage.name}, step {step}: the latent has collapsed (no dimension carries more "
                f"than {ACTIVE_NATS} nats): lower --config.{self._stage.name}.kl.beta, or anneal it",
                style="yellow", markup=False,
            )  # fmt: skip

    def _speed(self, step: int) -> dict[str, float]:
        first = self._last_lap_step is None
        lap = self._clock.lap(0 if self._last_lap_step is None else step - self._last_lap_step)
        self._last_lap_step = step
        if first:  # compilation
            return {}
        self.rate = lap.steps / lap.seconds
        return {
            "speed/steps_per_second": self.rate,
            "speed/renders_per_second": lap.renders / lap.seconds,
            "speed/host_share": lap.host_seconds / lap.seconds,
            "speed/data_wait_share": lap.data_seconds / lap.seconds,
        }


def make_progress() -> Progress:
    """A bar with steps, steps/s, remaining time and loss."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        refresh_per_second=2,
        disable=not parallel.is_first_process(),
    )


def evaluate(eval_step: Callable, state: Any, frozen: Any, stage: Stage, devices: parallel.Devices) -> dict[str, float]:
    """Means over the valid examples of the fixed held-out batches."""
    results = [
        jax.device_get(parallel.unreplicate(eval_step(state, frozen, parallel.shard(batch, devices))))
        for batch in map(parallel.own_share, stage.valid)
    ]
    counts = np.maximum([result.pop(NUM_VALID) for result in results], 1e-9)  # none at all: means of nothing
    means = {name: np.average([result[name] for result in results], axis=0, weights=counts) for name in results[0]}
    values = to_scalars(means)
    check_finite(stage, int(parallel.unreplicate(state.step)), values)
    return values


def run_stage(stage: Stage, directory: Path, session: Session, clock: Clock) -> TrainState:
    """Trains a stage, resumed from its folder's last checkpoint, and returns its best state (numpy leaves).

    Args:
        stage: what to train.
        directory: holds `checkpoints/` and TensorBoard's files; a finished stage is only read back.
        session: devices, cadence, and who may stop it.
        clock: counts how long renders take.

    Raises:
        Stopped: on Ctrl-C or SIGTERM, after saving.
        EffectError: the effect fails again and again.
        UserError: a loss or gradient is not finite (names the step and what to try), the checkpoints belong to another
            run, or the disk refuses them.
    """
    with (
        closing(Checkpoints(directory / "checkpoints", session.about)) as checkpoints,
        closing(stage.open_writer(directory) if parallel.is_first_process() else MetricWriter()) as writer,
        make_progress() as progress,
        session.stop.deferred(),
    ):
        first = parallel.broadcast(stage.state)
        state = checkpoints.restore_newest(first) or first
        start = int(state.step)
        writer.text(start, "config", stage.config_text)
        if start >= stage.num_steps:
            session.console.print(f"{stage.name}: finished before, {start} steps", markup=False, highlight=False)
        else:
            task = progress.add_task(stage.name, total=stage.num_steps, completed=start, loss=float("nan"), rate=0.0)
            lines = ProgressLines(stage.name, stage.num_steps, session.console, start)
            log = Log(stage, writer, progress, task, lines, clock, session.cadence.log)
            state = _train(stage, state, start, checkpoints, writer, log, session, clock)
            progress.update(task, completed=stage.num_steps)
            report = clock.report()
            if report is not None:
                session.console.print(f"{stage.name}: {report}", markup=False, highlight=False)
                write_json(directory / "speed.json", report._asdict() | {"of_bound": report.of_bound})
        best = checkpoints.best_step()
        if best is None:
            return state
        try:
            return checkpoints.restore(best, first)
        except DamagedCheckpoint as error:
            progress.console.print(f"warning: {error}; the last state takes its place", style="yellow", markup=False)
            return state


def _train(
    stage: Stage,
    state: TrainState,
    start: int,
    checkpoints: Checkpoints,
    writer: MetricWriter,
    log: Log,
    session: Session,
    clock: Clock,
) -> TrainState:
    """The loop itself: from `start` to the stage's last step, and the state after it (numpy leaves)."""
    devices, cadence, stop = session.devices, session.cadence, session.stop
    train_step = parallel.compile_step(stage.train_step, devices, donate_state=True)
    eval_step = parallel.compile_step(stage.eval_step, devices)
    state = parallel.replicate(state, devices)
    frozen = parallel.replicate(parallel.broadcast(stage.frozen), devices)

    def validate(step: int) -> None:
        log.flush()
        with clock.aside():
            values = evaluate(eval_step, state, frozen, stage, devices)
        host_state = parallel.unreplicate(state)
        checkpoints.save(host_state, values["loss"])
        writer.scalars(step, {f"{stage.name}/valid_{name}": value for name, value in values.items()})
        if step > 0:
            log.warn_of_collapse(step, values)
        if step > 0 and parallel.is_first_process():
            stage.show(host_state, writer)

    if start == 0:  # what a stage begins with may be its best
        validate(0)
    evaluate_every = max(1, min(cadence.evaluate, stage.num_steps // MIN_EVALUATIONS))
    with closing(stage.batches(start)) as batches:  # type: ignore[type-var]
        for step in range(start + 1, stage.num_steps + 1):
            waiting = time.perf_counter()
            batch = next(batches)
            clock.got_batch(time.perf_counter() - waiting, stage.renders_per_example * len(batch.item))
            state, metrics = train_step(state, frozen, parallel.shard(batch, devices))
            log.step(step, metrics)
            clock.made_step(time.perf_counter() - waiting)
            stopping = stop.requested
            if step % evaluate_every == 0 or step == stage.num_steps:
                validate(step)
            elif step % cadence.checkpoint == 0 or stopping:
                log.flush()
                checkpoints.save(parallel.unreplicate(state))
            stop.check()
    return jax.device_get(parallel.unreplicate(state))
