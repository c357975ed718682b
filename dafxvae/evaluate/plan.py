"""The plan of an evaluation, and the folder that it belongs to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dafxvae.core.differences import check_same
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, stored_file, write_json
from dafxvae.core.rng import check_seed
from dafxvae.core.version import __version__

# Raise it when the same plan would give other numbers: 2 predicts by all pairs of windows, 3 matches loudness as well.
FORMAT = 3
PARTS = "parts"  # folder of what is computed already
MODES = ("other_file", "other_section", "same_clip")
MOST_PAIRS, LONGEST_SEC = 1_000_000, 600.0
INPUTS = ("dry", "styled")


@dataclass(frozen=True)
class Plan:
    """The numbers that every cell of an evaluation shares."""

    num_pairs: int
    seed: int = 0
    clip_sec: float = 5.46  # rounded to whole samples, and 5.46 s at 24 kHz to the field's 131072
    search_pairs: int = 40  # the first of the pairs: CMA-ES and refinement
    baseline_pairs: int = 1500  # training pairs of the learned baselines; 0: none of them
    pesq_pairs: int = 40  # the first of the pairs, on speech

    def __post_init__(self) -> None:
        if not 2 <= self.num_pairs <= MOST_PAIRS:
            raise UserError(f"--pairs {self.num_pairs}: give at least 2, or there is no interval, to {MOST_PAIRS}")
        if not 0.5 <= self.clip_sec <= LONGEST_SEC:
            raise UserError(
                f"--clip-sec {self.clip_sec}: give at least 0.5, or loudness cannot be measured, to {LONGEST_SEC:g}"
            )
        check_seed(self.seed)
        for name in ("search_pairs", "baseline_pairs", "pesq_pairs"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: give a number that is not negative")
        if 0 < self.baseline_pairs < 16:
            raise UserError(f"--baseline-pairs {self.baseline_pairs}: give at least 16, or 0 to leave them out")

    def clip_samples(self, sample_rate: int) -> int:
        """T of a clip: a multiple of 1024, as the field's 131072 samples at 24 kHz are."""
        return max(1, round(self.clip_sec * sample_rate / 1024)) * 1024

    @property
    def identity(self) -> dict[str, Any]:
        """What every result of one folder must share."""
        return {"format": FORMAT, "version": __version__, **self.__dict__}


class Cell(NamedTuple):
    """One table: a controller on one corpus in one mode."""

    controller: str
    corpus: str
    mode: str  # of dafxvae.data.pairs.clips.MODES, without "mixed"
    input: str  # "dry", or "styled": the input went through other settings before

    @property
    def folder(self) -> str:
        """Its name below the output folder."""
        return "/".join((file_name(self.controller), file_name(self.corpus), f"{self.mode}-{self.input}"))

    def __str__(self) -> str:
        return f"{self.controller}, {self.corpus}, {self.mode}, {self.input}"


def num_workers(option: int) -> int | None:
    """Renders at once that `--workers` asks for; None for one a core.

    Raises:
        UserError: it is negative.
    """
    if option < 0:
        raise UserError(f"--workers {option}: give a number that is not negative")
    return option or None


def file_name(name: str) -> str:
    """A name as one part of a path."""
    return name.strip("/").replace("/", "_")


def chosen(values: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """A comma-separated list of an option.

    Raises:
        UserError: an unknown or missing value.
    """
    asked = tuple(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
    unknown = [value for value in asked if value not in known]
    if unknown or not asked:
        raise UserError(f"{option} {values!r}: choose from {', '.join(known)}")
    return asked


def claim_folder(folder: Path, plan: Plan, controllers: dict[str, str], corpora: dict[str, str]) -> None:
    """Writes `evaluation.json`, or checks that the evaluation there is the same one, as soon as it has results; more
    controllers and corpora may join it.

    Args:
        folder: of the results; made here.
        plan: its numbers.
        controllers: name to fingerprint.
        corpora: name to digest.

    Raises:
        UserError: it holds another evaluation (names the differences), or cannot be written.
    """
    path = folder / "evaluation.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder} ({error.strerror}): give another with -o") from error
    ours = {"settings": plan.identity, "controllers": controllers, "corpora": corpora}
    has_results = (folder / "results.json").exists() or any((folder / PARTS).rglob("*.json"))
    if path.exists() and has_results:
        with stored_file(path, "delete the folder, or give another with -o"):
            stored = read_json(path)
            theirs = {key: dict(stored[key]) for key in ours}
        joint = {key: theirs[key] | ours[key] for key in ours}
        before = {key: joint[key] | theirs[key] for key in ours}
        fix = "give the old values to go on with it, or another folder with -o"
        check_same(joint, before, f"{folder} holds another evaluation", fix)
        ours = joint
    write_json(path, {key: dict(sorted(value.items())) for key, value in ours.items()})
