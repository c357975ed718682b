"""Stand-ins for what the scripts in launch/ call, and small runs of the real thing."""

import os
import stat
import sys
from pathlib import Path

from tiny import TINY

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "launch"
PARTS = ("data", "clip_samples", "eval", "checkpoint_every_steps", "log_every_steps", "h")
SMALL = {key: value for key, value in TINY.items() if key.split(".")[0] in PARTS} | {"pretrained": "shipped"}
ARGUMENTS = ["--config", "configs/reverb.py", "--config.effect=Reverb | Gain(gain_db=-6..6)", "--config.log.wandb="]

PYTHON = r"""#!/usr/bin/env bash
# Writes its arguments and what the contract says about processes; then does what BEHAVIOUR says.
{
    echo "$DAFXVAE_COORDINATOR|$DAFXVAE_NUM_PROCESSES|$DAFXVAE_PROCESS_ID|$NPROC|$XLA_FLAGS"
    printf '%s\n' "$@"
} > "$RECORDS/process.$$"
eval "$BEHAVIOUR"
"""
SRUN = r"""#!/usr/bin/env bash
# Starts the command once for each task, as srun does, and exits with the highest code.
pids=()
for ((i = 0; i < SLURM_NTASKS; i++)); do
    SLURM_PROCID=$i "$@" &
    pids+=($!)
done
echo "${pids[@]}" > "$RECORDS/tasks.part"
mv "$RECORDS/tasks.part" "$RECORDS/tasks"
highest=0
for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    if ((code > highest)); then highest=$code; fi
done
exit "$highest"
"""
SCONTROL = r"""#!/usr/bin/env bash
case "$1 $2" in
    "show hostnames") [ "$3" = 'node[07-08]' ] && printf 'node07\nnode08\n' ;;
    requeue*) echo "$2" >> "$RECORDS/requeued" ;;
    *) exit 1 ;;
esac
"""
GCLOUD = r"""#!/usr/bin/env bash
# The ssh of gcloud on a slice of two workers: every one gets the command in a shell of its own, at its home.
printf '%s\n' "${@:1:$#-1}" > "$RECORDS/gcloud"
for worker in 0 1; do (cd "$HOMES/$worker" && bash -c "${!#}") || exit; done
"""


class Bench:
    """A PATH with stand-ins, and what they recorded."""

    def __init__(self, root: Path) -> None:
        self.records, self.bin = root / "records", root / "bin"
        self.records.mkdir()
        self.bin.mkdir()
        for name, text in {"python": PYTHON, "srun": SRUN, "scontrol": SCONTROL, "gcloud": GCLOUD}.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if k not in ("NPROC", "XLA_FLAGS", "PYTHON", "CPU_DEVICES")}
        clean = {k: v for k, v in clean.items() if not k.startswith(("SLURM_", "DAFXVAE_", "JOB_"))}
        folders = {"DAFXVAE_CACHE": str(root / "cache"), "DAFXVAE_DATA": str(root / "data")}
        own = {"PATH": f"{self.bin}:{os.environ['PATH']}", "RECORDS": str(self.records), "BEHAVIOUR": ":"}
        self.environment = clean | folders | own

    def slurm(self, num_tasks: int) -> dict[str, str]:
        """What Slurm sets in a batch script on two nodes or one."""
        return self.environment | {
            "SLURM_JOB_ID": "40017",
            "SLURM_JOB_NODELIST": "node[07-08]",
            "SLURM_JOB_NUM_NODES": str(num_tasks),
            "SLURM_NTASKS": str(num_tasks),
            "SLURM_CPUS_PER_TASK": "8",
        }

    def processes(self) -> list[tuple[list[str], list[str]]]:
        """(coordinator, number of processes, process, NPROC, XLA_FLAGS), arguments; sorted by process."""
        lines = [path.read_text().splitlines() for path in self.records.glob("process.*")]
        return sorted((first.split("|"), arguments) for first, *arguments in lines)


def real(environment: dict[str, str], cache: Path) -> dict[str, str]:
    """An environment with this interpreter, that compiles fast."""
    fast = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    own = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "XLA_FLAGS": fast, "DAFXVAE_CACHE": str(cache)}
    return environment | own


def small(**changes: object) -> list[str]:
    """A run with f and g as they come and everything else small, as arguments."""
    values = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    return ["--config", "configs/reverb.py", *(f"--config.{key}={value}" for key, value in values.items())]


def is_executable(path: Path) -> bool:
    """Whether a clone can start it."""
    return bool(path.stat().st_mode & stat.S_IXUSR)
