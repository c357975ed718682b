"""`dafxvae`: one command for all, quick where nothing is computed, with examples that can be typed as they stand."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import dafxvae
from dafxvae import train
from dafxvae.__main__ import PROGRAMS, dispatch_program, module_of
from dafxvae.audio.io import write_audio
from dafxvae.config import base_config
from dafxvae.controllers.commands import list_controllers
from dafxvae.core.differences import flatten
from dafxvae.core.errors import UserError
from dafxvae.runs.options import read_options

ROOT = Path(__file__).resolve().parent.parent
MODULES = {name: importlib.import_module(module_of(name)) for name in PROGRAMS}
EXAMPLES = [
    pytest.param(name, shlex.split(words), id=f"{name} {words[:40]}")
    for name, module in MODULES.items()
    for words in re.findall(rf"^dafxvae {name} (.*?)(?:   .*)?$", module.__doc__ or "", re.MULTILINE)
]


def test_every_command_line_is_on_the_list():
    found = {path.parent.name for path in (ROOT / "dafxvae").glob("*/__main__.py")} | {"demo", "train"}
    assert found == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_help_has_two_examples(name, capsys):
    with suppress(SystemExit):
        dispatch_program([name, "--help"])
    assert len(re.findall(rf"dafxvae {name} .*\w", capsys.readouterr().out)) >= 2


def parse_words(name, words):
    """Raises SystemExit or UserError for words that a command does not take."""
    if name == "train" or (name, words[:1]) == ("data", ["render"]):
        read_options([word for i, word in enumerate(words) if "--config" in word or words[i - 1] == "--config"], str)
        return
    commands = {command.name: command for command in MODULES[name].COMMANDS}
    command = commands.get(" ".join(words[:1])) or commands[""]
    parser = argparse.ArgumentParser()
    assert command.add_arguments is not None
    command.add_arguments(parser)
    parser.parse_args(words[1:] if command.name else words)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ml_collections loads a configuration by load_module
@pytest.mark.parametrize(("name", "words"), EXAMPLES)
def test_an_example_of_a_help_can_be_typed(name, words):
    parse_words(name, words)


def test_the_help_of_training_names_keys_that_there_are(capsys):
    train.main(["--help"])
    shown = capsys.readouterr().out
    assert set(train.KEYS) <= set(flatten(base_config().to_dict()))
    assert len(train.KEYS) >= 20
    assert "--config.h.num_steps=200" in shown


def test_a_wrong_command_names_the_nearest():
    with pytest.raises(UserError, match="did you mean train"):
        dispatch_program(["trian"])


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["train", "--config", "reverb", "--config.h.num_setps=3"],
        ["train", "--config", "revrb"],
        ["transfer", "--help"],
        ["transfer", "missing.wav", "missing.wav", "--controller", "revrb", "-o", "out.wav"],
        ["transfer", "in.wav", "in.wav", "--controller", "revrb", "-o", "out.wav"],
        ["controllers", "show", "revrb"],
        ["controllers", "list"],
        ["effects", "show", "Reverp"],
    ],
)
def test_what_needs_no_jax_does_not_wait_for_it(words, tmp_path):
    write_audio(tmp_path / "in.wav", np.random.default_rng(0).normal(0, 0.1, (44100, 1)).astype("float32"), 44100)
    code = "import sys; import dafxvae.__main__ as m\ntry: m.main()\nfinally: assert 'jax' not in sys.modules, 'jax'"
    path = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, check=False)
    assert "AssertionError" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)


def test_controllers_say_what_they_are_for():
    rows = list_controllers()
    assert all(len(f"│ {' │ '.join(row)} │") <= 80 for row in rows if row[3] == "package")
    assert ("reverb", "a reverb", "60%", "package") in rows


def test_the_package_says_what_it_offers():
    assert {"load_controller", "open_effect", "Transfer", "UserError", "EffectError"} <= set(dafxvae.__all__)
    assert set(dafxvae.__all__) <= set(dir(dafxvae))
    assert all(getattr(dafxvae, name) is not None for name in dafxvae.__all__)
    assert (ROOT / "dafxvae" / "py.typed").exists()


def test_a_reader_that_goes_early_is_no_error():
    code = "import sys; from dafxvae.core.command_line import run_cli; run_cli(lambda: sys.stdout.write('a list'))"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_a_wrong_name_does_not_wait_for_scipy():
    """Half of the time that a transfer takes to refuse one would be its."""
    code = "import sys; import dafxvae.transfer.commands; assert 'scipy.signal' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
