"""Devices, intervals and the request to stop, which the stages of a run share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from dafxvae.config import Config
from dafxvae.training import parallel
from dafxvae.training.signals import StopRequest


@dataclass(frozen=True)
class Cadence:
    """How often a stage does what, in steps; a short stage is evaluated more often (`stage.MIN_EVALUATIONS`)."""

    log: int
    evaluate: int
    checkpoint: int

    @classmethod
    def of(cls, config: Config) -> "Cadence":
        """As the configuration has it."""
        return cls(config.log_every_steps, config.eval.every_steps, config.checkpoint_every_steps)


@dataclass(frozen=True)
class Session:
    """What the stages of a run share.

    Attributes:
        cadence: of logging, evaluation and checkpoints.
        devices: of this process; every stage's batch size is a multiple of those of all processes.
        about: what the checkpoints belong to; see `Checkpoints`.
        stop: entered by whoever may be asked to stop.
        console: what is said goes there.
    """

    cadence: Cadence
    devices: parallel.Devices
    about: Mapping[str, Any] = field(default_factory=dict)
    stop: StopRequest = field(default_factory=StopRequest)
    console: Console = field(default_factory=lambda: Console(stderr=True))
