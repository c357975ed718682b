"""Pairs rendered ahead of training into shards, and the dataset that reads them.

A shard is two files: `shard-00000.npz` with the settings, and `shard-00000.npy` with the audio, float32
`[pairs, 3, T, C]` (dry, target, reference), so that the true settings still give exactly zero loss. The audio gets its
name last: a shard that has it is whole.
"""

import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.differences import check_same, differences
from dafxvae.core.errors import UserError
from dafxvae.core.files import read_json, stored_file, whole_file, write_json
from dafxvae.core.paths import user_path
from dafxvae.core.progress import progress_bar
from dafxvae.core.store import write_arrays
from dafxvae.data.pairs.order import EpochOrder
from dafxvae.data.pairs.shares import WHOLE, ProcessShare
from dafxvae.data.pairs.stream import MAX_STEPS, PairStream, iterate
from dafxvae.types import PairBatch

FORMAT = 3
PREFETCH = 2  # shards rendered ahead of the one that is written
MANIFEST = "pairs.json"
SMALL_FIELDS = ("effect", "unit_params", "mask", "touched", "valid", "item")
AUDIO_FIELDS = ("dry", "target", "reference")
NOT_COMPARED = ("num_pairs", "shard_pairs", "corpus", "tracks", "draws")  # of what a run expects; parts of it are


def describe(pairs: PairStream, num_pairs: int) -> dict[str, Any]:
    """What a folder of rendered pairs was made of; a folder of another description is never added to."""
    maker = pairs.maker
    corpus = maker.cutter.corpus
    return {
        "format": FORMAT,
        "num_pairs": num_pairs,
        "shard_pairs": pairs.batch_size,
        "clip_samples": maker.cutter.clip_samples,
        "sample_rate": corpus.sample_rate,
        "num_channels": corpus.num_channels,
        "effects": list(maker.bank.names),
        "num_params": maker.bank.num_params,
        "corpus": corpus.name,
        "tracks": {track.name: track.sha256 for track in corpus.tracks},
        "draws": maker.description,
    }


def render_pairs(
    pairs: PairStream,
    num_pairs: int,
    folder: Path,
    *,
    progress: bool = True,
    job: tuple[int, int] = (0, 1),
) -> int:
    """Render pairs into shards of `pairs.batch_size`; existing shards are kept, so that a run can be resumed.

    Any number of jobs may render one folder at once, or folders of their own that are copied together later: the call
    that finds all shards there announces them to readers.

    Args:
        pairs: from `make_pairs`.
        num_pairs: how many; rounded up to whole shards.
        folder: where to.
        progress: show a progress bar on stderr.
        job: (i, n), to render the i-th (from 0 on) of n equal, contiguous parts alone.

    Returns:
        How many pairs were rendered by this call.

    Raises:
        UserError: the folder holds other pairs, or the disk is too small or full.
    """
    count = -(-num_pairs // pairs.batch_size)
    description = describe(pairs, count * pairs.batch_size)
    manifest = folder / MANIFEST
    if manifest.is_file():
        stored = _read_manifest(folder)
        theirs = {key: stored.get(key) for key in description} | {"num_pairs": description["num_pairs"]}
        check_same(description, theirs, f"{folder} holds other pairs", "delete it, or give another folder")
    first, end = (count * place // job[1] for place in (job[0], job[0] + 1))
    missing = [shard for shard in range(first, end) if not _audio_path(folder, shard).is_file()]
    _check_space(folder, description, len(missing))
    # Announced only as whole: a folder that is still being rendered reads as what the last finished call made.
    if not manifest.is_file():
        write_json(manifest, description | {"num_pairs": 0})
    if missing:
        with (
            iterate(pairs, missing[0], PREFETCH) as batches,
            progress_bar("rendering pairs", len(missing), progress) as advance,
        ):
            for shard in missing:
                if batches.get_state() != {"next_index": shard}:
                    batches.set_state({"next_index": shard})
                _write_shard(folder, shard, next(batches))
                advance()
    complete = all(_audio_path(folder, shard).is_file() for shard in range(count))
    if complete and _read_manifest(folder)["num_pairs"] < description["num_pairs"]:
        write_json(manifest, description)
    return len(missing) * pairs.batch_size


class PrerenderedPairs:
    """Batches of stored pairs by step: every epoch in a new order, a pure function of (seed, stream, step)."""

    def __init__(self, folder: Path, batch_size: int, seed: int, stream: str, share: ProcessShare = WHOLE):
        self.description = _read_manifest(folder)
        self.batch_size, self._share = batch_size, share
        self._num_pairs, self._shard_pairs = self.description["num_pairs"], self.description["shard_pairs"]
        if self._num_pairs < 1:
            raise UserError(
                f"the pairs in {folder} are not rendered to the end: run the same render command again, without --shard"
            )
        shards = range(self._num_pairs // self._shard_pairs)
        try:
            self._audio = [np.load(_audio_path(folder, shard), mmap_mode="r") for shard in shards]
            small = [_read_small(_audio_path(folder, shard).with_suffix(".npz")) for shard in shards]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"cannot read the pairs in {folder} ({error}): delete that shard, and render again what is missing"
            ) from error
        self._small = {name: np.concatenate([arrays[name] for arrays in small]) for name in SMALL_FIELDS}
        self._checksums = [int(arrays["checksum"]) for arrays in small]
        self._folder, self._verified = folder, set[int]()
        self._order = EpochOrder(self._num_pairs, seed, f"prerendered/{stream}")

    def __len__(self) -> int:
        return MAX_STEPS

    @property
    def counts(self) -> dict[str, int]:
        """Number of pairs, as `PairStream.counts`."""
        return {"pairs": self._num_pairs}

    def __getitem__(self, step: int) -> PairBatch:
        items = self._share.items(step, self.batch_size)
        rows = self._order.rows(items)
        shape = (len(rows), *self._audio[0].shape[2:])
        audio = {name: np.empty(shape, np.float32) for name in AUDIO_FIELDS}
        for b, row in enumerate(rows):
            shard, place = divmod(int(row), self._shard_pairs)
            self._verify(shard)
            for number, name in enumerate(AUDIO_FIELDS):
                audio[name][b] = self._audio[shard][place, number]
        small = {name: values[rows] for name, values in self._small.items()}
        return PairBatch(**audio, **(small | {"item": items}))

    def _verify(self, shard: int) -> None:
        """Check the checksum of a shard before its first batch is served.

        Raises:
            UserError: its audio is not what was rendered.
        """
        if shard in self._verified:
            return
        if zlib.crc32(np.ascontiguousarray(self._audio[shard]).data) != self._checksums[shard]:
            raise UserError(
                f"{_audio_path(self._folder, shard)} is damaged: delete it, and render again what is missing"
            )
        self._verified.add(shard)


def open_prerendered(
    folder: str | os.PathLike[str],
    *,
    batch_size: int,
    seed: int,
    stream: str = "train",
    expected: PairStream | None = None,
    share: ProcessShare = WHOLE,
) -> PrerenderedPairs:
    """Open pairs that `dafxvae data render` wrote, as a batch source for training.

    Args:
        folder: of the pairs.
        batch_size: B.
        seed: of the order.
        stream: name of the order.
        expected: what the run would render itself; None takes any pairs. Seed and stream may be others.
        share: the part of every batch that is read here.

    Raises:
        UserError: nothing there, not finished, or not what the run expects.
    """
    pairs = PrerenderedPairs(user_path(folder), batch_size, seed, stream, share)
    if expected is not None:
        _check_expected(folder, pairs.description, describe(expected, 0))
    return pairs


def _check_expected(folder: str | os.PathLike[str], stored: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises UserError where stored pairs are not as a run would render them; recordings are compared by content."""

    def compared(description: dict[str, Any]) -> dict[str, Any]:
        values = {key: description.get(key) for key in expected if key not in NOT_COMPARED}
        return values | {"draws": {key: description["draws"][key] for key in ("mode", "options")}}

    different = differences(compared(expected), compared(stored))
    ours, theirs = (set(description["tracks"].values()) for description in (expected, stored))
    if ours != theirs:
        different.append(
            f"{len(theirs - ours)} of its recordings are not the run's, {len(ours - theirs)} of the run's not there"
        )
    if different:
        raise UserError(
            f"the pairs in {folder} are not what the run would render ({'; '.join(different)}): "
            "render them with the run's configuration, or change that"
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    with stored_file(folder / MANIFEST, "give a folder of pairs that `dafxvae data render` made"):
        return read_json(folder / MANIFEST)


def _read_small(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name] for name in (*SMALL_FIELDS, "checksum")}


def _audio_path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.npy"


def _check_space(folder: Path, description: dict[str, Any], shards: int) -> None:
    pair_bytes = 4 * len(AUDIO_FIELDS) * description["clip_samples"] * description["num_channels"]
    needed = shards * description["shard_pairs"] * pair_bytes
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UserError(f"{needed / 1e9:.1f} GB of pairs do not fit into {free / 1e9:.1f} GB free at {there}")


def _write_shard(folder: Path, shard: int, batch: PairBatch) -> None:
    path = _audio_path(folder, shard)
    audio = np.stack([getattr(batch, name) for name in AUDIO_FIELDS], axis=1)
    small: dict[str, Any] = {name: getattr(batch, name) for name in SMALL_FIELDS} | {
        "checksum": np.asarray(zlib.crc32(audio.data))
    }
    write_arrays(path.with_suffix(".npz"), small)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, audio)
