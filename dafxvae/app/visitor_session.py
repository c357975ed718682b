"""What one visitor has: recordings, a transfer, its settings, and the files of it."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dafxvae.app.adjustable_transfer import AdjustableTransfer
from dafxvae.audio.io import AudioReader
from dafxvae.core.errors import EffectError, UserError
from dafxvae.transfer import recordings

MOST = {"reference": 8, "stem": 32}
LONGEST_NAME = 80


class Upload(NamedTuple):
    """A recording that was read to its end and found good."""

    reader: AudioReader
    scan: recordings.Scan

    @property
    def summary(self) -> dict[str, Any]:
        """What the visitor is told."""
        reader = self.reader
        return {
            "name": reader.path.name,
            "seconds": reader.frames / reader.sample_rate,
            "rate": reader.sample_rate,
            "channels": reader.num_channels,
        }


@dataclass
class Job:
    """Work that takes more than a second."""

    stage: str = "waiting"
    share: float = 0.0  # of the stage that is done; 0 where that is not known
    is_done: bool = False
    error: str = ""
    files: Sequence[str] = ()  # names of an export's
    notes: Sequence[str] = ()  # what there is to know of them
    is_stopped: bool = False  # by the visitor

    def go_on(self) -> None:
        """Raises what ends the work where it is stopped."""
        if self.is_stopped:
            raise UserError("stopped: all is as it was before")

    def say(self, stage: str) -> None:
        """What is being done now."""
        self.go_on()
        self.stage, self.share = stage, 0.0

    def advance(self, total: int, samples: int) -> None:
        """So many samples of all have been rendered."""
        self.go_on()
        self.share = min(1.0, self.share + samples / total)


def safe_name(name: str) -> str:
    """A name that is safe in any folder and still says which file it was."""
    kept = re.sub(r"[^\w. ()+-]", "_", Path(name.replace("\\", "/")).name).strip(". ")
    return kept[-LONGEST_NAME:].lstrip(". ") or "recording"


class VisitorSession:
    """One visitor; its methods may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.used = time.monotonic()
        self.take: Upload | None = None
        self.references: list[Upload] = []
        self.stems: list[Upload] = []  # that get the settings of the take
        self.job = Job(is_done=True)
        self.current: AdjustableTransfer | None = None  # of the last transfer
        self._uploads = 0
        self._retired: list[Upload] = []  # replaced, but of the last transfer
        self.lock = threading.RLock()  # of all that reads or plays its files, for as long as a transfer
        self._moment = threading.Lock()  # of what takes none

    def upload_path(self, name: str) -> Path:
        """Where an upload of that name goes; each has a folder of its own."""
        with self._moment:
            self._uploads += 1
            place = self.folder / str(self._uploads)
        place.mkdir()
        return place / safe_name(name)

    def several(self, role: str) -> list[Upload]:
        """The recordings of a role that has several.

        Raises:
            UserError: it is no such role.
        """
        if role not in MOST:
            raise UserError(f"{role!r} is no role: give take, {' or '.join(MOST)}")
        return self.references if role == "reference" else self.stems

    def add(self, path: Path, role: str) -> dict[str, Any]:
        """Takes a file as the take, a reference or a stem.

        Raises:
            UserError: it cannot be used, with the reason; the file is removed.
        """
        try:
            if role != "take":
                with self.lock:
                    others = self.several(role)
                    if len(others) >= MOST[role]:
                        raise UserError(f"{len(others)} {role}s are the most: remove one first")
                    if role == "stem" and path.name in [one.reader.path.name for one in others]:
                        raise UserError(f"there is a stem {path.name} already: rename one")
            reader = AudioReader(path)
            try:
                recordings.check_header(reader)
                upload = Upload(reader, recordings.scan(reader))
            except BaseException:
                reader.close()
                raise
        except BaseException:
            shutil.rmtree(path.parent)
            raise
        with self.lock:
            if role != "take":
                self.several(role).append(upload)
            else:
                if self.take is not None:
                    self._forget(self.take)
                self.take = upload
        return upload.summary

    def remove(self, role: str, index: int) -> None:
        """Forgets a reference or a stem and removes its file."""
        with self.lock:
            others = self.several(role)
            if not 0 <= index < len(others):
                raise UserError(f"there is no {role} {index}: reload the page")
            self._forget(others.pop(index))

    def _forget(self, upload: Upload) -> None:
        """Removes a file, or leaves that to the end of the transfer which can still be exported from it."""
        self._retired.append(upload)
        if self.current is None:
            self.close_transfer()

    def begin(self, executor: Executor, work: Callable[[Job], None]) -> None:
        """Starts a job.

        Raises:
            UserError: one is going on.
        """
        with self._moment:
            if not self.job.is_done:
                raise UserError("the last one is still being worked on: wait for its end")
            self.job = job = Job()

        def run() -> None:
            try:
                with self.lock:
                    job.go_on()  # it may have waited for others
                    work(job)
            except (UserError, EffectError) as error:
                job.error = self.words(error)
            except BaseException:
                job.error = "this failed in a way that was not foreseen: the terminal of the app says how"
                raise
            finally:
                job.is_done = True

        executor.submit(run).add_done_callback(lambda future: future.exception() and future.result())

    @property
    def exports(self) -> Path:
        """Where the files of the last export are."""
        return self.folder / "exports"

    def new_exports(self) -> Path:
        """The folder of exports, empty."""
        shutil.rmtree(self.exports, ignore_errors=True)
        self.exports.mkdir()
        return self.exports

    def locked(self, work: Callable[[], Any]) -> Any:
        """The result of work that reads or plays this visitor's files."""
        with self.lock:
            return work()

    def close_transfer(self) -> None:
        """Ends the last transfer."""
        if self.current is not None:
            self.current.close()
        self.current = None
        for upload in self._retired:
            upload.reader.close()
            shutil.rmtree(upload.reader.path.parent)
        self._retired.clear()

    def close(self) -> None:
        """Stops the work and removes all that the visitor had."""
        self.job.is_stopped = True
        with self.lock:
            self.close_transfer()
            for upload in (self.take, *self.references, *self.stems):
                if upload is not None:
                    upload.reader.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def words(self, error: Exception) -> str:
        """An error as the visitor reads it: files by their names."""
        return re.sub(re.escape(str(self.folder)) + r"/\d+/", "", str(error))
