"""Start of a run: check devices and processes, claim and lock the workdir, catch signals."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from dafxvae.config import Config
from dafxvae.gradients.bridge import require_thread_pool
from dafxvae.runs.workdir import belongs_to, claim_workdir, lock_workdir
from dafxvae.training import parallel
from dafxvae.training.session import Cadence, Session
from dafxvae.training.signals import StopRequest


@contextmanager
def open_session(
    config: Config, workdir: Path, stages: tuple[str, ...], console: Console | None = None
) -> Iterator[tuple[Session, Path]]:
    """Everything that the stages of a run share.

    Args:
        config: resolved.
        workdir: of the run.
        stages: names of the stages whose batch sizes must fit the devices.
        console: what is said goes there; stderr when None. Of several processes, the first one speaks.

    Yields:
        The session, and this process's own folder: the workdir for the first one, a folder inside it for the others.

    Raises:
        UserError: devices, batch sizes or workdir do not fit the configuration, or
            another run holds the workdir.
        Stopped: on Ctrl-C or SIGTERM.
    """
    console = console or Console(stderr=True)
    devices = parallel.local_devices(config.num_devices)
    require_thread_pool(len(devices))
    for stage in stages:
        parallel.check_batch_size(config[stage].batch_size, parallel.num_shards(devices), config.accumulate[stage])
    if not parallel.is_first_process():
        workdir = workdir / "processes" / str(parallel.share().index)
        console = Console(quiet=True)
    with lock_workdir(workdir), StopRequest() as stop:
        claim_workdir(config, workdir)
        yield Session(Cadence.of(config), devices, belongs_to(config), stop, console), workdir
