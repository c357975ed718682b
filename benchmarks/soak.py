"""Trains for hours and watches the process: does anything grow or slow down? Prints one JSON object at the end.

    python -m benchmarks.soak [--minutes 120] [--config configs/reverb.py] [--config.KEY=VALUE ...]

The run is `dafxvae train` itself, on the corpus of its configuration, with stage h made as long as needed, a
checkpoint every 200 steps and an evaluation every 1000; after the time it gets SIGTERM and must save and exit with 0.
Every ten seconds its memory (proportional set size, children included), threads, open handles, children, shared
memory and processor time are read. `*_drift` compares the median of the last quarter with that of the second one (the
first warms up): .05 is 5 % more. Steps a second are those between checkpoints. `cpu_seconds_a_step` is the processor
time of a step, all processes together: unlike steps a second it hardly depends on what else the machine has to do.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.common import make_parser, print_json

EVERY_SECONDS = 10.0
SAVE_EVERY = 200
TICKS = ("memory_mib", "threads", "handles", "children", "shared_memory_files", "cpu_seconds")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    family_pids = [pid]
    for parent in family_pids:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            family_pids += [int(child) for child in task.read_text().split()]
    return family_pids


def look(pid: int) -> dict[str, float]:
    """What the process holds now."""
    processes = family(pid)
    kilobytes = threads = handles = ticks = 0
    for process in processes:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        threads += len(os.listdir(f"/proc/{process}/task"))
        handles += len(os.listdir(f"/proc/{process}/fd"))
        ticks += sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))
    shared = len(os.listdir("/dev/shm"))
    return dict(zip(TICKS, (kilobytes / 1024, threads, handles, len(processes) - 1, shared, ticks / TICKS_A_SECOND)))


def newest_step(checkpoints: Path) -> int:
    """Step of the newest checkpoint; 0 before the first."""
    return max((int(path.name) for path in checkpoints.glob("[0-9]*") if path.name.isdecimal()), default=0)


def drift(values: list[float]) -> float:
    """Median of the last quarter over that of the second, minus one."""
    quarter = max(1, len(values) // 4)
    before, after = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
    return after / before - 1.0 if before else 0.0


def watch(process: subprocess.Popen, checkpoints: Path, minutes: float) -> tuple[list[dict[str, float]], list[tuple]]:
    """Looks until the time is over, from h's first step on; the looks, and (seconds, step, CPU seconds) of saves."""
    looks = []
    while newest_step(checkpoints) == 0:
        if process.poll() is not None:
            raise SystemExit(f"the run ended with {process.returncode} before its first checkpoint")
        time.sleep(1.0)
    began = time.monotonic()
    steps = [(0.0, newest_step(checkpoints), look(process.pid)["cpu_seconds"])]
    while time.monotonic() - began < 60 * minutes and process.poll() is None:
        time.sleep(EVERY_SECONDS)
        looks.append(look(process.pid))
        step = newest_step(checkpoints)
        if step > steps[-1][1]:
            saved = (checkpoints / str(step)).stat().st_mtime  # a look comes up to ten seconds later
            steps.append((saved - time.time() + time.monotonic() - began, step, looks[-1]["cpu_seconds"]))
    return looks, steps


def main() -> None:
    """Starts the run, watches it, ends it."""
    parser = make_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--config", default="configs/reverb.py")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dafxvae.train", "--config", arguments.config, f"--workdir={folder}/run"]
        command += ["--config.h.num_steps=1000000", "--config.eval.every_steps=1000"]
        process = subprocess.Popen([*command, f"--config.checkpoint_every_steps={SAVE_EVERY}", *options])
        looks, steps = watch(process, Path(folder) / "run" / "h" / "checkpoints", arguments.minutes)
        process.send_signal(signal.SIGTERM)
        stopping = time.monotonic()
        code = process.wait()
    if len(steps) < 2:
        raise SystemExit(f"no checkpoint of {SAVE_EVERY} steps in {arguments.minutes} minutes: give more --minutes")
    rates = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(steps)]
    costs = [(b[2] - a[2]) / (b[1] - a[1]) for a, b in pairwise(steps)]
    result = {
        **{f"{name}_drift": drift([tick[name] for tick in looks]) for name in TICKS[:-1]},
        "steps_per_second_drift": drift(rates),
        "cpu_seconds_a_step_drift": drift(costs),
        **{name: statistics.median(tick[name] for tick in looks) for name in TICKS[:-1]},
        "steps_per_second": statistics.median(rates),
        "cpu_seconds_a_step": statistics.median(costs),
        "steps": steps[-1][1],
        "minutes": steps[-1][0] / 60,
        "exit_code": code,
        "seconds_to_stop": time.monotonic() - stopping,
        "cores": len(os.sched_getaffinity(0)),
    }
    print_json(result)


if __name__ == "__main__":
    main()
