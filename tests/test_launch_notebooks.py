"""The Colab notebooks: as their source says, without outputs, and they run from the first cell to the last."""

import difflib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys

import jupytext
import nbclient
import nbformat
import pytest
from launch_toys import LAUNCH, ROOT, SMALL

spec = importlib.util.spec_from_file_location("launch_notebooks", LAUNCH / "notebooks.py")
notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(notebooks)


def stored(accelerator):
    return nbformat.read(LAUNCH / f"colab_{accelerator}.ipynb", as_version=4)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


@pytest.mark.parametrize("accelerator", notebooks.ACCELERATORS)
def test_in_step_with_the_source(accelerator):
    path = LAUNCH / f"colab_{accelerator}.ipynb"
    made, found = notebooks.text(accelerator), path.read_text()
    difference = "\n".join(difflib.unified_diff(made.splitlines(), found.splitlines(), "colab.py", path.name, n=0))
    assert made == found, f"run `make notebooks`:\n{difference}"


@pytest.mark.parametrize("accelerator", notebooks.ACCELERATORS)
def test_valid_and_without_outputs(accelerator):
    notebook = stored(accelerator)
    nbformat.validate(notebook)
    assert notebook.metadata.accelerator == accelerator.upper()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_every_cell_of_the_source_is_in_one_of_them():
    both = [sources(stored(accelerator)) for accelerator in notebooks.ACCELERATORS]
    source = sources(jupytext.read(LAUNCH / "colab.py"))
    assert [text for text in source if any(text in part for part in both)] == source
    only = [set(both[0]) - set(both[1]), set(both[1]) - set(both[0])]
    for cells, accelerator, package in zip(only, ("GPU", "TPU"), ("cuda12", "tpu"), strict=True):
        assert len(cells) == 2
        assert any(f"Choose a {accelerator}" in text for text in cells)
        assert f'JAX = "jax[{package}]"' in cells


def install(monkeypatch, folder, source, *, installed):
    """The commands that the installation cell calls in a folder."""
    (cell,) = [text for text in sources(stored("gpu")) if '"pip"' in text]
    calls = []
    monkeypatch.chdir(folder)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name] * installed)
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    exec(cell, {"SOURCE": source, "JAX": "jax[cuda12]"})
    return calls


def test_installs_the_checkout_around_it_or_what_the_user_says(monkeypatch, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    assert install(monkeypatch, LAUNCH, "", installed=False) == [[*pip, str(ROOT), "jax[cuda12]"]]
    assert install(monkeypatch, tmp_path, "my.whl", installed=False) == [[*pip, "my.whl", "jax[cuda12]"]]
    assert install(monkeypatch, tmp_path, "", installed=True) == []
    with pytest.raises(SystemExit, match="SOURCE"):
        install(monkeypatch, tmp_path, "", installed=False)


def execute(notebook, folder, monkeypatch):
    """Runs every cell in a kernel whose home is `folder`."""
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec | {"display_name": "this interpreter"}))
    own = {"JUPYTER_PATH": folder / "jupyter", "IPYTHONDIR": folder / "ipython", "PYTHONPATH": ROOT}
    for name, value in (own | {"DAFXVAE_CACHE": folder / "cache", "DAFXVAE_DATA": folder / "data"}).items():
        monkeypatch.setenv(name, str(value))
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()


def shown(notebook):
    """The kinds of what the cells displayed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return [kind for output in outputs for kind in output.data]


def check(notebook, folder):
    """Pictures, sounds, a controller and its output have been made."""
    assert shown(notebook).count("image/png") == 1
    assert shown(notebook).count("image/jpeg") == 1
    assert sum("<audio" in str(cell.get("outputs")) for cell in notebook.cells) == 1
    assert (folder / "runs" / "colab" / "controller.safetensors").exists()
    assert (folder / "output.wav").stat().st_size > 100_000


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:.*TCP without encryption")
def test_runs_from_the_first_cell_to_the_last(tmp_path, monkeypatch):
    notebook = stored("tpu")
    (place,) = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    changes = nbformat.v4.new_code_cell(f"OVERRIDES = {SMALL | {'num_devices': 1}}")
    notebook.cells.insert(place + 1, changes)
    execute(notebook, tmp_path, monkeypatch)
    check(notebook, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:.*TCP without encryption")
@pytest.mark.parametrize("accelerator", notebooks.ACCELERATORS)
def test_the_smoke_preset_runs(accelerator, tmp_path, monkeypatch):
    monkeypatch.setenv("DAFXVAE_PRESET", "smoke")
    notebook = stored(accelerator)
    execute(notebook, tmp_path, monkeypatch)
    check(notebook, tmp_path)
    assert (tmp_path / "data" / "pretrained" / "smoke.safetensors").exists()
