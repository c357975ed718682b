"""The scripts in launch/: all start the same command, and what a scheduler stops goes on later."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launch_toys import ARGUMENTS, LAUNCH, ROOT, Bench, is_executable, real, small

SCRIPTS = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")])
COMMAND = ["-m", "dafxvae.train", *ARGUMENTS]
RUNS = "touch $RECORDS/started.$$; for _ in {1..2000}; do sleep 0.05; done; exit 9"
SAVES = f"trap 'touch $RECORDS/saving; sleep 0.5; touch $RECORDS/saved.$$; exit 0' TERM; {RUNS}"
CRASHES = f"trap 'exit 1' TERM; {RUNS}"


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")  # of the corpus, rendered once


def run(script, environment, arguments=ARGUMENTS):
    return subprocess.run(
        [LAUNCH / script, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def start(script, environment, arguments=ARGUMENTS):
    return subprocess.Popen([LAUNCH / script, *arguments], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(folder, pattern, process, count=1):
    for _ in range(4000):
        if len(list(folder.glob(pattern))) >= count:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"{pattern} never came into {folder}")


def terminate_tasks(bench):
    for pid in (bench.records / "tasks").read_text().split():
        os.kill(int(pid), signal.SIGTERM)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for command in (["bash", "-n", script], [shellcheck, "--enable=quote-safe-variables", script]):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    assert is_executable(script)


def test_readme_names_every_file():
    readme = (LAUNCH / "README.md").read_text()
    for path in LAUNCH.iterdir():
        assert path.name in ("README.md", "__pycache__") or f"`{path.name}`" in readme, path.name


def test_local_hands_everything_to_the_command(bench):
    result = run("local.sh", bench.environment)
    assert result.returncode == 0, result.stderr
    assert bench.processes() == [(["", "", "", "", ""], COMMAND)]


@pytest.mark.parametrize(("devices", "given", "nproc"), [(2, "", ""), (16, "", "32"), (16, "20", "20")])
def test_local_splits_the_cpu_and_leaves_xla_threads_to_spare(bench, devices, given, nproc):
    changes = {"CPU_DEVICES": str(devices), "XLA_FLAGS": "--other"} | ({"NPROC": given} if given else {})
    assert run("local.sh", bench.environment | changes).returncode == 0
    (found, _), *_ = bench.processes()
    assert found[3:] == [nproc, f"--other --xla_force_host_platform_device_count={devices}"]


@pytest.mark.parametrize("code", [0, 2])
def test_local_keeps_the_exit_code(bench, code):
    assert run("local.sh", bench.environment | {"BEHAVIOUR": f"exit {code}"}).returncode == code


def test_slurm_tells_every_process_its_place(bench):
    result = run("slurm.sbatch", bench.slurm(2))
    assert result.returncode == 0, result.stderr
    assert bench.processes() == [(["node07:20017", "2", str(i), "", ""], COMMAND) for i in range(2)]
    assert not (bench.records / "requeued").exists()


@pytest.mark.parametrize("code", [1, 2, 137])
def test_slurm_does_not_queue_a_failure_again(bench, code):
    assert run("slurm.sbatch", bench.slurm(2) | {"BEHAVIOUR": f"exit {code}"}).returncode == code
    assert not (bench.records / "requeued").exists()


def test_slurm_queues_a_stopped_job_again(bench):
    process = start("slurm.sbatch", bench.slurm(2) | {"BEHAVIOUR": SAVES})
    wait_for(bench.records, "started.*", process, 2)
    wait_for(bench.records, "tasks", process)
    terminate_tasks(bench)
    process.communicate()
    assert process.returncode == 143
    assert len(list(bench.records.glob("saved.*"))) == 2
    assert (bench.records / "requeued").read_text().split() == ["40017"]


def test_slurm_asks_for_time_to_save_and_may_be_requeued():
    asked = re.findall(r"^#SBATCH (.*)$", (LAUNCH / "slurm.sbatch").read_text(), re.MULTILINE)
    assert {"--signal=TERM@60", "--requeue", "--open-mode=append", "--ntasks-per-node=1"} <= set(asked)


def test_a_task_that_was_stopped_is_not_taken_for_finished(bench):
    process = start("task.sh", bench.environment | {"BEHAVIOUR": SAVES, "JOB_COMPLETION_INDEX": "0"})
    wait_for(bench.records, "started.*", process)
    process.send_signal(signal.SIGTERM)
    wait_for(bench.records, "saving", process)
    process.send_signal(signal.SIGTERM)  # does not cut the saving short
    process.communicate()
    assert process.returncode == 143
    assert list(bench.records.glob("saved.*"))


def test_a_task_that_crashes_when_it_is_stopped_has_crashed(bench):
    process = start("task.sh", bench.environment | {"BEHAVIOUR": CRASHES, "JOB_COMPLETION_INDEX": "0"})
    wait_for(bench.records, "started.*", process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 1


@pytest.mark.parametrize("code", [0, 3])
def test_a_task_keeps_the_exit_code(bench, code):
    environment = bench.environment | {"JOB_COMPLETION_INDEX": "1", "BEHAVIOUR": f"exit {code}"}
    assert run("task.sh", environment).returncode == code
    assert bench.processes()[0][0][2] == "1"


def test_a_task_outside_a_scheduler_says_so(bench):
    result = run("task.sh", bench.environment)
    assert result.returncode != 0
    assert "slurm.sbatch" in result.stderr
    assert bench.processes() == []


def test_tpu_runs_the_same_command_on_every_worker(bench, tmp_path):
    for worker in "01":
        (tmp_path / "homes" / worker).mkdir(parents=True)
        (tmp_path / "homes" / worker / "dafxvae").symlink_to(ROOT)
    own = {"TPU": "slice", "ZONE": "zone-b", "HOMES": str(tmp_path / "homes"), "PYTHON": str(bench.bin / "python")}
    result = run("tpu_vm.sh", bench.environment | own)
    assert result.returncode == 0, result.stderr
    assert bench.processes() == [(["auto", "", "", "", ""], COMMAND)] * 2
    gcloud = (bench.records / "gcloud").read_text().split()
    assert gcloud == ["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone", "zone-b", "--worker=all", "--command"]


def test_tpu_needs_a_name(bench):
    result = run("tpu_vm.sh", bench.environment)
    assert result.returncode != 0
    assert "TPU" in result.stderr


@pytest.mark.timeout(600)
def test_local_trains_on_all_devices(bench, cache, tmp_path):
    environment = real(bench.environment, cache) | {"CPU_DEVICES": "2"}  # num_devices=2 is refused with fewer
    result = run("local.sh", environment, [*small(num_devices=2), "--workdir", str(tmp_path / "run")])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "results.json").exists()
    assert (tmp_path / "run" / "controller.safetensors").exists()


@pytest.mark.timeout(600)
def test_slurm_trains_is_stopped_and_goes_on(bench, cache, tmp_path):
    workdir = tmp_path / "run"
    arguments = [*small(h__num_steps=100, checkpoint_every_steps=5, eval__every_steps=1000), "--workdir", str(workdir)]
    environment = real(bench.slurm(1), cache)
    process = start("slurm.sbatch", environment, arguments)
    wait_for(workdir, "h/checkpoints/[0-9]*", process)
    terminate_tasks(bench)
    assert "goes on from there" in process.communicate()[1]
    assert process.returncode == 143
    assert (bench.records / "requeued").read_text().split() == ["40017"]
    assert not (workdir / "results.json").exists()
    saved = {int(path.name) for path in (workdir / "h" / "checkpoints").iterdir() if path.name.isdigit()}
    assert 0 < max(saved) < 100

    result = run("slurm.sbatch", environment, arguments)
    assert result.returncode == 0, result.stderr
    assert (workdir / "results.json").exists()
    assert (bench.records / "requeued").read_text().split() == ["40017"]
