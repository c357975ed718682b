"""Bad input of every kind, for every option of every command line and for what is called from Python.

The options are those that the parsers declare: a new one is refused here until it has a kind of bad values.
"""

import argparse
import inspect
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from transfer_toys import RATE, music, save_toy

import dafxvae
from dafxvae.audio.io import audio_info, read_audio
from dafxvae.controllers import __main__ as controllers
from dafxvae.core.command_line import run_cli
from dafxvae.core.errors import UserError
from dafxvae.data import __main__ as data
from dafxvae.effects import __main__ as effects
from dafxvae.evaluate import __main__ as evaluate
from dafxvae.evaluate.commands import find_controllers
from dafxvae.evaluate.held_out import find_corpus
from dafxvae.evaluate.plan import Plan
from dafxvae.gradients import __main__ as gradients
from dafxvae.latent import __main__ as latent
from dafxvae.studio import __main__ as studio
from dafxvae.transfer import __main__ as transfer

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
REVERB = f"--config={CONFIGS / 'reverb.py'} --num_pairs 1"
EVALUATION = "--controllers toy.safetensors --corpus songs --pairs 2 -o out"
PROGRAMS = {
    module.__name__.split(".")[1]: module
    for module in (controllers, data, effects, evaluate, gradients, latent, studio, transfer)
}
pytestmark = pytest.mark.timeout(20, func_only=True)  # what is bad is refused before work begins
LONG = "x" * 300  # longer than any file system takes as a name

# By type of the option, then by what it names.
NUMBERS = {int: ("x", "", "nan", "-1", "1.5", "9" * 20), float: ("x", "", "nan", "inf", "-1", "1e+20")}
ENDLESS = {
    "refine",
    "workers",
    "baseline_pairs",
    "sizes",
    "latent.pairs",
    "beta",
}
MISSING = ("missing", "", LONG, "text.txt/below")
AUDIO = ("missing.wav", "", f"{LONG}.wav", "text.txt", "songs", "empty.wav", "cut.wav", "nan.wav", "six.wav")
FOLDERS = (*MISSING, "in.wav", "nothing")
EFFECTS = (
    *("", "Reverp", "Reverb |", "Reverb(room_size", "Reverb(room_size=x)", "Reverb(big)", "Reverb(room_size=.6...2)"),
    *("missing.vst3", "Reverb::x"),
)
CONTROLLERS = (*MISSING, "revrb", "songs", "missing.safetensors", "text.safetensors", "encoders.safetensors")
SETTINGS = ("", "gain_db", "gain_db=", "=1", "gain_db=x", "gain_db=nan", "gain_db=1e9", "loud=1")
FILES_OUT = ("", "text.txt/out.wav", f"{LONG}.wav", "songs", "out", "out.xyz", "in.wav")
FOLDERS_OUT = ("", "text.txt/out", LONG, "in.wav")
FORMATS = ("", "x", ":", "dawproject:", "dawproject:out.zip", "ir:room.mp3", f"reascript:{LONG}.lua")
NAMES = ("", "a/b", "..", "-", "a.b", "ä")
BAD = {
    "transfer.files": (*AUDIO, "silent.wav"),
    "transfer.output": tuple(path for path in FILES_OUT if path != "out"),  # without a suffix it is named as the take
    "transfer.controller": CONTROLLERS,
    "transfer.effect": (*EFFECTS, "text.vst3"),
    "transfer.lock": SETTINGS,
    "transfer.amount_of": (*("", "Reverb", "Reverb=", "=1", "Gain=x", "Gain=9", "Gain=nan", "loud=1"), "9=1"),
    "transfer.only": ("", "x", ",", "level,x", "spectrum"),
    "transfer.ceiling": ("", "x", "nan", "inf", "1", "-99"),
    "transfer.export": FORMATS,
    "transfer.export.settings": (*MISSING, "songs", "empty.wav", "in.wav", "text.txt", "number.json"),
    "transfer.export.format": FORMATS,
    "transfer.apply": (*MISSING, "songs", "empty.wav", "in.wav", "text.txt", "number.json"),
    "effects.input": AUDIO,
    "effects.output": FILES_OUT,
    "effects.response.output": (*FILES_OUT, "out.wav", "text.txt/out.png"),
    "effects.effect": (*EFFECTS, "text.vst3"),
    "effects.check.effect": EFFECTS,  # a file that is no plugin is what it reports, with exit code 1
    "effects.set": SETTINGS,
    "evaluate.controllers": (*CONTROLLERS, ",", "toy.safetensors,revrb"),
    "evaluate.controller": CONTROLLERS,
    "evaluate.corpus": FOLDERS,
    "evaluate.output": FOLDERS_OUT,
    "evaluate.folders": (*FOLDERS, "broken"),
    "evaluate.modes": ("", "x", ",", "dry"),
    "evaluate.inputs": ("", "x", ",", "other_file"),
    "evaluate.items": FOLDERS,
    "evaluate.candidates": ("", "x", "0", "1,x", "99999"),
    "evaluate.masters": FOLDERS,
    "evaluate.decoder": ("missing", "", "text.safetensors", "toy.safetensors"),
    "transfer.palette": ("", "nonsense", "Reverb | Chorus", "Reverb, Reverb"),
    "studio.pairs": ("", "x", "0", "0-", "100-300", "512-256", "0-512,256-1024", "999999999"),
    "studio.folder": FOLDERS,
    "studio.workdir": FOLDERS_OUT,
    "gradients.effect": (*EFFECTS, "text.vst3"),
    "gradients.folder": FOLDERS,
    "latent.workdir": (*FOLDERS, "songs", "missing.safetensors", "text.safetensors", "toy.safetensors"),
    "latent.output": FOLDERS_OUT,
    "latent.corpus": FOLDERS,
    "data.folder": FOLDERS,
    "data.names": ("", "nonsense", "../train", "/"),
    "controllers.name": CONTROLLERS,
    "controllers.source": CONTROLLERS,
    "controllers.import.name": NAMES,
    "controllers.save.name": NAMES,
}
STORED, MEASURED = {"source": ["toy.safetensors"], "name": ["mine"]}, {"effect": ["Gain"], "folder": ["songs"]}
STUDIED = {"workdir": ["run"], "output": ["out"], "corpus": ["songs"]}
EVALUATED = {"corpus": ["songs"], "pairs": ["2"], "output": ["out"], "clip_sec": ["0.5"]}
NAMELESS = {"files": ["in.wav", "ref.wav"], "output": ["out.wav"]}
GOOD = {  # by command, or by command and option
    "transfer": {"files": ["in.wav", "ref.wav"], "output": ["out.wav"], "controller": ["toy.safetensors"]},
    "transfer/apply": {"files": ["in.wav"], "output": ["out.wav"]},
    "transfer.export": {"settings": ["number.json"], "format": ["dawproject"]},
    "transfer/effect": {"files": ["in.wav", "ref.wav"], "output": ["out.wav"], "refine": ["20"]},
    **{
        f"transfer/{name}": {"files": ["in.wav", "ref.wav"], "output": ["out.wav"]}
        for name in ("palette", "effort", "seed")
    },
    "effects.show": {"effect": ["Reverb"]},
    "effects.check": {"effect": ["Reverb"]},
    "effects.render": {"input": ["in.wav"], "output": ["out.wav"], "effect": ["Gain"]},
    "effects.response": {"effect": ["Gain"]},
    "controllers.show": {"name": ["toy.safetensors"]},
    "controllers.import": STORED,
    "controllers.save": STORED,
    "data.fetch": {"names": ["all"]},
    "data.stats": {"folder": ["songs"]},
    "evaluate": EVALUATED | {"controllers": ["toy.safetensors"], "baseline_pairs": ["0"]},
    "evaluate.table": {"folders": ["results"]},
    "evaluate.styles": EVALUATED | {"controller": ["toy.safetensors"]},
    "evaluate.masters": EVALUATED | {"controllers": ["toy.safetensors"], "masters": ["songs"]},
    "evaluate.counterfx": {"corpus": ["songs"], "output": ["out"]},
    "studio.train": {"folder": ["songs"], "workdir": ["out"]},
    "gradients.calibrate": MEASURED,
    "gradients.report": MEASURED,
    **{f"latent.{name}": STUDIED for name in ("report", "sweep", "prune")},
}


def actions(command):
    parser = argparse.ArgumentParser(add_help=False)
    if command.add_arguments is not None:
        command.add_arguments(parser)
    return parser._actions


def key_of(program, command):
    return f"{program}.{command.name}".rstrip(".")


def words(program, command, name=None, value=None):
    """A command line whose every word is good, but for one option."""
    key = key_of(program, command)
    given = GOOD.get(f"{key}/{name}") or GOOD.get(key, {})
    found = []
    for action in actions(command):
        if action.dest != name:
            values = given.get(action.dest, [])
        elif action.nargs == 0:
            found.append(f"{action.option_strings[-1]}={value}")
            continue
        else:
            values = [*given.get(action.dest, [])[:-1], value]
        if action.option_strings:
            found += [f"{action.option_strings[-1]}={each}" for each in values]
        else:
            found += values
    return [command.name, *found] if command.name else found


def bad_values(program, command, action):
    if action.nargs == 0:
        return ("x",)
    if action.choices:
        return ("", "nonsense")
    if action.type in NUMBERS:
        is_endless = action.dest in ENDLESS or f"{program}.{action.dest}" in ENDLESS
        return NUMBERS[action.type][: -1 if is_endless else None]
    names = (f"{key_of(program, command)}.{action.dest}", f"{program}.{action.dest}")
    return next(BAD[name] for name in names if name in BAD)


CASES = [
    pytest.param(
        program, words(program, command, action.dest, value), value,
        id=f"{key_of(program, command)}.{action.dest}={value[:20]}",
    )
    for program, module in PROGRAMS.items()
    for command in module.COMMANDS
    for action in actions(command)
    for value in bad_values(program, command, action)
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    folder = root / "here"
    for name in ("songs/one", "songs/two", "nothing", "run", "results", "broken"):
        (folder / name).mkdir(parents=True)
    for name, audio in (
        ("in.wav", music(seed=1)), ("ref.wav", music(seed=2)), ("songs/one/a.wav", music(seed=3)),
        ("songs/two/b.wav", music(seed=4)), ("silent.wav", 0 * music()), ("nan.wav", music() * np.float32("nan")),
        ("six.wav", np.repeat(music(), 3, axis=1)),
    ):  # fmt: skip
        soundfile.write(folder / name, audio, RATE, "FLOAT")
    (folder / "empty.wav").touch()
    (folder / "cut.wav").write_bytes((folder / "in.wav").read_bytes()[:30])
    for name in ("text.txt", "text.safetensors", "text.vst3", "broken/results.json"):
        (folder / name).write_text("words")
    (folder / "number.json").write_text("1")
    (folder / "results" / "results.json").write_text('{"cells": []}')
    save_toy(folder, "Gain")
    shutil.copy(folder / "encoders.safetensors", folder / "run")
    shutil.copy(folder / "toy.safetensors", folder / "run" / "controller.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAFXVAE_CACHE", str(root / "cache"))
        patch.setenv("DAFXVAE_DATA", str(root / "data"))
        patch.setenv("COLUMNS", "2000")
        patch.chdir(folder)
        yield SimpleNamespace(root=root, folder=folder)


def state(place):
    """What is there, but for the cache."""
    return {path: path.stat().st_mtime_ns for part in ("here", "data") for path in (place.root / part).rglob("*")}


def refused(place, capsys, program, line):
    """The last line of what a command says that must be refused."""
    before = state(place)
    with pytest.raises(SystemExit) as left:
        run_cli(lambda: PROGRAMS[program].main(line))
    printed = capsys.readouterr()
    message = printed.err.strip().splitlines()[-1]
    assert left.value.code == 2, printed
    assert "error: " in message
    assert "Traceback" not in printed.err
    assert not printed.out
    assert state(place) == before
    return message


@pytest.mark.parametrize(("program", "line", "said"), CASES)
def test_a_bad_value_is_refused(place, capsys, program, line, said):
    message = refused(place, capsys, program, line)
    parts = [part for part in re.split(r"[=(),|]", said) if part] or [said]
    assert any(part in message for part in parts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ml_collections loads a configuration by load_module
@pytest.mark.parametrize(
    ("program", "line", "said"),
    [
        ("transfer", "in.wav ref.wav -o out.wav --refine 20", "the chain and its settings are found"),
        (
            "transfer",
            "in.wav ref.wav -o out.wav --controller toy.safetensors --palette Reverb",
            "--palette is for finding",
        ),
        ("transfer", "in.wav ref.wav -o out.wav --effect Gain", "--refine"),
        ("transfer", "in.wav ref.wav -o in.wav --controller toy.safetensors", "in.wav"),
        ("transfer", "in.wav -o out.wav --controller toy.safetensors", "reference"),
        ("transfer", "in.wav ref.wav -o out.wav --controller toy.safetensors --effect Gain", "--effect"),
        ("transfer", "in.wav ref.wav -o out.mp3 --controller toy.safetensors --bit-depth float", "out.mp3"),
        ("transfer", "in.wav ref.wav -o out.wav --apply number.json --amount 1", "--amount"),
        ("transfer", "", "--output"),
        ("gradients", "calibrate Gain --builtins", "--builtins"),
        ("gradients", "calibrate", "effect"),
        ("gradients", "report Gain --samples 12", "--samples"),
        ("gradients", "report Gain --rate 100 --folder songs", "100"),
        ("effects", "response Gain --sample-rate 8000", "8000"),
        ("effects", "render in.wav in.wav Gain", "in.wav"),
        ("effects", "nonsense", "nonsense"),
        ("gradients", "calibrate --builtins --json", "--json"),
        ("evaluate", "--controllers toy.safetensors --corpus songs --pairs 1 -o out", "--pairs 1"),
        ("evaluate", f"{EVALUATION} --clip-sec 1 --pesq-pairs 2", "no --corpus is of speech"),
        ("evaluate", f"{EVALUATION} --search-pairs 3", "at most the 2 of --pairs"),
        ("evaluate", "--controllers toy.safetensors --corpus songs --pairs 2 -o out --seed 4294967296", "--seed 4294"),
        ("latent", "report run --seed 4294967296", "--seed 4294967296"),
        ("latent", "report run --sizes 2 3", "--sizes belong to the sweep: add --retrain"),
        ("latent", "report run --seeds 2 --beta 1", "--seeds, --beta belong to the sweep"),
        ("latent", "sweep run --seeds 2147483649", "--seeds 2147483649"),
        ("latent", "sweep run --sizes 0", "--sizes [0]"),
        ("latent", "prune run --beta 1", "--beta"),
        ("controllers", "import toy.safetensors", "--name"),
        ("data", "fetch", "NAME"),
        ("data", "render --num_pairs 0", "0"),
        ("data", "render --num_pairs x", "x"),
        ("data", "render --config missing.py --num_pairs 1 --out out", "missing.py"),
        ("data", "render --nonsense 1", "nonsense"),
        ("data", f"render {REVERB} --out out --config.seed=2147483648", "--config.seed is 2147483648"),
        ("data", f"render {REVERB} --out out --config.num_channels=3", "--config.num_channels"),
        ("data", f"render {REVERB} --out out --config.data.with_embedded=True", "--config.data.folder"),
        ("data", f"render {REVERB} --out out --config.bank=('Gain',)", "--stage h"),
        ("data", f"render {REVERB} --out out --stage=g --config.effect=Gain", "--stage g"),
        ("data", f"render --config={CONFIGS}/spoken_digits.py --num_pairs 1 --out out", "digits trains on no pairs"),
    ],
)
def test_what_does_not_go_together_is_refused(place, capsys, program, line, said):
    assert said in refused(place, capsys, program, line.split())


@pytest.fixture(scope="module")
def style(place):
    with dafxvae.load_controller(place.folder / "toy.safetensors") as opened:
        yield opened


GIVEN = {"audio": music(), "reference": music(seed=2), "sample_rate": RATE}
NOT_AUDIO = (
    *(None, "in.wav", 3, [], np.zeros(RATE), np.zeros((0, 2)), np.zeros((1, 1, RATE)), np.zeros((2, RATE))),
    *(music() * np.nan, music() * np.inf, music() * 1e6, music().astype(int), music().astype(complex)),
    *(music(channels=6), music(seconds=0.1), [["a"]], [[1.0], [1.0, 2.0]]),
)
WRONG = {
    "audio": NOT_AUDIO,
    "reference": NOT_AUDIO,
    "sample_rate": (0, -44100, 44100.5, "44100", None, np.nan, np.inf, 1e12, True, [44100]),
    "reference_rate": (0, -44100, "44100", np.nan, np.inf, 1e12, [44100]),
    "amount": ("1", -0.1, 1.6, np.nan, np.inf, [1]),
    "locks": ("gain_db=1", ["gain_db"], {"loud": 1}, {"gain_db": "x"}, {"gain_db": np.nan}, {"gain_db": None}, {1: 1}),
    "match_level": (None, "", "loud", True, 1, ["on"]),
    "refine": (-1, 1.5, "20", None, np.nan),
    "max_tail_sec": (-1, 61, np.nan, np.inf, "1", None),
    "ceiling_db": (1, -31, np.nan, -np.inf, "-1", [1]),
    "amount_of": ("Gain=1", ["Gain"], {"Loud": 1}, {"Gain": "x"}, {"Gain": np.nan}, {2: 1}, {0: 1}, {"Gain": 1, 1: 1}),
    "only": ("level", ["loud"], None, 3, ["spectrum"], [1]),
    "weights": (2, [0], [11], [1.5], [True], ["2"], [1, 1], None),
    "aspects": ("space", [1], ["elsewhere"], ["space", ""], [None], [["space"]], None),
    "max_eq_db": (-1, 61, np.nan, "6", [6], 6),
    "only_if_better": ("x", 1, None),
    "stereo": ("x", 1, None),
    "audibility": ("x", 1, None),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, value, id=f"{name}-{i}") for name, values in WRONG.items() for i, value in enumerate(values)],
)
def test_a_bad_argument_of_transfer_is_refused(style, name, value):
    assert set(inspect.signature(style.transfer).parameters) == {*WRONG, "progress"}  # which is a function
    with pytest.raises(UserError):
        style.transfer(**GIVEN | {name: value})


BAD_EFFECTS = (None, 3, "", "Reverp", [], {}, {"name": "Reverb", "fixed": {"big": 1}}, [None], "Invert")
BAD_FILES = (None, 3, "", "missing.wav", "songs", "empty.wav", LONG, "a\0b")


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (dafxvae.load_controller, (None, 3, "", "revrb", LONG, "a\0b", "missing.safetensors", "songs", ["toy"])),
        (dafxvae.open_effect, BAD_EFFECTS),
        (read_audio, BAD_FILES),
        (audio_info, BAD_FILES),
        (find_controllers, ("", ",", "revrb")),
        (find_corpus, ("", "nothing/there", LONG)),
        (Plan, (1, -1)),
    ],
)
def test_a_bad_argument_of_a_function_is_refused(place, function, values):
    for value in values:
        with pytest.raises(UserError):
            function(value)
