"""Which recordings belong together: songs and speakers by the layout of the folder."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """A file to use."""

    path: Path
    group: str  # song or speaker
    split: str = ""  # "train", "valid" or "test" where the data set has official splits


class Layout(NamedTuple):
    """A folder's files in their groups."""

    name: str  # the data set's name, "" for any other folder
    files: list[File]
    left_out: list[tuple[Path, str]]  # files of the data set that must not be used, and why
    licence: str = ""


def detect_layout(root: Path, paths: list[Path]) -> Layout:
    """Groups the audio files of a folder.

    Args:
        root: the folder.
        paths: its audio files, sorted.
    """
    return _any_folder(root, paths)


def _any_folder(root: Path, paths: list[Path]) -> Layout:
    """Three or more folders at the first level where paths part are songs or speakers; else each file is its own."""
    parts = [path.relative_to(root).parts for path in paths]
    depth = 0
    while all(len(part) > depth + 1 for part in parts) and len({part[depth] for part in parts}) == 1:
        depth += 1
    tops = Counter(part[depth] if len(part) > depth + 1 else "" for part in parts)
    by_folder = len(tops) >= 3 and "" not in tops
    files = [
        File(path, "/".join(part[: depth + 1]) if by_folder else "/".join(part)) for path, part in zip(paths, parts)
    ]
    return Layout("", files, [])
