"""Everything goes to TensorBoard and, where it is asked for, to Weights & Biases: offline, for real."""

import shutil
import struct
import time
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tiny import tiny_config

from dafxvae.core.errors import UserError
from dafxvae.training import writer as module
from dafxvae.training.writer import MetricWriter, TensorBoard, check_tracking, open_writer


class Recorder:
    """A sink that remembers."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, arguments))


def test_every_sink_gets_everything():
    sinks = Recorder(), Recorder()
    writer = MetricWriter(*sinks)
    writer.scalars(1, {"f/loss": 1.0})
    writer.audio(1, "f/sound", np.zeros((10, 1)), 8000)
    writer.image(1, "f/image", np.zeros((2, 2, 3), np.uint8))
    writer.table(1, "f/table", ("a", "b"), [("1", "2")])
    writer.text(1, "config", "text")
    writer.close()
    assert [name for name, _ in sinks[0].calls] == ["scalars", "audio", "image", "table", "text", "close"]
    assert str(sinks[0].calls) == str(sinks[1].calls)


def test_unknown_or_missing_tracking_says_what_to_do(monkeypatch):
    check_tracking("")
    check_tracking("offline")
    with pytest.raises(UserError, match=r"'maybe'.*offline, online"):
        check_tracking("maybe")

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    with pytest.raises(UserError, match=r"pip install 'dafxvae\[wandb\]'"):
        check_tracking("online")


def read_events(folder):
    """All events of a folder, by tensorboard's record format: length, its checksum, content, its checksum."""
    events = []
    for path in sorted(folder.glob("events*")):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            events.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return [(event.step, value.tag) for event in events for value in event.summary.value]


def write_all(sink, step):
    sink.scalars(step, {"f/loss": 1.0, "f/rate": 2.0})
    sink.audio(step, "f/sound", np.full((100, 1), 2.0), 8000)
    sink.image(step, "f/image", np.zeros((2, 2, 3), np.uint8))
    sink.table(step, "f/table", ("a", "b"), [("1", "2")])
    sink.text(step, "config", "text")


def test_tensorboard_gets_everything_and_a_resumed_run_adds_to_it(tmp_path):
    for step in (1, 2):  # within a second: the second one must not take the first one's name
        sink = TensorBoard(tmp_path / "f")
        write_all(sink, step)
        sink.close()
    names = ["loss", "rate", "sound", "image", "table/text_summary", "config/text_summary"]
    assert sorted(read_events(tmp_path / "f")) == sorted((step, name) for step in (1, 2) for name in names)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the file's buffer cannot be written
def test_a_full_disk_ends_the_curves_and_not_the_run(small_disk, caplog):
    sink = TensorBoard(small_disk)
    write_all(sink, 1)
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    for step in range(2, 2000):  # more than any buffer holds
        write_all(sink, step)
    sink.close()
    assert "No space left" in caplog.text
    assert caplog.text.count("no more curves") == 1
    TensorBoard(small_disk).close()  # nor is there room for a new file


# wandb's own threads and files are its business, and so is what it warns of.
@pytest.mark.filterwarnings("ignore")
def test_an_offline_run_of_weights_and_biases_lands_in_the_workdir(tmp_path):
    workdir = tmp_path / "my_reverb"
    config = tiny_config(log__wandb="offline")
    for stage in ("f", "g"):  # two stages, one run; both begin at step 1
        writer = open_writer(workdir / stage, config)
        writer.scalars(1, {f"{stage}/loss": 0.5})
        writer.audio(1, f"{stage}/sound", np.full((800, 1), 2.0), 8000)
        writer.image(1, f"{stage}/image", np.zeros((8, 8, 3), np.uint8))
        writer.table(1, f"{stage}/table", ("a", "b"), [("1", "2")])
        writer.text(1, "config", "text")
        writer.close()
        assert list((workdir / stage).glob("events*"))
    runs = sorted((workdir / "wandb").glob("offline-run-*"))
    assert runs
    run_id = (workdir / "wandb" / "run_id").read_text()
    assert all(f"-{run_id}" in run.name for run in runs)  # of two in one second the later has a number behind
    words = (b"my_reverb", b"f/loss", b"g/loss", b"f/step", b"clip_samples")
    for _ in range(200):  # wandb's own process writes the last of it
        content = b"".join(path.read_bytes() for path in workdir.rglob("offline-run-*/run-*.wandb"))
        if all(word in content for word in words):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"{words} are not all in {content[:200]}")
    assert list(workdir.rglob("media/audio/*/*.wav"))
    assert list(workdir.rglob("media/images/*/*.png"))
