"""What the documents tell a reader to type works: their fenced commands and Python are run, or say why not.

Above a block may stand a comment, which no page shows, with a line for each command that is not run as it is:

    <!-- In tests:
    `dafxvae train`: not run, minutes; tests/test_runs.py trains smaller
    `dafxvae evaluate styles`: with --pairs 2
    -->

A line is of all commands that begin so. The words after "with" are added, and take the place of what was given.
"""

import json
import os
import re
import shlex
import webbrowser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from effects_vst3 import zam
from test_docs_links import PAGES
from test_main_cli import parse_words
from transfer_toys import RATE, music

from dafxvae.__main__ import dispatch_program

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"(?:^<!-- In tests:\n(.*?)^-->\n)?^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"^(?:dafxvae |(?:\S*/)?python -m dafxvae\.)(\w+) ?(.*)$")
PLUGINS = "/usr/lib/vst3"
SOUNDS = ("take", "reference", "ref1", "ref2", "in", "stem1", "stem2")
CORPORA = {"asterisk-core-sounds-it-g722": "speech", "fretsonfire-songs-sectoid": "music", "some-songs": "masters"}


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: that it names.
        parts: its commands, or all of its Python.
        marks: beginning of a command to what the tests do with it.
    """

    language: str
    parts: list[str]
    marks: dict[str, str]

    def mark(self, part: str) -> str:
        """What is said of a command."""
        return next((text for start, text in self.marks.items() if part.startswith(start)), "")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for comment, language, text in FENCE.findall(page.read_text()):
        lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
        marks = dict(re.findall(r"^`(.*)`: (not run, .+|with -.+)$", comment, re.MULTILINE))
        assert len(marks) == len(comment.splitlines()), f"{page}: {comment!r} is not understood"
        found.append(Block(language, [text] if language == "python" else [line for line in lines if line], marks))
    return found


DOCUMENTS = [page for page in PAGES if page.suffix == ".md"]
WITH_CODE = [page for page in DOCUMENTS if any(block.language in ("sh", "python") for block in blocks(page))]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_command_is_known_as_one_and_every_mark_is_of_one(page):
    command = re.compile(r"(dafxvae|python\S*|pip|make|sbatch) ")
    assert not re.search(rf"^ {{4,}}{command.pattern}", FENCE.sub("", page.read_text()), re.MULTILINE)
    for block in blocks(page):
        if block.language != "sh":
            assert not any(command.match(part) for part in block.parts), block
        assert all(any(part.startswith(start) for part in block.parts) for start in block.marks), block.marks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ml_collections loads a configuration by load_module
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_commands_that_are_not_run_can_be_parsed(page):
    for block in blocks(page):
        left_out = [part for part in block.parts if block.mark(part).startswith("not run")]
        for command in (command for part in left_out for command in part.split(" && ")):
            if PROGRAM.match(command):
                parse_words(*words_of(command))


def words_of(command: str) -> tuple[str, list[str]]:
    """The program's name and its words, without the comment behind them."""
    program, words = PROGRAM.findall(command)[0]
    return program, shlex.split(os.path.expandvars(words), comments=True)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the recordings that the documents name, and data and cache folders of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAFXVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DAFXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    for i, sound in enumerate(SOUNDS):
        soundfile.write(f"{sound}.wav", music(2.0, seed=i, level=0.1 if "ref" in sound else 0.3), RATE, "PCM_16")


def lay_held_out(folder: Path) -> None:
    """The corpora that are evaluated on, as `data fetch all` leaves them, but of noise and plucks."""
    for corpus, kind in CORPORA.items():
        (folder / corpus).mkdir(parents=True)
        (folder / corpus / "corpus.json").write_text(json.dumps({"kind": kind}))
        for i in range(2):
            soundfile.write(folder / corpus / f"{i}.wav", music(23.0, seed=i), RATE, "PCM_16")


def given_names(page: str) -> dict[str, Any]:
    """What the Python of a page takes as given."""
    rng = np.random.default_rng(0)
    audio, reference = (music(2.0, seed=i, level=level) for i, level in enumerate((0.3, 0.1)))
    return {
        "rng": rng,
        "audio": np.stack([audio, audio]) if page == "docs/effects.md" else audio,
        "reference": reference,
        "sample_rate": RATE,
        "stft_sizes": (128, 512),
        "magnitude": rng.random((1, 128, 65), np.float32),
        "loss_fn": lambda output, target: ((output - target) ** 2).mean((1, 2)),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.vst3
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_what_a_page_says_can_be_done(page, workplace):
    names = given_names(name(page))
    if "data fetch all" in page.read_text():
        lay_held_out(Path("data/held_out"))
    for block in blocks(page):
        for part in block.parts if block.language in ("sh", "python") else []:
            mark = block.mark(part)
            if mark.startswith("not run"):
                continue
            if PLUGINS in part:
                part = part.replace(PLUGINS, str(Path(zam("ZamComp")).parent))
            if block.language == "python":
                exec(compile(part, str(page), "exec"), names)
            else:
                program, words = words_of(part)
                dispatch_program([program, *words, *shlex.split(mark.removeprefix("with "))])
    if "host" in names:
        names["host"].close()
