"""The jobs that a configuration can name, and the function that runs any of them."""

from pathlib import Path
from typing import Any

from rich.console import Console

from dafxvae.config import Config
from dafxvae.digits.job import train_digits
from dafxvae.runs.loop import train_and_evaluate
from dafxvae.runs.values import refused_value

JOBS = {"controller": train_and_evaluate, "digits": train_digits}


def run_job(config: Config, workdir: Path, console: Console | None = None) -> dict[str, Any]:
    """Runs or resumes the job `config.job` in a workdir; returns its results.

    Raises:
        UserError: the configuration is one that no run can have; the message says what to change.
    """
    if config.job not in JOBS:
        raise refused_value("job", config.job)
    return JOBS[config.job](config, workdir, console)
