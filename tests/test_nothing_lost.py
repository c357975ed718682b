"""Killed again and again, a run ends with the bits of one that was never interrupted (`make slow`).

Recorded 2026-11-26 on two cores: see docs/running.md.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import flags

from dafxvae.core.weights import load_weights

ROOT = Path(__file__).resolve().parent.parent
NUM_KILLS = 20
STEPS = {f"{stage}__num_steps": 150 for stage in "fgh"}
CHANGES = STEPS | {"checkpoint_every_steps": 1, "eval__every_steps": 25}


def start(root, name):
    folders = {"DAFXVAE_CACHE": str(root / "cache"), "DAFXVAE_DATA": str(root / f"data_{name}")}
    fast = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    values = {key: value for key, value in os.environ.items() if key != "NPROC"} | folders | {"XLA_FLAGS": fast}
    command = [sys.executable, "-m", "dafxvae.train", "--config=configs/reverb.py", f"--workdir={root / name}"]
    pipes: dict = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *flags(**CHANGES)], cwd=ROOT, env=values, start_new_session=True, **pipes)


def outcome(workdir):
    """Results, weights, and the validation losses of the checkpoints that were kept."""
    losses = {
        str(path.relative_to(workdir)): json.loads(path.read_text())
        for path in sorted(workdir.glob("?/checkpoints/*/metrics/metrics"))
    }
    weights = [
        load_weights(workdir / f"{name}.safetensors").metadata["fingerprint"] for name in ("encoders", "controller")
    ]
    return json.loads((workdir / "results.json").read_text()), weights, losses


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bits(tmp_path):
    """kill -9, every other time while a checkpoint is being written."""
    whole = start(tmp_path, "whole")
    assert whole.communicate()[1] is not None
    assert whole.returncode == 0
    chance, kills, in_save = random.Random(0), 0, 0
    while True:
        process = start(tmp_path, "killed")
        if kills < NUM_KILLS:
            saving = wait_for_a_moment(process, tmp_path / "killed", chance, wants_save=kills % 2 == 1)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills, in_save = kills + 1, in_save + saving
        errors = process.communicate()[1]
        assert process.returncode in (0, -signal.SIGKILL), errors
        if process.returncode == 0:
            break
    assert kills == NUM_KILLS, "the run is too short"
    assert in_save > 0
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def wait_for_a_moment(process, workdir, chance, wants_save):
    """A random while after the first step of this attempt, or the next save after it; True in the middle of a save."""
    began = time.time()
    checkpoints = [workdir / stage / "checkpoints" for stage in "fgh"]

    def newest():
        times = [path.stat().st_mtime for folder in checkpoints if folder.exists() for path in [folder]]
        return max(times, default=0.0)

    while process.poll() is None and newest() < began:
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 1.5))
    while wants_save and process.poll() is None:
        if any(True for folder in checkpoints if folder.exists() for _ in folder.glob("*tmp*")):
            return True
    return False
