"""Every option of every command line, made wrong in the ways that its parser shows: code 2, nothing written."""

import argparse
import importlib

import pytest
import soundfile
from transfer_toys import RATE, music

from dafxvae.core.command_line import run_cli

COMMANDS = {  # words that would do, but for the options that are made wrong
    "transfer": {"": "in.wav ref.wav -o out.wav --controller eq"},
    "effects": {
        "show": "show Gain",
        "render": "render in.wav out.wav Gain",
        "response": "response Gain",
        "check": "check Gain",
    },
    "data": {"fetch": "fetch nothing", "stats": "stats songs"},
    "controllers": {"show": "show eq", "import": "import songs --name x"},
    "gradients": {"calibrate": "calibrate Gain --folder songs", "report": "report Gain --folder songs"},
    "evaluate": {
        "": "--controllers eq --pairs 2 --corpus songs --clip-sec .5 --search-pairs 0 --baseline-pairs 0 -o results",
        "styles": "styles --controller eq --corpus songs --clip-sec .5 -o results",
        "table": "table songs",
    },
    "latent": {"report": "report songs", "prune": "prune songs", "sweep": "sweep songs"},
}
NUMBERS = ("many", "nan", "-7", "9" * 20)
WORDS = ("", "x" * 300, "/dev/null/below", "Rewerb(")
ENDLESS = {"refine", "seed", "workers", "search_pairs", "baseline_pairs", "pesq_pairs", "seeds", "sizes", "pairs"}
CREATED = {"output"}  # a new name is as good as any


def declared(program, name):
    """The parser of one command."""
    module = importlib.import_module(f"dafxvae.{program}.__main__")
    parser = argparse.ArgumentParser()
    if program == "transfer":
        module.add_arguments(parser)
    else:
        next(command for command in module.COMMANDS if command.name == name).add_arguments(parser)
    return parser


def wrong_lines():
    """Command lines with one word that cannot be."""
    for program, lines in COMMANDS.items():
        for name, line in lines.items():
            place = 1 if name else 0  # of the next positional word
            for action in declared(program, name)._actions:
                if isinstance(action, argparse._HelpAction) or action.nargs == 0:
                    continue
                values = ("other",) if action.choices else NUMBERS if action.type in (int, float) else WORDS
                if action.dest in ENDLESS:
                    values = values[:3]
                if action.dest in CREATED:
                    values = values[:3]
                for value in values:
                    words = line.split()
                    given = next((flag for flag in action.option_strings if flag in words), None)
                    if given is not None:
                        words[words.index(given) + 1] = value
                    elif action.option_strings:
                        words += [f"{action.option_strings[-1]}={value}"]
                    else:
                        words[place] = value
                    yield program, tuple(words)
                place += not action.option_strings


LINES = sorted(set(wrong_lines()))


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    (folder / "songs").mkdir()
    for name in ("in.wav", "ref.wav", "songs/one.wav"):
        soundfile.write(folder / name, music(1.0), RATE)
    return folder


def test_there_are_many_of_them():
    assert len(LINES) >= 200


@pytest.mark.parametrize(
    ("program", "words"), LINES, ids=lambda part: part if isinstance(part, str) else " ".join(part)[:60]
)
def test_a_word_that_cannot_be_ends_with_code_2(songs, monkeypatch, capsys, program, words):
    monkeypatch.chdir(songs)
    monkeypatch.setenv("DAFXVAE_CACHE", str(songs / "cache"))
    monkeypatch.setenv("DAFXVAE_DATA", str(songs / "data"))
    before = sorted(path for path in songs.rglob("*") if "cache" not in path.parts)
    main = importlib.import_module(f"dafxvae.{program}.__main__").main
    with pytest.raises(SystemExit) as left:
        run_cli(lambda: main(list(words)))
    assert left.value.code == 2
    assert "error" in capsys.readouterr().err
    assert sorted(path for path in songs.rglob("*") if "cache" not in path.parts) == before
