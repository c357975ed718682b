"""Groups of recordings (songs, speakers) from the layout of a folder; known data sets by their file names."""

import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dafxvae.core.files import read_json, stored_file

FIX = """write it as {"name": "Voices", "groups": {"a/1.wav": "Anna"}}, all of it optional, or remove it"""
MANIFEST = "corpus.json"  # next to the audio of a fetched corpus: its licence, and the group of each file

DIGITS_LAYOUT, DIGIT_NAME = "spoken digits", r"\d_[^_/]+_\d+\.(wav|flac)"


class File(NamedTuple):
    """A file to use."""

    path: Path
    group: str  # song or speaker; "" where the folder does not tell: `folder.with_groups` does by lengths and names
    split: str = ""  # "train", "valid" or "test" where the data set has official splits
    licence: str = ""


class Layout(NamedTuple):
    """A folder's files in their groups."""

    name: str  # the data set's name, "" for any other folder
    files: list[File]
    left_out: list[tuple[Path, str]]  # files of the data set that must not be used, and why


def detect_layout(root: Path, paths: list[Path]) -> Layout:
    """Groups the audio files of a folder by the rules of its data set, which its file names identify.

    Args:
        root: the folder.
        paths: its audio files, sorted.
    """
    manifests = [root / MANIFEST, *root.glob(f"*/{MANIFEST}"), *root.glob(f"*/*/{MANIFEST}")]
    found = [path for path in manifests if path.is_file()]
    if found:
        return _fetched(root, paths, found)
    for name, pattern, rule in _DATA_SETS:
        matches = sum(bool(re.search(pattern, path.relative_to(root).as_posix())) for path in paths)
        if matches >= 0.9 * len(paths):
            files, left_out = rule(root, paths)
            return Layout(name, files, left_out)
    return Layout("", _any_folder(root, paths), [])


def _any_folder(root: Path, paths: list[Path]) -> list[File]:
    """Three or more folders at the first level where paths part are songs or speakers; else there are no groups."""
    parts = [path.relative_to(root).parts for path in paths]
    depth = 0
    while all(len(part) > depth + 1 for part in parts) and len({part[depth] for part in parts}) == 1:
        depth += 1
    tops = Counter(part[depth] if len(part) > depth + 1 else "" for part in parts)
    by_folder = len(tops) >= 3 and "" not in tops
    return [File(path, "/".join(part[: depth + 1]) if by_folder else "") for path, part in zip(paths, parts)]


def _fetched(root: Path, paths: list[Path], manifests: list[Path]) -> Layout:
    """Corpora fetched by `dafxvae data fetch`, one or several below `root`; other files group as usual."""
    files, rest, names = [], list(paths), []
    for manifest in manifests:
        with stored_file(manifest, FIX):
            content = read_json(manifest)
            title, licence = content.get("name", manifest.parent.name), content.get("licence", "")
            groups = content.get("groups", {})
            if not all(isinstance(text, str) for text in (title, licence, *groups.keys(), *groups.values())):
                raise TypeError("names, groups and the licence are texts")
        names.append(title)
        inside = [path for path in rest if path.is_relative_to(manifest.parent)]
        rest = [path for path in rest if not path.is_relative_to(manifest.parent)]
        for path in inside:
            name = path.relative_to(manifest.parent).as_posix()
            files.append(File(path, groups.get(name, name), "", licence))
    files += _any_folder(root, rest) if rest else []
    return Layout("+".join(sorted(names)) if len(names) == 1 else root.name, sorted(files), [])


_Rule = Callable[[Path, list[Path]], tuple[list[File], list[tuple[Path, str]]]]


def _daps(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """DAPS: twenty speakers; only the clean studio recordings are dry."""
    del root
    clean = [path for path in paths if path.stem.endswith("_clean")]
    others = [(path, "DAPS: only the clean recordings are used") for path in paths if not path.stem.endswith("_clean")]
    return [File(path, path.stem.split("_")[0], "", "CC-BY-NC-4.0") for path in clean], others


def _vctk(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """VCTK: two microphones recorded each sentence at once; one of them is used."""
    del root
    names = {path.name for path in paths}
    second = [path for path in paths if "_mic2" in path.name and path.name.replace("_mic2", "_mic1") in names]
    files = [File(path, path.name.split("_")[0], "", "CC-BY-4.0") for path in paths if path not in set(second)]
    return files, [(path, "VCTK: the second microphone of a sentence already used") for path in second]


def _libritts(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """LibriTTS: split by the authors into train, dev and test speakers."""
    files = []
    for path in paths:
        part = next(p for p in (*path.relative_to(root).parts, root.name) if re.match(r"(train|dev|test)-", p))
        split = {"train": "train", "dev": "valid", "test": "test"}[part.split("-")[0]]
        files.append(File(path, path.name.split("_")[0], split, "CC-BY-4.0"))
    return files, []


def _musdb(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """MUSDB18-HQ: songs of four stems and a mixture, in the authors' train and test folders."""
    del root
    return [File(path, path.parent.name, path.parent.parent.name, "educational use only") for path in paths], []


def _jamendo(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """MTG-Jamendo: its splits, and groups by artist, where its tables are in the folder; groups by track otherwise."""
    artists: dict[str, str] = {}
    splits: dict[str, str] = {}
    for table in sorted(root.rglob("*.tsv")):
        split = re.search(r"-(train|validation|test)\.tsv$", table.name)
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                track = Path(row.get("PATH") or "").stem
                artists[track] = row.get("ARTIST_ID") or track
                if split:
                    splits[track] = {"validation": "valid"}.get(split[1], split[1])
    files = []
    for path in paths:
        track = path.stem.removesuffix(".low")
        files.append(File(path, artists.get(track, track), splits.get(track, ""), "Creative Commons, by track"))
    return files, []


def _digits(root: Path, paths: list[Path]) -> tuple[list[File], list[tuple[Path, str]]]:
    """FSDD and AudioMNIST: `digit_speaker_take.wav`; split by speaker."""
    del root
    named = [path for path in paths if re.fullmatch(DIGIT_NAME, path.name)]
    others = [(path, "not named DIGIT_SPEAKER_INDEX") for path in paths if not re.fullmatch(DIGIT_NAME, path.name)]
    return [File(path, path.stem.split("_")[1]) for path in named], others


_DATA_SETS: tuple[tuple[str, str, _Rule], ...] = (  # name, what 90 % of the paths match, rule
    ("DAPS", r"(^|/)[fm]\d+_script\d+_\w+\.wav$", _daps),
    ("VCTK", r"(^|/)[ps]\d+/[ps]\d+_\d+(_mic[12])?\.(flac|wav)$", _vctk),
    ("LibriTTS", r"(^|/)\d+/\d+/\d+_\d+_\d+_\d+\.(wav|flac)$", _libritts),
    ("MUSDB18-HQ", r"(^|/)(train|test)/[^/]+/(mixture|drums|bass|other|vocals)\.(wav|flac)$", _musdb),
    ("MTG-Jamendo", r"(^|/)\d\d/\d+(\.low)?\.mp3$", _jamendo),
    (DIGITS_LAYOUT, rf"(^|/){DIGIT_NAME}$", _digits),
)
