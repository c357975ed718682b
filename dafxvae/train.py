"""The command line of every job: `python -m dafxvae.train --config reverb [--config.KEY=VALUE ...]`.

Running the same command again resumes.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging
from rich.console import Console

from dafxvae.config import Config
from dafxvae.core.command_line import prepare_jax, run_cli
from dafxvae.core.paths import user_path
from dafxvae.runs.options import read_options
from dafxvae.runs.values import check_run


def _define_workdir(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "Holds everything of the run.", flag_values=values)


def main(words: Sequence[str] | None = None) -> None:
    """Resolves a command line and runs the job.

    Raises:
        UserError: an unknown option or key, a missing file, a value that no run can have, an option without an effect.
    """
    prepare_jax()
    logging.set_verbosity(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the run takes it over: there is nothing to save yet
    options = read_options(list(sys.argv[1:] if words is None else words), _define_workdir)
    config, suffix = options.config, "" if options.config.preset == "default" else f"_{options.config.preset}"
    workdir = user_path(options.flags.workdir or f"runs/{options.name}{suffix}")
    check_run(config, workdir)
    run(config, workdir)


def run(config: Config, workdir: Path) -> None:
    """Runs the job until its end or until a signal stops it: Ctrl-C exits with code 130, SIGTERM with 0."""
    from dafxvae.runs.jobs import run_job  # imports jax, which must come after the environment is set
    from dafxvae.training.parallel import ending_together, join_processes
    from dafxvae.training.stopping import Stopped

    join_processes()

    console = Console(stderr=True)
    try:
        with ending_together():
            run_job(config, workdir, console)
    except Stopped as stopped:
        console.print(f"stopped by {stopped}; saved in {workdir}: the same command goes on from there")
        sys.exit(130 if stopped.signal_number == signal.SIGINT else 0)


if __name__ == "__main__":
    run_cli(main)
