"""Checkpoints of a stage by orbax: the latest and the best, written in the background, atomically."""

from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from dafxvae.training.state import TrainState

METRIC = "loss"


class Checkpoints:
    """The checkpoints of one stage in one folder.

    Kept are the newest and the one of the smallest validation loss (a best-only policy would throw the newest away, and
    with it the place to resume at).
    """

    def __init__(self, directory: Path):
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: -metrics[METRIC], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            best_fn=lambda metrics: metrics[METRIC],
            best_mode="min",
            cleanup_tmp_directories=True,
        )
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, None when there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Step of the checkpoint with the smallest validation loss, None when none was validated."""
        return self._manager.best_step()

    def save(self, state: TrainState, loss: float | None = None) -> None:
        """Copies the state to the host and writes it in the background; a step already saved is left as it is."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        metrics = None if loss is None else {METRIC: loss}
        host_state = jax.tree.map(np.array, state)  # a copy: the next step donates the device's buffers
        self._manager.save(step, args=ocp.args.StandardSave(host_state), metrics=metrics)

    def restore(self, step: int, template: TrainState) -> TrainState:
        """The state saved at `step`, in the structure, shapes and types of `template`."""
        abstract: Any = jax.tree.map(np.asarray, template)
        return cast(TrainState, self._manager.restore(step, args=ocp.args.StandardRestore(abstract)))

    def close(self) -> None:
        """Waits for writes under way."""
        self._manager.wait_until_finished()
        self._manager.close()
