"""The cache folder of a prepared corpus: FLAC files, and an index to which whole lines are appended.

A line is written after its file has its final name, so whatever the moment of a kill, what the index names is there and
whole. A lock keeps two processes from preparing one corpus twice; the system releases it when its holder dies.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dafxvae.core.errors import UserError

INDEX = "index.jsonl"


class CorpusIndex:
    """One prepared corpus on disk."""

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the cache folder {folder}: {error.strerror}; set DAFXVAE_CACHE") from error

    def entries(self) -> list[dict[str, Any]]:
        """The lines of the index, oldest first; a line cut short by a kill is left out."""
        try:
            lines = (self.folder / INDEX).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    entries.append(entry)
        return entries

    def append(self, entry: dict[str, Any]) -> None:
        """Adds a line; starts on a fresh line where a kill left half of one."""
        path = self.folder / INDEX
        try:
            with path.open("ab+") as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
                file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process prepares this corpus."""
        try:
            import fcntl
        except ImportError:  # Windows: two processes may do the same work; files still change name whole
            yield
            return
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
