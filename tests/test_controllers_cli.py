"""`dafxvae controllers`."""

import pytest
from transfer_toys import save_toy

from dafxvae.controllers.__main__ import main
from dafxvae.controllers.controller import read_controller, save_controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.controllers.names import stored_controllers
from dafxvae.core.command_line import run_cli
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.weights import load_weights, save_weights


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_toy(folder, "Reverb", "controller")
    return folder


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "controllers"


def printed(capsys, *words):
    main([str(word) for word in words])
    return capsys.readouterr().out


def refused(capsys, *words):
    with pytest.raises(SystemExit) as left:
        run_cli(lambda: main([str(word) for word in words]))
    assert left.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_run_is_imported_listed_and_shown(run_folder, data_folder, capsys):
    printed(capsys, "import", run_folder, "--name", "hall")
    assert sorted(path.name for path in data_folder.iterdir()) == ["hall.encoders.safetensors", "hall.safetensors"]
    assert "hall" in stored_controllers()
    assert "hall.encoders" not in stored_controllers()
    assert read_controller(data_folder / "hall.safetensors").effect == "Reverb"
    listed = printed(capsys, "list")
    assert "hall" in listed
    assert "yours" in listed
    shown = printed(capsys, "show", "hall")
    assert "room_size" in shown
    assert "0.0 … 1.0" in shown
    assert "embedded corpus" in shown


def test_the_package_s_f_and_g_are_not_stored_again(run_folder, data_folder, tmp_path, capsys):
    controller = read_controller(run_folder / "controller.safetensors")
    path = tmp_path / "c.safetensors"
    shipped = load_encoders(stored_encoders_path(SHIPPED))
    save_controller(path, controller.params, controller.parameters, shipped, controller.config)
    printed(capsys, "import", path, "--name", "small")
    assert [file.name for file in data_folder.iterdir()] == ["small.safetensors"]


def test_measured_results_are_shown(run_folder, tmp_path, capsys):
    variables, metadata = load_weights(run_folder / "controller.safetensors")
    own = {key: value for key, value in metadata.items() if key not in ("format", "fingerprint")}
    ratio = {"mean": 0.4321, "low": 0.41, "high": 0.45}
    results = {"mrstft": {"controller": {"improved": 0.9, "ratio": ratio}}, "scores": {"controller": [1.0]}}
    save_weights(tmp_path / "m.safetensors", variables, own | {"results": results})
    shown = printed(capsys, "show", tmp_path / "m.safetensors")
    assert "mrstft.controller.improved" in shown
    assert "0.4321 (0.41 … 0.45)" in shown
    assert "scores" not in shown


def test_names_are_checked(run_folder, capsys):
    assert "letters, digits" in refused(capsys, "import", run_folder, "--name", "../x")
    printed(capsys, "save", run_folder, "--name", "hall")
    assert "--force" in refused(capsys, "import", run_folder, "--name", "hall")
    printed(capsys, "import", run_folder, "--name", "hall", "--force")
    assert "did you mean hall" in refused(capsys, "show", "hal")
    assert "finished run" in refused(capsys, "import", run_folder.parent, "--name", "x")
    assert "not a controller" in refused(capsys, "show", run_folder / "encoders.safetensors")
