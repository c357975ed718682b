"""Write a file whole or not at all, so that no kill, full disk or power cut leaves half of one under its name."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dafxvae.core.errors import UserError
from dafxvae.core.paths import user_path


def sync(path: Path, *, recursive: bool = True) -> None:
    """Has the disk hold a file, or a folder with all that is in it, before it goes on: a power cut then takes nothing.

    Raises:
        OSError: the disk refuses.
    """
    for each in (path, *(path.rglob("*") if recursive else ())):
        if os.name == "posix" and (each.is_file() or each.is_dir()):
            handle = os.open(each, os.O_RDONLY)
            try:
                os.fsync(handle)
            except OSError as error:
                if error.errno != errno.EINVAL:  # of file systems that cannot sync a folder
                    raise
            finally:
                os.close(handle)


def reserve(handle: int, num_bytes: int) -> None:
    """Gives an open file its size and its place on the disk, where the system can.

    Without the place, writing through a memory map on a full disk is a bus error, which ends the process.

    Raises:
        OSError: there is no such place.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, num_bytes)
    else:
        os.ftruncate(handle, num_bytes)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary file next to `path` to write to, which takes that name when the block ends without an error.

    Args:
        path: the final name; missing folders are made.

    Yields:
        The temporary file, empty, with the suffix of `path` (libraries tell formats by it).

    Raises:
        UserError: the disk refuses, here or inside the block; whatever stood at `path` is still there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=f".part{path.suffix}")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are readable by their owner alone
        sync(temporary)
        temporary.replace(path)
        sync(path.parent, recursive=False)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder to fill, which takes the name `path` when the block ends without an error.

    Where another process was faster, its folder stays. Raises UserError where the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
            temporary = Path(scratch) / path.name
            temporary.mkdir()
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
    except OSError as error:
        if not path.exists():
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes whole or not at all; UserError where the disk refuses."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes UTF-8 text whole or not at all; UserError where the disk refuses.

    Names of files that are not UTF-8 are written as JSON and Python escape them.
    """
    write_bytes(path, content.encode(errors="backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Writes JSON whole or not at all; UserError where the disk refuses."""
    write_text(path, json.dumps(content, indent=1))


def read_json(path: Path) -> Any:
    """The content of a JSON file; what goes wrong is for `stored_file` to say."""
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def stored_file(path: Path, fix: str) -> Iterator[None]:
    """Wraps the reading of a file that dafxvae wrote, and the first look at its content.

    Raises:
        UserError: it is missing, damaged or something else; with the fix.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error!r}): {fix}") from error


def copy_file(source: Path, target: Path) -> None:
    """Copies a file whole or not at all; UserError where the disk refuses."""
    with whole_file(target) as temporary:
        shutil.copyfile(source, temporary)


def check_output(output: Path, inputs: Sequence[Path]) -> None:
    """Refuse to overwrite a file that is read, or what is no file.

    Raises:
        UserError: `output` is one of `inputs`, or a folder, or below a file.
    """
    if os.path.isdir(output):
        raise UserError(f"cannot write {output}: it is a folder")
    for parent in output.parents:
        if os.path.exists(parent) and not os.path.isdir(parent):
            raise UserError(f"cannot write {output}: {parent} is a file, not a folder")
    for path in inputs:
        source = user_path(path)
        same = os.path.realpath(output) == os.path.realpath(source)
        if same or (os.path.exists(output) and os.path.exists(source) and output.samefile(source)):
            raise UserError(f"{output} is also read: give -o another name")
