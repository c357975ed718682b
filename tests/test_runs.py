"""The whole job, small: every box of the diagram, from an empty folder to a stored controller."""

import io
import itertools
import json
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from effects_vst3 import build_trouble
from ml_collections import ConfigDict
from rich.console import Console
from tiny import tiny_config

from dafxvae.config import PRESETS, base_config, resolve_preset
from dafxvae.controllers.controller import read_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.weights import fingerprint, load_weights
from dafxvae.data.pairs.prerendered import render_pairs
from dafxvae.runs import build, descriptor_choice, stage_pairs
from dafxvae.runs.loop import train_and_evaluate
from dafxvae.runs.options import packaged_configs
from dafxvae.runs.workdir import lock_workdir
from dafxvae.training import stage as stage_module
from dafxvae.training.checkpoint import Checkpoints
from dafxvae.training.signals import Stopped, StopRequest

QUIET = Console(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    """Cache and data folders of this module's own; the corpus is rendered once."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("dafxvae")
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        yield root


@pytest.fixture(scope="module")
def finished(folders):
    """A run from nothing."""
    workdir = folders / "first"
    return workdir, train_and_evaluate(tiny_config(), workdir, QUIET)


def test_a_run_from_nothing_leaves_everything(finished, folders):
    workdir, results = finished
    assert {"config.json", "versions.json", "results.json", "encoders.safetensors", "controller.safetensors"} <= {
        path.name for path in workdir.iterdir()
    }
    assert json.loads((workdir / "results.json").read_text()) == results
    assert results["mrstft"]["true settings"]["mean"] == 0.0
    assert results["num_pairs"] + results["num_failed"] == 4
    assert (folders / "data" / "pretrained" / "default.safetensors").exists()
    for stage in "fgh":
        assert list((workdir / stage).glob("events*"))
    assert json.loads((workdir / "config.json").read_text())["effect"] == "Reverb"


def test_the_stored_controller_is_self_contained_and_deterministic(finished):
    workdir, _ = finished
    controller = read_controller(workdir / "controller.safetensors", workdir / "encoders.safetensors")
    clips = (np.random.default_rng(0).standard_normal((2, 8192, 1)) * 0.1).astype(np.float32)
    first = controller.predict(clips, clips[::-1])
    np.testing.assert_array_equal(first, controller.predict(clips, clips[::-1]))
    assert first.shape == (2, 5)
    stored = load_weights(workdir / "controller.safetensors").metadata["results"]
    assert stored["mrstft"] == finished[1]["mrstft"]
    assert stored["matched"] == finished[1]["matched"]
    assert controller.parameters == ("room_size", "damping", "wet_level", "dry_level", "width")


def test_a_stored_controller_knows_its_average_prediction_and_its_pairs(finished):
    workdir, _ = finished
    controller = read_controller(workdir / "controller.safetensors", workdir / "encoders.safetensors")
    with np.load(workdir / "pairs" / "h" / "latents.npz") as stored:
        seen = stored["z"][stored["valid"] > 0]
    settings = controller.settings(seen)[0]
    found = controller.experience
    assert found is not None
    np.testing.assert_allclose(found.settings_mean, settings.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.latent_mean, seen[:, :4].mean(axis=0), rtol=1e-5)
    assert found.latent_covariance.shape == (4, 4)
    assert found.near[0] == pytest.approx(np.quantile([found.spread(row) for row in settings], 0.05), rel=1e-5)
    assert found.spread(found.settings_mean) == 0.0
    away = 2.0 * np.maximum(found.settings_deviation, 1e-3)  # toys may predict one answer
    assert found.spread(found.settings_mean + away) == pytest.approx(2.0, rel=1e-3)


def test_training_h_leaves_f_and_g_as_they_were(finished, folders):
    """Another controller over the stored f and g: their bytes are the same afterwards, in the store and the workdir."""
    stored = folders / "data" / "pretrained" / "default.safetensors"
    before = stored.read_bytes()
    workdir = folders / "second"
    train_and_evaluate(tiny_config(effect="Gain"), workdir, QUIET)
    assert stored.read_bytes() == before
    assert fingerprint(load_encoders(workdir / "encoders.safetensors").variables) == fingerprint(
        load_encoders(finished[0] / "encoders.safetensors").variables
    )
    assert not (workdir / "f").exists()


def test_running_again_trains_nothing(finished, monkeypatch):
    workdir, results = finished
    monkeypatch.setattr(stage_module, "_train", lambda *arguments: pytest.fail("trained again"))
    assert train_and_evaluate(tiny_config(), workdir, QUIET) == results


@pytest.mark.usefixtures("finished")  # its f and g
def test_descriptors_that_help_are_adopted_once_and_the_run_says_so(folders, monkeypatch):
    """A bit depth, which `amplitudes` shows exactly and nothing else does, on enough pairs to tell."""
    config = tiny_config(effect="Bitcrush", h__descriptors=("auto",))
    config.h.num_pairs, config.eval.num_pairs = 256, 48
    config.h.warm_start.num_steps, config.h.warm_start.batch_size, config.h.warm_start.evaluations = 400, 64, 8
    said = io.StringIO()
    workdir = folders / "chosen"
    train_and_evaluate(config, workdir, Console(file=said, width=500))
    stored = json.loads((workdir / "descriptors.json").read_text())
    assert stored["adopted"] == ["amplitudes"], stored
    assert f"descriptors: {stored['comparison']}" in said.getvalue()
    assert "amplitudes adopted, 0." in stored["comparison"]
    assert tuple(read_controller(workdir / "controller.safetensors").config.h.descriptors) == ("amplitudes",)
    monkeypatch.setattr(descriptor_choice, "_compare", lambda *arguments: pytest.fail("compared again"))
    train_and_evaluate(config, workdir, QUIET)
    (workdir / "descriptors.json").write_text("{")
    with pytest.raises(UserError, match=r"descriptors\.json cannot be read.*remove it"):
        train_and_evaluate(config, workdir, QUIET)


def interrupt_after(steps, monkeypatch):
    """As Ctrl-C would: the request is there after so many looks at it."""
    looks = []

    def check(self):
        looks.append(1)
        if len(looks) == steps:
            raise Stopped(2)

    monkeypatch.setattr(StopRequest, "check", check)


@pytest.mark.parametrize("stop_after", [1, 5])
def test_interrupted_and_resumed_is_the_same_as_never_interrupted(finished, folders, monkeypatch, stop_after):
    workdir, results = finished
    config = tiny_config(pretrained=str(folders / f"other{stop_after}.safetensors"))
    resumed = folders / f"resumed{stop_after}"
    interrupt_after(stop_after, monkeypatch)
    with pytest.raises(Stopped):
        train_and_evaluate(config, resumed, QUIET)
    assert not (resumed / "results.json").exists()
    monkeypatch.undo()
    monkeypatch.setenv("DAFXVAE_CACHE", str(folders / "cache"))
    monkeypatch.setenv("DAFXVAE_DATA", str(folders / "data"))
    assert train_and_evaluate(config, resumed, QUIET) == results
    for name in ("encoders.safetensors", "controller.safetensors"):
        assert (
            load_weights(resumed / name).metadata["fingerprint"] == load_weights(workdir / name).metadata["fingerprint"]
        )


def test_a_clock_that_was_set_changes_nothing(finished, folders, monkeypatch):
    """Stopped in one year, resumed a day before it began, and stopped and resumed again a year later."""
    config, workdir = tiny_config(pretrained=str(folders / "set.safetensors")), folders / "set"
    now, offsets = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: now() + offsets[-1])
    check, looks = StopRequest.check, itertools.count(1)
    monkeypatch.setattr(StopRequest, "check", lambda self: check(self) if next(looks) not in (2, 5) else stop())
    for later in (-86400.0, 3.2e7):
        with pytest.raises(Stopped):
            train_and_evaluate(config, workdir, QUIET)
        offsets.append(later)
    assert train_and_evaluate(config, workdir, QUIET) == finished[1]


def test_a_signal_at_the_very_end_of_a_stage_stops_the_run(folders, monkeypatch):
    """After the last step there is nothing left to look whether somebody asked: leaving the stage does."""
    config, workdir = tiny_config(pretrained=str(folders / "late.safetensors")), folders / "late"
    best_step = Checkpoints.best_step

    def last_look(self):
        signal.raise_signal(signal.SIGTERM)
        return best_step(self)

    monkeypatch.setattr(Checkpoints, "best_step", last_look)
    with pytest.raises(Stopped, match="SIGTERM"):
        train_and_evaluate(config, workdir, QUIET)
    assert (workdir / "f" / "checkpoints" / "2").exists()
    assert not (workdir / "g").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compute_dtype": "float8"}, "compute_dtype is 'float8'"),
        ({"accumulate__h": 0}, "accumulate.h is 0: give a whole number, at least 1"),
        ({"effect": "Invert"}, "Invert has no parameter that could be controlled"),
        ({"effect": "Gain(gain_db=3)"}, "no parameter that could be controlled"),
        ({"effect": "Rewerb"}, "Reverb"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_made(folders, changes, words):
    with pytest.raises(UserError, match=words):
        train_and_evaluate(tiny_config(**changes), folders / "refused", QUIET)
    assert not (folders / "refused").exists()


def stop():
    raise Stopped(signal.SIGTERM)


def test_a_workdir_is_held_by_one_run(finished):
    words = f"in use by another run .process {os.getpid()} on"
    with lock_workdir(finished[0]), pytest.raises(UserError, match=words):
        train_and_evaluate(tiny_config(), finished[0], QUIET)
    assert train_and_evaluate(tiny_config(), finished[0], QUIET) == finished[1]


def test_a_system_without_posix_locks_runs_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # Windows
    with lock_workdir(tmp_path / "run"), lock_workdir(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").read_text().startswith(f"process {os.getpid()}")


@pytest.mark.vst3
def test_a_plugin_that_crashes_in_training_is_counted_and_the_run_ends(
    finished, folders, monkeypatch, tmp_path_factory
):
    """The plugin's process is killed from outside in the middle of a render, after the first step of h."""
    trouble = build_trouble(tmp_path_factory.getbasetemp())
    killed = []

    def kill_once(self):
        if not killed:
            worker = next(worker for worker in banks[-1]._pool._state.workers if worker.resource is not None)
            os.kill(worker.resource.pid, signal.SIGSTOP)  # so that it dies in the middle of the next render
            killed.append(threading.Timer(0.5, os.kill, (worker.resource.pid, signal.SIGKILL)))
            killed[0].start()

    monkeypatch.setattr(StopRequest, "check", kill_once)
    banks = []
    opened = build.build_bank
    monkeypatch.setattr(build, "build_bank", lambda *arguments: banks.append(opened(*arguments)) or banks[-1])
    said = Console(record=True, width=300, file=io.StringIO())
    config = tiny_config(effect=f"{trouble}(cutoff_hz)", h__num_steps=6, num_workers=1)
    results = train_and_evaluate(config, folders / "crashing", said)
    killed[0].join()
    assert results["num_pairs"] == 4
    text = said.export_text()
    assert "1 renders failed and were left out" in text
    assert "crashed its process" in text


def test_a_workdir_belongs_to_one_configuration(finished):
    with pytest.raises(UserError, match="seed is 0 there, 1 here"):
        train_and_evaluate(tiny_config(seed=1), finished[0], QUIET)


def test_a_workdir_of_another_version_says_so(finished, folders):
    """Keys that exist on one side alone are no values that a user can give back."""
    workdir = folders / "older"
    workdir.mkdir()
    config = json.loads((finished[0] / "config.json").read_text())
    config["h"]["traces"] = config["h"].pop("descriptors")
    (workdir / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"another version.*h\.descriptors, h\.traces.*--workdir"):
        train_and_evaluate(tiny_config(), workdir, QUIET)
    with pytest.raises(UserError, match=r"another configuration.*h\.loss_weights\.envelope"):
        train_and_evaluate(tiny_config(h__loss_weights={"envelope": 1.0}), finished[0], QUIET)


def test_stored_encoders_of_another_kind_are_refused(finished, folders):
    with pytest.raises(UserError, match=r"f\.latent_dim is 4 there, 5 here.*--config\.pretrained"):
        train_and_evaluate(tiny_config(f__latent_dim=5), folders / "third", QUIET)


def test_a_controller_needs_the_encoders_it_was_trained_on(finished, folders):
    with pytest.raises(UserError, match="not encoders"):
        load_encoders(finished[0] / "controller.safetensors")
    with pytest.raises(UserError, match="not a controller"):
        read_controller(finished[0] / "encoders.safetensors", finished[0] / "encoders.safetensors")


def test_pretrain_alone_makes_no_controller(folders):
    workdir = folders / "pretrain"
    config = tiny_config(effect="", pretrained=str(folders / "alone.safetensors"))
    assert train_and_evaluate(config, workdir, QUIET) == {}
    assert (folders / "alone.safetensors").exists()
    assert not (workdir / "controller.safetensors").exists()


@pytest.mark.parametrize("path", packaged_configs().values(), ids=lambda path: path.stem)
def test_every_config_resolves_with_every_preset(path):
    namespace: dict = {}
    exec(compile(path.read_text(), path, "exec"), namespace)
    for preset, values in PRESETS.items():
        config = namespace["get_config"]()
        config.preset = preset
        resolved = resolve_preset(config, overridden=["f.num_steps"])
        assert (
            resolved.f.num_steps == resolve_preset(base_config()).f.num_steps
        )  # what the user set wins over the preset
        for key, value in values.items():
            if key != "f.num_steps":
                node = resolved
                for part in key.split("."):
                    node = node[part]
                assert node == value
        assert isinstance(resolved, ConfigDict)


def test_an_unknown_preset_names_the_known_ones():
    config = base_config()
    config.preset = "smok"
    with pytest.raises(UserError, match="smoke"):
        resolve_preset(config)


def test_pre_rendered_pairs_take_the_place_of_rendering(finished, folders, monkeypatch):
    config = tiny_config()
    with build.build_bank(config, ["Reverb"]) as bank:
        pairs = stage_pairs.build_train_pairs(config, "h", build.build_corpus(config), bank, 4)
        render_pairs(pairs, 8, folders / "rendered", progress=False)
    build_pairs = stage_pairs.build_train_pairs
    only_described = lambda *arguments: SimpleNamespace(maker=build_pairs(*arguments).maker, batch_size=4)  # noqa: E731
    monkeypatch.setattr(stage_pairs, "build_train_pairs", only_described)
    results = train_and_evaluate(
        tiny_config(data__prerendered__h=str(folders / "rendered")), folders / "prerendered", QUIET
    )
    assert results["num_pairs"] == finished[1]["num_pairs"]
    with pytest.raises(UserError, match="clip_samples"):
        train_and_evaluate(
            tiny_config(data__prerendered__h=str(folders / "rendered"), clip_samples=4096), folders / "other", QUIET
        )


def test_an_unwritable_workdir_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="file"):
        train_and_evaluate(tiny_config(), tmp_path / "file" / "run", QUIET)
