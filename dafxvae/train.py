"""The command line of every job: `python -m dafxvae.train --config configs/reverb.py [--config.KEY=VALUE ...]`.

Running the same command again resumes.
"""

import signal
import sys
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags
from rich.console import Console

from dafxvae.config import Config, resolve_preset
from dafxvae.core.command_line import prepare_jax, run_cli
from dafxvae.core.errors import UserError
from dafxvae.runs.unused import check_used

CONFIG = config_flags.DEFINE_config_file("config", None, "A file with get_config(), such as configs/reverb.py.")
WORKDIR = flags.DEFINE_string("workdir", None, "Holds everything of the run; runs/NAME_OF_CONFIG when left out.")


def train(arguments: list[str]) -> None:
    """Resolves the command line and runs the job.

    Raises:
        UserError: an unknown option or key, a missing file, a value of the wrong type, an option without an effect.
    """
    try:
        rest = flags.FLAGS(arguments)[1:]
        config = CONFIG.value
        if config is not None:
            config.lock()  # a file that could not be read says so at the first look
    except (flags.Error, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{error}: see --help, and the keys in dafxvae/config.py") from error
    if rest:
        raise UserError(f"unexpected arguments {rest}: options look like --config.seed=1")
    if config is None:
        raise UserError("no configuration: give --config configs/reverb.py, or another file in configs/")
    holder = flags.FLAGS["config"]
    name = Path(config_flags.get_config_filename(holder)).stem
    given = config_flags.get_override_values(holder)
    config = resolve_preset(config, given)
    check_used(config, given)
    suffix = "" if config.preset == "default" else f"_{config.preset}"
    run(config, Path(WORKDIR.value or f"runs/{name}{suffix}"))


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


def main() -> None:
    """Entry point."""
    prepare_jax()
    logging.set_verbosity(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the run takes it over: there is nothing to save yet
    run_cli(lambda: train(sys.argv))


if __name__ == "__main__":
    main()
