"""The job "digits", small: from nothing to sounds; killed and resumed it is the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tiny import flags, tiny_config

from dafxvae.audio.io import read_audio, write_audio
from dafxvae.configs.spoken_digits import get_config
from dafxvae.core.errors import UserError
from dafxvae.core.weights import load_weights, save_weights
from dafxvae.digits.accuracy import active_dimensions, fit_recogniser
from dafxvae.digits.inference import load_digit_vae
from dafxvae.digits.job import build_digit_stage, open_configured
from dafxvae.runs.jobs import run_job
from dafxvae.runs.unused import check_used
from dafxvae.training import stage as stage_module
from dafxvae.training.signals import Stopped, StopRequest

QUIET = Console(quiet=True)
TINY = {
    "digits__synthesiser": "formants",
    "digits__num_speakers": 4,
    "digits__num_takes": 1,
    "digits__width": 8,
    "digits__latent_dim": 3,
    "digits__num_steps": 4,
    "digits__batch_size": 8,
    "digits__beta": 0.1,
    "digits__griffin_lim_iterations": 2,
    "digits__num_samples": 2,
    "eval__every_steps": 4,
}


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("dafxvae")
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        yield root


def tiny(**changes):
    return tiny_config(get_config(), **(TINY | changes))


@pytest.fixture(scope="module")
def finished(folders):
    workdir = folders / "first"
    with (folders / "console").open("w") as file:
        results = run_job(tiny(), workdir, Console(file=file, width=200))
    return workdir, results


def test_a_run_from_nothing_leaves_everything(finished, folders):
    workdir, results = finished
    assert {"config.json", "versions.json", "results.json", "digit_vae.safetensors", "result.png", "audio"} <= {
        path.name for path in workdir.iterdir()
    }
    assert json.loads((workdir / "results.json").read_text()) == results
    assert "formant synthesiser" in (folders / "console").read_text()
    assert set(results["speakers"]["train"]).isdisjoint(results["speakers"]["test"])
    assert results["num_clips"]["test"] >= 10
    assert list((workdir / "digits").glob("events*"))


def test_every_sound_is_a_sound(finished):
    workdir, _ = finished
    names = {path.stem for path in (workdir / "audio").iterdir()}
    for name in ("reconstruction_0_original", "reconstruction_0_original_phase", "reconstruction_9_griffin_lim"):
        assert name in names
    assert {"sample_0", "sample_1", "interpolation_0_to_9"} <= names
    for path in (workdir / "audio").glob("*.wav"):
        audio, rate = read_audio(path)
        assert rate == 8000
        clips = 7 if re.match("interpolation|traversal", path.name) else 1
        assert audio.shape == (8128 * clips, 1)
        assert np.isfinite(audio).all()
        assert 1e-3 < np.abs(audio).max() < 1.0, path


def test_magnitudes_come_back_from_their_logarithm(finished):
    vae = load_digit_vae(finished[0] / "digit_vae.safetensors")
    clip, _ = read_audio(finished[0] / "audio" / "reconstruction_3_original.wav")
    magnitude = vae._call("magnitude", vae.log_magnitude(clip[None]))
    np.testing.assert_allclose(vae.with_phases(magnitude, clip[None])[0], clip, atol=1e-4)


def test_the_stored_model_is_deterministic_and_does_not_see_the_batch(finished):
    vae = load_digit_vae(finished[0] / "digit_vae.safetensors")
    clips = (np.random.default_rng(0).standard_normal((18, 8128, 1)) * 0.1).astype(np.float32)
    together = vae.mean(clips)
    assert together.shape == (18, 3)
    np.testing.assert_allclose(vae.mean(clips[17:]), together[17:], atol=1e-5)
    np.testing.assert_array_equal(vae.without_phases(vae.decode_magnitude(together)).shape, clips.shape)


def test_running_again_trains_nothing(finished, monkeypatch):
    monkeypatch.setattr(stage_module, "_train", lambda *arguments: pytest.fail("trained again"))
    assert run_job(tiny(), finished[0], QUIET) == finished[1]


def test_interrupted_and_resumed_is_the_same_as_never_interrupted(finished, folders, monkeypatch):
    looks = []

    def check(self):
        looks.append(1)
        if len(looks) == 2:
            raise Stopped(2)

    monkeypatch.setattr(StopRequest, "check", check)
    with pytest.raises(Stopped):
        run_job(tiny(), folders / "resumed", QUIET)
    assert run_job(tiny(), folders / "resumed", QUIET) == finished[1]
    name = "digit_vae.safetensors"
    prints = [load_weights(path / name).metadata["fingerprint"] for path in (finished[0], folders / "resumed")]
    assert prints[0] == prints[1]


def test_every_device_gets_as_many_of_the_held_out_clips(finished):
    config = tiny()
    stage = build_digit_stage(config, open_configured(config), num_devices=4)
    assert [len(batch.item) for batch in stage.valid] == [12]
    assert [int(batch.valid.sum()) for batch in stage.valid] == [10]


def test_bad_input_says_what_to_do(finished, folders):
    with pytest.raises(UserError, match="another configuration"):
        run_job(tiny(seed=1), finished[0], QUIET)
    with pytest.raises(UserError, match="hop_samples 100"):
        run_job(tiny(digits__hop_samples=100), folders / "bad", QUIET)
    with pytest.raises(UserError, match=r"job is 'digit'.*'controller', 'digits'"):
        run_job(tiny(job="digit"), folders / "bad", QUIET)
    with pytest.raises(UserError, match="'offline', 'online'"):
        run_job(tiny(log__wandb="yes"), folders / "bad", QUIET)
    save_weights(folders / "other.safetensors", {"x": np.zeros(1)}, {"kind": "encoders"})
    with pytest.raises(UserError, match="not a digit VAE"):
        load_digit_vae(folders / "other.safetensors")


def is_used(config, flag):
    try:
        check_used(config, [flag.removeprefix("--config.").partition("=")[0]])
    except UserError:
        return False
    return True


def test_the_command_line_runs_a_folder_in_fsdd_layout(folders, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ann", "bob", "eve"):
        for digit in (1, 2):
            word = np.sin(np.arange(3000) * 0.1 * digit)[:, None] * 0.3 + rng.standard_normal((3000, 1)) * 0.01
            write_audio(tmp_path / "fsdd" / f"{digit}_{name}_0.wav", word.astype(np.float32), 8000)
    config = tiny(data__folder=str(tmp_path / "fsdd"))
    values = [flag for flag in flags(**TINY, data__folder=config.data.folder, num_devices=1) if is_used(config, flag)]
    command = [sys.executable, "-m", "dafxvae.train", "--config", "configs/spoken_digits.py", *values]
    root = Path(__file__).resolve().parent.parent
    result = subprocess.run(
        [*command, f"--workdir={tmp_path / 'run'}"], cwd=root, capture_output=True, text=True, timeout=250, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "6 by 3 speakers, folder" in result.stderr
    assert (tmp_path / "run" / "results.json").exists()
    result = subprocess.run(
        [*command, "--config.log.wandb=perhaps"], cwd=root, capture_output=True, text=True, timeout=250, check=False
    )
    assert result.returncode == 2
    assert "perhaps" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_recogniser_finds_what_can_be_told_apart():
    rng = np.random.default_rng(0)
    digit = np.repeat([0, 4, 7], 50)
    features = rng.standard_normal((150, 6)) * 0.3 + rng.standard_normal((10, 6))[digit] * 3.0
    recogniser = fit_recogniser(features, digit)
    assert recogniser.accuracy(features, digit) == 1.0
    assert set(recogniser(rng.standard_normal((500, 6)) * 10.0)) <= {0, 4, 7}


def test_active_dimensions_come_in_order():
    means = np.random.default_rng(0).standard_normal((100, 3)) * [0.5, 0.01, 1.0]
    assert active_dimensions(means) == [2, 0]
