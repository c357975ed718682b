"""The jobs that a configuration can name, and the function that runs any of them."""

from pathlib import Path
from typing import Any

from rich.console import Console

from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.digits.job import train_digits
from dafxvae.runs.loop import train_and_evaluate

JOBS = {"controller": train_and_evaluate, "digits": train_digits}


def run_job(config: Config, workdir: Path, console: Console | None = None) -> dict[str, Any]:
    """Runs or resumes the job `config.job` in a workdir; returns its results.

    Raises:
        UserError: no such job, or what the job itself finds wrong.
    """
    if config.job not in JOBS:
        raise UserError(f"unknown job {config.job!r}: --config.job takes one of {', '.join(JOBS)}")
    return JOBS[config.job](config, workdir, console)
