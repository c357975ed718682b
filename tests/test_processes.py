"""Several real processes on one machine, over JAX's own CPU collectives: the same training as one process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import flags

from dafxvae.core.errors import UserError
from dafxvae.data.pairs.shares import ProcessShare
from dafxvae.training import parallel

ROOT = Path(__file__).resolve().parent.parent
FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def environment(num_devices, index=None, count=1, port=0):
    values = os.environ | {"XLA_FLAGS": f"{FAST} --xla_force_host_platform_device_count={num_devices}", "NPROC": "16"}
    if index is not None:
        names = (f"127.0.0.1:{port}", str(count), str(index))
        values |= dict(zip(parallel.VARIABLES, names))
    return values | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "COLUMNS": "200"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(arguments, environments):
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=values,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for values in environments
    ]


def finish(processes):
    outputs = [process.communicate(timeout=280)[0] for process in processes]
    return [process.returncode for process in processes], outputs


@pytest.mark.timeout(300)
def test_the_same_training_on_any_number_of_devices_and_processes(tmp_path):
    """50 steps of stage h through the real Reverb: 1, 2 and 4 devices, and 2 processes of 2 devices each."""
    worker, port = str(ROOT / "tests" / "process_worker.py"), free_port()
    together = [environment(2, index, 2, port) for index in (0, 1)]
    codes, outputs = finish(
        start([worker, str(tmp_path / "alone"), "1", "2", "4"], [environment(4)])
        + start([worker, str(tmp_path / "together"), "0"], together)
    )
    assert codes == [0, 0, 0], "\n".join(outputs)
    expected = np.load(tmp_path / "alone-0-1.npz")
    assert len(expected["losses"]) > 100
    assert expected["losses"][-1] < 0.97 * expected["losses"][0]  # the validation at the end and before the first step
    for name in ("alone-0-2", "alone-0-4", "together-0-0"):
        found = np.load(tmp_path / f"{name}.npz")
        for key in expected.files:
            np.testing.assert_allclose(found[key], expected[key], rtol=2e-4, atol=2e-5, err_msg=f"{name}: {key}")
    first, second = (np.load(tmp_path / f"together-{index}-0.npz") for index in (0, 1))
    for key in set(first.files) - {"losses"}:
        np.testing.assert_array_equal(first[key], second[key])
    assert len(second["losses"]) == 0  # the first process alone writes
    assert list((tmp_path / "together-0" / "checkpoints").iterdir())


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("who", "code", "words"),
    [("first", 2, "0 is damaged"), ("second", 1, "process 1: Traceback")],
)
def test_what_ends_one_process_ends_all_with_its_message(tmp_path, who, code, words):
    if who == "first":
        (tmp_path / "0").mkdir()
        (tmp_path / "0" / "state").write_text("words")
    port, worker = free_port(), str(ROOT / "tests" / "process_failing.py")
    codes, outputs = finish(start([worker, who, str(tmp_path)], [environment(1, index, 2, port) for index in (0, 1)]))
    assert codes == [code, code], "\n".join(outputs)
    assert all(words in output for output in outputs)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_whole_run_of_two_processes_preempted_and_resumed(tmp_path):
    """From an empty home: one process gets SIGTERM, both stop after the same step, and the same command ends it."""
    changes = {f"{stage}__batch_size": 8 for stage in "fgh"} | {"h__num_pairs": 16, "h__num_audio_pairs": 16}
    values = flags(f__num_steps=6, g__num_steps=6, g__num_pairs=16, h__num_steps=400, **changes)
    run = ["-m", "dafxvae.train", "--config=configs/reverb.py", f"--workdir={tmp_path / 'run'}", *values]
    run += ["--config.eval.every_steps=1000", "--config.checkpoint_every_steps=1000"]
    home = {"DAFXVAE_CACHE": str(tmp_path / "cache"), "DAFXVAE_DATA": str(tmp_path / "data")}

    def processes():
        port = free_port()
        return start(run, [environment(2, index, 2, port) | home for index in (0, 1)])

    begun = processes()
    while not (tmp_path / "run" / "h" / "checkpoints").exists():
        assert begun[0].poll() is None
        os.sched_yield()
    begun[1].send_signal(signal.SIGTERM)
    codes, outputs = finish(begun)
    assert codes == [0, 0], "\n".join(outputs)
    assert all("stopped by SIGTERM" in output for output in outputs)
    step = max(int(path.name) for path in (tmp_path / "run" / "h" / "checkpoints").iterdir())
    assert 0 < step < 400
    codes, outputs = finish(processes())
    assert codes == [0, 0], "\n".join(outputs)
    assert (tmp_path / "run" / "results.json").exists()
    same = [tmp_path / "run" / name / "controller.safetensors" for name in ("", "processes/1")]
    assert same[0].read_bytes() == same[1].read_bytes()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("host:1", "", "0"), "DAFXVAE_NUM_PROCESSES is ''"),
        (("host:1", "2", ""), "DAFXVAE_PROCESS_ID is ''"),
        (("host:1", "2", "2"), "DAFXVAE_PROCESS_ID is '2'"),
        (("host:1", "two", "0"), "DAFXVAE_NUM_PROCESSES is 'two'"),
    ],
)
def test_what_the_environment_says_is_checked(values, words):
    with pytest.raises(UserError, match=words):
        parallel.join_processes(dict(zip(parallel.VARIABLES, values)))


def test_without_a_coordinator_a_process_is_alone():
    parallel.join_processes({"DAFXVAE_NUM_PROCESSES": "8", "DAFXVAE_PROCESS_ID": "1"})
    parallel.join_processes(dict(zip(parallel.VARIABLES, ("nowhere:1", "1", "0"))))  # one of one has nobody to wait for
    assert parallel.share() == ProcessShare(0, 1)
    assert parallel.is_first_process()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_are_the_batch(count):
    batch = np.arange(8)
    parts = [batch[ProcessShare(index, count).rows(8)] for index in range(count)]
    np.testing.assert_array_equal(np.concatenate(parts), batch)
    items = [ProcessShare(index, count).items(3, 8) for index in range(count)]
    np.testing.assert_array_equal(np.concatenate(items), np.arange(24, 32))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="a batch of 6 does not divide into 4"):
        ProcessShare(1, 4).rows(6)
