"""Checkpoints of a stage by orbax: the newest two and the best, written in the background, atomically, and verified."""

import json
import logging
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from dafxvae.core.differences import differences
from dafxvae.core.errors import UserError
from dafxvae.training import parallel
from dafxvae.training.state import TrainState

METRIC = "loss"
FORMAT = 1
NUM_LATEST = 2  # should the newest turn out damaged, there is one before it


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read, or whose numbers are not those that were written."""


class Checkpoints:
    """The checkpoints of one stage in one folder.

    Kept are the newest two and the one of the smallest validation loss (a best-only policy would throw the newest away,
    and with it the place to resume at). Each holds model, optimiser and step, the state of the data pipeline, what it
    belongs to (`about`) and a checksum of its numbers. In a run of several processes the first alone reads and writes,
    and broadcasts to the others; every method must then be called by all of them.
    """

    def __init__(self, directory: Path, about: Mapping[str, Any] | None = None):
        """Opens a folder, which is made.

        Args:
            directory: of the checkpoints.
            about: what they belong to, as JSON (configuration and version); others are refused.
        """
        self._directory = directory.absolute()
        self._about = dict(about or {})
        self._manager = self._open() if parallel.is_first_process() else None

    def _open(self) -> ocp.CheckpointManager:
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(NUM_LATEST),
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: -metrics[METRIC], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
        processes = alone if parallel.share().count > 1 else ocp.options.MultiprocessingOptions()
        options = ocp.CheckpointManagerOptions(
            create=False,
            preservation_policy=policy,
            best_fn=lambda metrics: metrics[METRIC],
            best_mode="min",
            cleanup_tmp_directories=True,
            multiprocessing_options=processes,
        )
        with self._writing():
            self._directory.mkdir(parents=True, exist_ok=True)
        self._remove_unreadable()
        return ocp.CheckpointManager(self._directory, options=options, item_names=("state", "about"))

    def _remove_unreadable(self) -> None:
        """Takes away checkpoints whose metrics are damaged, which orbax would not open a folder with."""
        for path in self._directory.glob("[0-9]*/metrics/metrics"):
            try:
                json.loads(path.read_bytes())
            except ValueError as error:
                step = path.parent.parent
                logging.getLogger(__name__).error("the checkpoint %s cannot be read (%s): it is removed", step, error)
                shutil.rmtree(step)

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None when there is none."""
        return parallel.agree(self._manager.latest_step() if self._manager else None)

    def best_step(self) -> int | None:
        """Step of the checkpoint with the smallest validation loss, None when none was validated."""
        return parallel.agree(self._manager.best_step() if self._manager else None)

    def save(self, state: TrainState, loss: float | None = None) -> None:
        """Copies the state to the host and writes it in the background; a step already saved is left as it is.

        Raises:
            UserError: this or the save before could not be written, as on a full disk.
        """
        if self._manager is None:
            return
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        host_state = jax.tree.map(np.array, state)  # a copy: the next step donates the device's buffers
        about = self._about | {"format": FORMAT, "data": {"next_step": step}, "checksum": checksum(host_state)}
        arguments = ocp.args.Composite(state=ocp.args.StandardSave(host_state), about=ocp.args.JsonSave(about))
        with self._writing():
            self._manager.save(step, args=arguments, metrics=None if loss is None else {METRIC: loss})

    def restore(self, step: int, template: TrainState) -> TrainState:
        """The state saved at `step`, in the structure, shapes and types of `template`.

        Raises:
            DamagedCheckpoint: it cannot be read as it was written.
            UserError: it belongs to another configuration or version; names the differences.
        """
        abstract = jax.tree.map(np.asarray, template)
        return parallel.broadcast(self._read(step, abstract) if self._manager else abstract)

    def restore_newest(self, template: TrainState) -> TrainState | None:
        """The newest state that can be read; damaged ones are named in the log and removed. None when there is none.

        Raises:
            UserError: the newest belongs to another configuration or version.
        """
        abstract = jax.tree.map(np.asarray, template)
        found = self._read_newest(abstract) if self._manager else None
        if not parallel.agree(int(found is not None) if self._manager else None):
            return None
        return parallel.broadcast(abstract if found is None else found)

    def close(self) -> None:
        """Waits for writes under way.

        Raises:
            UserError: one of them could not be finished.
        """
        if self._manager is None:
            return
        with self._writing():
            self._manager.wait_until_finished()
        self._manager.close()

    def _read_newest(self, abstract: TrainState) -> TrainState | None:
        assert self._manager is not None
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(step, abstract)
            except DamagedCheckpoint as error:
                logging.getLogger(__name__).error("%s; going back to the one before", error)
                self._manager.delete(step)
        return None

    def _read(self, step: int, abstract: TrainState) -> TrainState:
        assert self._manager is not None
        path = self._directory / str(step)
        try:
            about = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
            self._check_about(path, about)
            template: Any = abstract
            arguments = ocp.args.Composite(state=ocp.args.StandardRestore(template))
            state = cast(TrainState, self._manager.restore(step, args=arguments)["state"])
        except (OSError, ValueError, KeyError, TypeError) as error:  # what orbax, tensorstore and json raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise DamagedCheckpoint(f"the checkpoint {path} cannot be read ({reason[0]})") from error
        if checksum(state) != about["checksum"]:
            raise DamagedCheckpoint(f"the numbers of the checkpoint {path} are not those that were written")
        return state

    def _check_about(self, path: Path, about: Mapping[str, Any]) -> None:
        """Raises UserError when a checkpoint is not of this configuration and version."""
        ours = self._about | {"format": FORMAT}
        different = differences(ours, {key: about.get(key) for key in ours})
        if different:
            raise UserError(
                f"the checkpoint {path} does not belong to this run ({'; '.join(different)}): "
                "resume it with what it was made with, or give another --workdir"
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError is tensorstore's
            reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0].split(": ")[-1]
            raise UserError(
                f"cannot write a checkpoint to {self._directory} ({reason}): those before it are kept; "
                "make room there, and the same command goes on from the newest"
            ) from error


def checksum(state: TrainState) -> int:
    """CRC-32 of every leaf's bytes, in the order of the tree."""
    value = 0
    for leaf in jax.tree.leaves(state):
        value = zlib.crc32(np.ascontiguousarray(leaf).data, value)
    return value
