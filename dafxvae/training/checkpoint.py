"""Checkpoints of a stage by orbax: the newest two and the best, written in the background, atomically, and verified."""

import itertools
import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from dafxvae.core.differences import check_same
from dafxvae.core.errors import UserError
from dafxvae.core.files import sync
from dafxvae.training import parallel
from dafxvae.training.state import TrainState

METRIC = "loss"
FORMAT = 1
OTHER = "resume it with what it was made with, or give another --workdir"
NUM_LATEST = 2  # should the newest turn out damaged, there is one before it


class DamagedCheckpoint(Exception):
    """A checkpoint whose files or numbers are not those that were written."""


class Checkpoints:
    """The checkpoints of one stage in one folder.

    Kept are the newest two and the one of the smallest validation loss (a best-only policy would throw the newest away,
    and with it the place to resume at). Each holds model, optimiser and step, the state of the data pipeline, what it
    belongs to (`about`) and a checksum of its numbers. In a run of several processes the first alone reads and writes,
    and broadcasts to the others; every method must then be called by all of them. A checkpoint that cannot be read is
    never deleted.
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
            async_options=ocp.AsyncOptions(post_finalization_callback=self._sync),
            multiprocessing_options=processes,
        )
        with self._writing():
            self._directory.mkdir(parents=True, exist_ok=True)
        for folder in self._directory.glob("*/metrics"):  # orbax would not open a folder with damaged ones
            try:
                with _reading(folder):
                    json.loads((folder / "metrics").read_bytes())
            except DamagedCheckpoint as error:
                _set_aside(folder, error)
        return ocp.CheckpointManager(self._directory, options=options, item_names=("state", "about"))

    def _sync(self) -> None:
        """Called when a checkpoint is written, before it takes its name."""
        for path in self._directory.glob("*.orbax-checkpoint-tmp*"):
            sync(path)

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
            DamagedCheckpoint: it is not as it was written.
            UserError: it belongs to another configuration, version or structure (names the differences), or the system
                does not let it be read.
        """
        abstract = jax.tree.map(np.asarray, template)
        return parallel.broadcast(self._read(step, abstract) if self._manager else abstract)

    def restore_newest(self, template: TrainState) -> TrainState | None:
        """The newest state that is unharmed; None when there are no checkpoints.

        Damaged ones are named in the log and set aside under another name, once an older one has been read.

        Raises:
            UserError: as `restore`, or all checkpoints are damaged. Nothing is touched then.
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
            sync(self._directory, recursive=False)
        self._manager.close()

    def _read_newest(self, abstract: TrainState) -> TrainState | None:
        assert self._manager is not None
        damaged: dict[int, DamagedCheckpoint] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                state = self._read(step, abstract)
            except DamagedCheckpoint as error:
                damaged[step] = error
                continue
            for harmed, error in damaged.items():
                _set_aside(self._directory / str(harmed), error)
            self._manager.reload()
            return state
        if damaged:
            reasons = "; ".join(map(str, damaged.values()))
            raise UserError(f"{reasons}: restore one of them, or move them away to begin again at step 0")
        return None

    def _read(self, step: int, abstract: TrainState) -> TrainState:
        assert self._manager is not None
        path = self._directory / str(step)
        with _reading(path):
            about = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
            self._check_about(path, about)
            stored = ocp.StandardCheckpointHandler().metadata(cast(Any, path / "state"))
            what = f"the checkpoint {path} is of another model or optimiser"
            check_same(_structure(abstract), _structure(stored), what, OTHER)
            template: Any = abstract
            arguments = ocp.args.Composite(state=ocp.args.StandardRestore(template))
            state = cast(TrainState, self._manager.restore(step, args=arguments)["state"])
            if checksum(state) != about["checksum"]:
                raise ValueError("its numbers are not those that were written")
        return state

    def _check_about(self, path: Path, about: Mapping[str, Any]) -> None:
        """Raises UserError when a checkpoint is not of this configuration and version."""
        ours = self._about | {"format": FORMAT}
        theirs = {key: about.get(key) for key in ours}
        check_same(ours, theirs, f"the checkpoint {path} does not belong to this run", OTHER)

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


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tells a damaged checkpoint from a system that does not let it be read."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # of orbax, tensorstore and json
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].partition(" [tensorstore")[0]
        refused = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        if refused or "os_error_code" in str(error):  # tensorstore's sign of a failed system call
            raise UserError(
                f"cannot read the checkpoint {path} ({reason}): it is kept; mend that and run again"
            ) from error
        raise DamagedCheckpoint(f"the checkpoint {path} is damaged ({reason})") from error


def _set_aside(path: Path, error: DamagedCheckpoint) -> None:
    """Gives what is damaged a name under which it is neither read nor overwritten."""
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    logging.getLogger(__name__).error("%s; it is kept as %s, and done without", error, aside)


def _structure(tree: Any) -> dict[str, str]:
    """Name, shape and type of every array of a tree."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"
        for path, leaf in leaves
    }


def checksum(state: TrainState) -> int:
    """CRC-32 of every leaf's bytes, in the order of the tree."""
    value = 0
    for leaf in jax.tree.leaves(state):
        value = zlib.crc32(np.ascontiguousarray(leaf).data, value)
    return value
