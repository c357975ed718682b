"""The latent tools from the command line, on a small f, g and h that were never trained."""

import json
import sys

import jax
import numpy as np
import pytest
from encoder_toys import random_encoders
from tiny import tiny_config

from dafxvae.controllers.controller import read_controller, save_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.controllers.experience import measure_experience, store_experience
from dafxvae.core.command_line import run_cli
from dafxvae.core.weights import save_weights
from dafxvae.descriptors import combs
from dafxvae.latent import __main__ as cli
from dafxvae.latent import measures, probes, report, traversals
from dafxvae.models import networks
from dafxvae.runs import build
from dafxvae.runs.workdir import claim_workdir

CONFIG = tiny_config(f__latent_dim=3, g__latent_dim=4, h__descriptors=("combs",))


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    """Folders of this module's own, and less of everything."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("dafxvae")
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        patch.setattr(probes, "NUM_TREES", 4)
        for module, name in ((measures, "NUM_CLIPS"), (measures, "RENDERED_CLIPS"), (report, "NUM_TRAVERSED")):
            patch.setattr(module, name, 2)
        patch.setattr(traversals, "VALUES", (-1.0, 1.0))
        yield root


@pytest.fixture(scope="module")
def workdir(folders):
    """A run's folder."""
    path = folders / "run"
    path.mkdir()
    with build.build_pretraining_bank(CONFIG) as bank:
        variables, metadata = random_encoders(CONFIG, bank)
        names = bank.hosts[bank.names.index("Reverb")].parameters.names
    key = jax.random.key(0)
    save_weights(path / "encoders.safetensors", variables, metadata)
    heard = np.zeros((1, 4 + 2 * combs.NUM_BANDS))
    h = jax.device_get(jax.jit(networks.build_h(CONFIG, len(names)).init)(key, heard))["params"]
    h["MLP_0"]["Dense_1"]["kernel"] = np.random.default_rng(0).standard_normal((16, len(names))).astype(np.float32)
    encoders = load_encoders(path / "encoders.safetensors")
    save_controller(path / "controller.safetensors", h, names, encoders, CONFIG)
    store_experience(path / "controller.safetensors", measure_experience(np.zeros((3, len(names))), np.eye(3, 4)))
    claim_workdir(CONFIG, path)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["latent", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        code = 0
        try:
            run_cli(cli.main)
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_report_with_retraining_writes_everything(run, workdir, folders):
    out = folders / "report"
    code, text, _ = run("report", workdir, "-o", out, "--pairs", 64, "--retrain", "--seeds", 1, "--sizes", 2)
    assert code == 0
    assert "report.html" in text
    data = json.loads((out / "report.json").read_text())
    assert data["g"]["latent_dim"] == 4
    assert len(data["g"]["kl_nats"]) == 4
    assert {"reconstruction", "settings", "presence", "sound of Reverb"} == set(data["g"]["output_variance"])
    assert {"reconstruction", "latent of g"} == set(data["f"]["output_variance"])
    assert {row["features"] for row in data["probes"]["rows"]} == {
        "f", "g", "PCA-128", "random mel", "loudness", "mel statistics",
    }  # fmt: skip
    assert data["probes"]["parameters"][0] == "Gain.gain_db"
    assert "Reverb" in data["disentanglement"]["g"]["effects"]
    assert [row["latent_dim"] for row in data["sweep"]["rows"]] == [2, 4]
    assert data["sweep"]["rows"][1]["against_full"]["settings"]["verdict"] == "unchanged"
    page = (out / "report.html").read_text()
    assert "http" not in page
    assert page.count("<audio") >= 20
    pictures = {path.stem for path in out.glob("*.png")}
    assert {"dimensions_f", "dimensions_g", "sizes_g", "probes_effect", "projection_g", "interpolation_g"} <= pictures
    assert len([name for name in pictures if name.startswith("traversal_")]) == 4


def test_prune_writes_a_model_that_loads_and_predicts(run, workdir):
    code, text, problem = run("prune", workdir, "--pairs", 64)
    assert code == 0, problem
    assert "root mean square change" in text
    found = json.loads((workdir / "pruned" / "prune.json").read_text())
    controller = read_controller(
        workdir / "pruned" / "controller.safetensors", workdir / "pruned" / "encoders.safetensors"
    )
    assert controller.encoders.g.latent_dim == found["g"]["after"]
    clips = np.full((2, 8192, 1), 0.1, np.float32)
    assert controller.predict(clips, clips).shape == (2, 5)
    assert controller.experience is not None
    kept_mean = np.eye(3, 4).mean(axis=0)[found["g"]["kept"]]
    np.testing.assert_allclose(controller.experience.latent_mean, kept_mean, rtol=1e-6)  # stored as float32
    assert max(found["rms_change"].values()) < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "no/such/folder"], "no encoders.safetensors there"),
        (["prune", "WORKDIR", "-o", "WORKDIR", "--pairs", "64"], "another folder"),
        (["report", "WORKDIR", "--pairs", "3"], "at least 64"),
        (["report", "WORKDIR", "--corpus", "no/such/folder"], "no/such/folder"),
        (["sweep", "WORKDIR", "--pairs", "64", "--seeds", "0"], "at least 1"),
        (["report", "WORKDIR", "--seed", "-1"], "not negative"),
        (["report", "WORKDIR/controller.safetensors"], "not encoders"),
    ],
)
def test_bad_input_exits_with_2_and_names_the_value(run, workdir, arguments, message):
    code, _, error = run(*(argument.replace("WORKDIR", str(workdir)) for argument in arguments))
    assert code == 2
    assert message in error.replace("\n", " ")
