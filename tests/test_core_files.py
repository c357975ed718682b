"""Nothing half under its name: what takes its name is on the disk by then, and a memory map has its place there."""

import os
import subprocess
import sys
from contextlib import closing

import jax.numpy as jnp
import optax
import pytest

from dafxvae.core import files
from dafxvae.core.errors import UserError
from dafxvae.core.files import reserve, write_text
from dafxvae.training.checkpoint import Checkpoints
from dafxvae.training.state import create_state


@pytest.fixture
def synced(monkeypatch):
    """Files and folders in the order of their fsync, by the name that they had then."""
    found, fsync = [], os.fsync

    def recorded(handle):
        found.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", recorded)
    return found


def test_a_file_is_on_the_disk_before_it_takes_its_name_and_its_folder_after(tmp_path, synced):
    write_text(tmp_path / "a.txt", "a")
    assert [path.endswith(".part.txt") for path in synced] == [True, False]
    assert synced[1] == str(tmp_path)


def test_a_checkpoint_is_on_the_disk_before_it_takes_its_name(tmp_path, synced):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(create_state({"w": jnp.zeros(3)}, optax.sgd(0.1)), 1.0)
    before = {path.partition("-tmp")[2].partition("/")[2] for path in synced if ".orbax-checkpoint-tmp" in path}
    after = {str(path.relative_to(tmp_path / "0")) for path in (tmp_path / "0").rglob("*")}
    assert after - before == {"commit_success.txt"}  # a mark that nothing reads
    assert synced[-1] == str(tmp_path)


def test_a_place_that_is_not_there_is_an_error_and_not_a_bus_error(small_disk):
    with (small_disk / "map").open("w+b") as file, pytest.raises(OSError, match="No space left"):
        reserve(file.fileno(), 1 << 20)


RENDER = """
import mmap, numpy as np
from dafxvae.effects.spec import EffectSpec
from dafxvae.effects.units import make_builtin
from dafxvae.effects.vst3.process import Limits, PluginProcess
unit = make_builtin(EffectSpec("Gain"))
process = PluginProcess(Limits())
for samples in (1000, 400_000, 1000):
    audio = np.ones((samples, 1), np.float32)
    rendered = process.render([unit], [np.zeros(1)], audio, 24000)
    np.testing.assert_allclose(rendered, audio, rtol=1e-6)
process.close()
"""


@pytest.mark.parametrize("size", ["256k", "2m"])
@pytest.mark.parametrize("disk", ["room", "none"])
def test_a_small_dev_shm_is_no_bus_error(tmp_path, size, disk):
    """As in a container, whose memory for files is 64 MiB by default: too small at first, or once a clip is longer."""
    folder = tmp_path if disk == "room" else "/dev/shm"
    script = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && TMPDIR={folder} exec "$0" -c "$1"'
    command = ["unshare", "-m", "sh", "-c", script, sys.executable, RENDER]
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if disk == "room":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert "no room for" in done.stderr
        assert "name a folder with room by TMPDIR" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "folder"

    def make(target, text):
        with files.whole_folder(target) as folder:
            (folder / "whole.txt").write_text(text)
            if not text:
                raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        make(path, "")
    assert list(path.parent.iterdir()) == []
    for text in ("first", "second"):  # as of another process: what is there stays
        make(path, text)
    assert [(each.name, each.read_text()) for each in path.iterdir()] == [("whole.txt", "first")]
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(UserError, match=r"cannot write .*File exists"):
        make(path / "whole.txt" / "x", "first")


@pytest.mark.parametrize("content", [None, "{", '{"other": 1}'])
def test_a_stored_file_that_cannot_be_read_is_refused_with_the_fix(tmp_path, content):
    path = tmp_path / "stored.json"
    if content is not None:
        path.write_text(content)

    def read():
        with files.stored_file(path, "make it again"):
            return files.read_json(path)["wanted"]

    with pytest.raises(UserError, match=r"stored.json cannot be read \(.*\): make it again"):
        read()
