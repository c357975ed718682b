"""Open the embedded corpus; worker processes render the pieces that the cache lacks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dafxvae
from dafxvae.core.arguments import check_number
from dafxvae.core.errors import UserError
from dafxvae.core.progress import progress_bar
from dafxvae.core.threads import map_in_threads
from dafxvae.data.composer.phrases import sketch_piece
from dafxvae.data.composer.pieces import store_piece, version_key
from dafxvae.data.corpora.index import CorpusIndex
from dafxvae.data.corpora.tracks import Corpus, track_of

MAX_MINUTES = 24 * 60.0
PIECES_WORTH_A_PROCESS = 12  # below that, starting workers takes longer than rendering


def plan_pieces(seed: int, minutes: float) -> list[int]:
    """The numbers of the pieces that make up `minutes` of music; more minutes only add to the list."""
    pieces, seconds = [], 0.0
    while seconds < minutes * 60.0:
        pieces.append(len(pieces))
        seconds += sketch_piece(seed, pieces[-1]).length_sec
    return pieces


def open_embedded(
    *, sample_rate: int, num_channels: int, minutes: float, seed: int, cache: Path, progress: bool = True
) -> Corpus:
    """The embedded corpus; what is missing of it is rendered first.

    Args:
        sample_rate: Hz.
        num_channels: 1 or 2.
        minutes: of music, rounded up to whole pieces; in (0, 1440].
        seed: of the composer.
        cache: folder of prepared corpora.
        progress: show a progress bar on stderr.
    """
    check_number(minutes, "minutes of the embedded corpus", 1e-3, MAX_MINUTES, whole=False)
    name = f"embedded-{version_key()}-seed{seed}-{sample_rate}hz-{num_channels}ch"
    store = CorpusIndex(cache / name)
    pieces = plan_pieces(seed, minutes)
    names = [f"piece-{index:05d}" for index in pieces]

    def present() -> dict[str, dict[str, Any]]:
        return {entry["name"]: entry for entry in store.entries() if (store.folder / entry["file"]).is_file()}

    if not set(names) <= set(present()):
        with store.lock():
            have = present()
            missing = [index for index, piece in zip(pieces, names) if piece not in have]
            jobs = [(seed, index, sample_rate, num_channels, str(store.folder)) for index in missing]
            with progress_bar("rendering the embedded corpus", len(jobs), progress) as advance:
                for entry in _render_all(jobs):
                    store.append(entry)
                    advance()
    have = present()
    return Corpus("embedded", sample_rate, num_channels, tuple(track_of(have[piece], store.folder) for piece in names))


def _render_all(jobs: list[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)
    if workers < 2 or len(jobs) < PIECES_WORTH_A_PROCESS:
        yield from (store_piece(*job) for job in jobs)
        return
    with _Workers(workers) as render:
        yield from map_in_threads(render, jobs, workers)


class _Workers:
    """Processes that render (the synthesiser holds the interpreter's lock); they end when their stdin closes.

    Not multiprocessing: its spawn start method runs the caller's main module again, and fork is unsafe under JAX.
    """

    def __init__(self, count: int):
        root = str(Path(dafxvae.__file__).resolve().parent.parent)
        paths = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        self._free = [
            subprocess.Popen(
                [sys.executable, "-m", "dafxvae.data.composer.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(count)
        ]
        self._all = list(self._free)

    def __enter__(self) -> Callable[[tuple[Any, ...]], dict[str, Any]]:
        return self._render

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait()
            process.stdout.close()

    def _render(self, job: tuple[Any, ...]) -> dict[str, Any]:
        process = self._free.pop()  # as many threads as processes: one is always free; list.pop is atomic
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a rendering process ended with code {process.wait()} at piece {job[1]}")
        self._free.append(process)
        reply = json.loads(line)
        if "error" in reply:
            raise UserError(reply["error"])
        return reply
