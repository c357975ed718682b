"""`dafxvae train` as a user meets it: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import flags

from dafxvae import train

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "dafxvae.train", "--config", "configs/reverb.py"]


def environment(root):
    clean = {key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "NPROC")}
    fast = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    folders = {"DAFXVAE_CACHE": str(root / "cache"), "DAFXVAE_DATA": str(root / "data")}
    return clean | folders | {"XLA_FLAGS": fast, "COLUMNS": "200"}


def run(root, *arguments, command=COMMAND):
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (COMMAND[:3], [], "no configuration"),
        (COMMAND[:3], ["--config", "configs/nothing.py"], "nothing.py"),
        (COMMAND, ["--config.sed=1"], "sed"),
        (COMMAND, ["--config.seed=one"], "one"),
        (COMMAND, ["--speed=11"], "speed"),
        (COMMAND, ["extra"], "extra"),
        (COMMAND, ["--config.preset=smok"], "smoke"),
    ],
)
def test_bad_command_lines_say_what_is_wrong(tmp_path, command, arguments, words):
    result = run(tmp_path, *arguments, command=command)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "songs").mkdir()
    small = [flag for flag in flags() if "minutes" not in flag]
    result = run(tmp_path, f"--config.data.folder={tmp_path / 'songs'}", f"--workdir={tmp_path / 'run'}", *small)
    assert result.returncode == 2, result.stderr
    assert "wav" in result.stderr
    assert "songs" in result.stderr.replace("\n", "")
    assert "Traceback" not in result.stderr


def start(root, *arguments):
    return subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, env=environment(root), stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    for _ in range(2000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    pytest.fail(f"{path} never came")


@pytest.mark.timeout(600)
def test_killed_and_terminated_and_interrupted_it_goes_on_to_the_end(tmp_path):
    workdir = tmp_path / "run"
    arguments = [f"--workdir={workdir}", *flags(f__num_steps=20, h__num_steps=30, checkpoint_every_steps=5)]
    arguments = [argument for argument in arguments if "every_steps=2" not in argument]

    process = start(tmp_path, *arguments, "--config.eval.every_steps=1000")
    wait_for(workdir / "f" / "checkpoints" / "5", process)
    process.send_signal(signal.SIGSTOP)  # so that it is still there
    second = run(tmp_path, *arguments, "--config.eval.every_steps=1000")
    assert second.returncode == 2
    assert f"in use by another run (process {process.pid} on" in second.stderr
    process.kill()
    process.communicate()

    process = start(tmp_path, *arguments, "--config.eval.every_steps=1000")
    wait_for(workdir / "f" / "checkpoints" / "10", process)
    process.send_signal(signal.SIGTERM)
    assert "SIGTERM" in process.communicate()[1]
    assert process.returncode == 0

    process = start(tmp_path, *arguments, "--config.eval.every_steps=1000")
    wait_for(workdir / "h" / "checkpoints" / "5", process)
    process.send_signal(signal.SIGINT)
    assert "goes on from there" in process.communicate()[1]
    assert process.returncode == 130
    assert not (workdir / "results.json").exists()

    result = run(tmp_path, *arguments, "--config.eval.every_steps=1000")
    assert result.returncode == 0, result.stderr
    assert (workdir / "results.json").exists()
    assert "do nothing" in result.stderr
    assert "controller.safetensors" in result.stderr


def test_asked_to_stop_before_there_is_a_step_it_ends_at_once(tmp_path):
    """SIGTERM while the corpus is rendered: nothing to save, exit code 0, and nothing half-made is left in the way."""
    arguments = [f"--workdir={tmp_path / 'run'}", *flags(data__minutes=30)]
    process = start(tmp_path, *arguments)
    wait_for(tmp_path / "run" / "versions.json", process)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in process.communicate(timeout=60)[1]
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--config", "reverb"], "reverb"),
        (["--config", "reverb", "--config.preset=smoke"], "reverb_smoke"),
        (["--config", "vst3", "--config.effect=a folder/My Gate.vst3(x) | Reverb"], "My_Gate_Reverb"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ml_collections loads a configuration by load_module
def test_a_run_is_named_after_what_it_trains(words, name, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "check_run", lambda config, workdir: seen.append(workdir))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(train, "run", lambda config, workdir: None)
    train.main(words)
    assert seen == [Path("runs") / name]
