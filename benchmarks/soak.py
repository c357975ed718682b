"""Trains for hours and watches the process: does anything grow or slow down? Prints one JSON object at the end.

    python benchmarks/soak.py [--minutes 120] [--config configs/reverb.py] [--config.KEY=VALUE ...]

The run is `python -m dafxvae.train` itself, on the corpus of its configuration, with stage h made as long as needed, a
checkpoint every 200 steps and an evaluation every 1000; after the time it gets SIGTERM and must save and exit with 0.
Every ten seconds its memory (proportional set size, children included), threads, open handles, children and shared
memory are read. `*_drift` compares the median of the last quarter with that of the second one (the first warms up):
.05 is 5 % more. Steps a second are those between checkpoints.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

EVERY_SECONDS = 10.0
SAVE_EVERY = 200
TICKS = ("memory_mib", "threads", "handles", "children", "shared_memory_files")


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def look(pid: int) -> dict[str, float]:
    """What the process holds now."""
    processes = family(pid)
    kilobytes = threads = handles = 0
    for process in processes:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        threads += len(os.listdir(f"/proc/{process}/task"))
        handles += len(os.listdir(f"/proc/{process}/fd"))
    shared = len(os.listdir("/dev/shm"))
    return dict(zip(TICKS, (kilobytes / 1024, threads, handles, len(processes) - 1, shared)))


def newest_step(checkpoints: Path) -> int:
    """Step of the newest checkpoint; 0 before the first."""
    return max((int(path.name) for path in checkpoints.glob("[0-9]*") if path.name.isdecimal()), default=0)


def drift(values: list[float]) -> float:
    """Median of the last quarter over that of the second, minus one."""
    quarter = max(1, len(values) // 4)
    before, after = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
    return after / before - 1.0 if before else 0.0


def watch(process: subprocess.Popen, checkpoints: Path, minutes: float) -> tuple[list[dict[str, float]], list[tuple]]:
    """Looks at the process until the time is over, counted from its first step of h; (looks, (seconds, step))."""
    looks = []
    while newest_step(checkpoints) == 0:
        if process.poll() is not None:
            raise SystemExit(f"the run ended with {process.returncode} before its first checkpoint")
        time.sleep(1.0)
    began = time.monotonic()
    steps = [(0.0, newest_step(checkpoints))]
    while time.monotonic() - began < 60 * minutes and process.poll() is None:
        time.sleep(EVERY_SECONDS)
        looks.append(look(process.pid))
        step = newest_step(checkpoints)
        if step > steps[-1][1]:
            saved = (checkpoints / str(step)).stat().st_mtime  # a look comes up to ten seconds later
            steps.append((saved - time.time() + time.monotonic() - began, step))
    return looks, steps


def main() -> None:
    """Starts the run, watches it, ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    rates = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(steps)]
    result = {
        **{f"{name}_drift": drift([tick[name] for tick in looks]) for name in TICKS},
        "steps_per_second_drift": drift(rates),
        **{name: statistics.median(tick[name] for tick in looks) for name in TICKS},
        "steps_per_second": statistics.median(rates),
        "steps": steps[-1][1],
        "minutes": steps[-1][0] / 60,
        "exit_code": code,
        "seconds_to_stop": time.monotonic() - stopping,
        "cores": len(os.sched_getaffinity(0)),
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
