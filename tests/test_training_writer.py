"""Everything goes to TensorBoard and, where it is asked for, to Weights & Biases: offline, for real."""

import time
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from tiny import tiny_config

from dafxvae.errors import UserError
from dafxvae.training import writer as module
from dafxvae.training.writer import Writer, check_tracking, open_writer


class Recorder:
    """A sink that remembers."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, arguments))


def test_every_sink_gets_everything():
    sinks = Recorder(), Recorder()
    writer = Writer(*sinks)
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
    assert all(run.name.endswith(run_id) for run in runs)
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
