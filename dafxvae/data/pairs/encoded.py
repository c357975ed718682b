"""Pairs as f's encodings, computed once and stored, for training g."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import host_rng
from dafxvae.data.pairs.shares import ALONE, WHOLE, Exchange, ProcessShare
from dafxvae.data.pairs.stream import BatchSource, iterate
from dafxvae.types import EncodedBatch, PairBatch

Encode = Callable[[np.ndarray], np.ndarray]  # clips [B, T, C] -> encodings [B, E]


def encode_batch(batch: PairBatch, encode: Encode) -> EncodedBatch:
    """A batch of pairs with the joint encoding of input and reference in the place of sounds."""
    dry, reference = np.split(np.asarray(encode(np.concatenate([batch.dry, batch.reference]))), 2)
    return EncodedBatch(
        joint=np.concatenate([dry, reference], axis=1),
        **{name: np.asarray(getattr(batch, name)) for name in EncodedBatch._fields[1:]},
    )


def encode_pairs(
    pairs: BatchSource,
    encode: Encode,
    count: int,
    *,
    path: Path,
    recipe: dict[str, Any],
    progress: bool = True,
    exchange: Exchange = ALONE,
) -> EncodedBatch:
    """The first pairs of a source as encodings, stored, and read back by a resumed run.

    Args:
        pairs: batches by step.
        encode: f.
        count: of pairs; rounded up to whole batches.
        path: `*.npz`.
        recipe: everything that the encodings depend on, as JSON; another one is encoded anew.
        progress: show a progress bar on stderr.
        exchange: with the other processes of a run, each of which encodes its share.
    """
    key = hashlib.sha256(json.dumps(recipe | {"count": count}, sort_keys=True).encode()).hexdigest()
    if exchange.all_have(is_stored(path, key)):
        with np.load(path) as stored:
            return EncodedBatch(*(stored[name] for name in EncodedBatch._fields))
    found: list[EncodedBatch] = []
    done = 0
    with iterate(pairs, 0, 2) as batches, progress_bar("encoding pairs", count, progress) as advance:
        while done < count:
            found.append(exchange.gather(encode_batch(next(batches), encode)))
            for _ in range(min(len(found[-1].item), count - done)):
                advance()
            done += len(found[-1].item)
    encoded = EncodedBatch(*(np.concatenate(leaves) for leaves in zip(*found)))
    write_arrays(path, encoded._asdict() | {"key": np.asarray(key)})
    return encoded


def is_stored(path: Path, key: str) -> bool:
    """Whether a file of encodings is there, and was made of the recipe with this hash."""
    try:
        with np.load(path) as stored:
            return str(stored["key"]) == key
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there, or damaged
        return False


class EpochOrder:
    """Which of a fixed number of pairs come at a step: all of them once an epoch, each epoch in a new order."""

    def __init__(self, count: int, batch_size: int, seed: int, share: ProcessShare = WHOLE):
        if count < batch_size:
            raise UserError(f"{count} encoded pairs do not fill a batch of {batch_size}: encode more")
        self._count, self._batch_size, self._seed, self._share = count, batch_size, seed, share

    def rows(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the share's pairs `[B]`, and global indices of its examples, fresh in every epoch, int64 `[B]`."""
        epoch, place = divmod(int(step), self._count // self._batch_size)
        order = host_rng(self._seed, "encoded/epoch", epoch).permutation(self._count)
        rows = order[place * self._batch_size : (place + 1) * self._batch_size]
        return rows[self._share.rows(self._batch_size)], self._share.items(step, self._batch_size)


class EncodedPairs:
    """Batches of encoded pairs by step; a pure function of (seed, step)."""

    def __init__(self, pairs: EncodedBatch, batch_size: int, seed: int, share: ProcessShare = WHOLE):
        self._pairs, self._order = pairs, EpochOrder(len(pairs.item), batch_size, seed, share)

    def __len__(self) -> int:
        return 1 << 40

    @property
    def counts(self) -> dict[str, int]:
        """As of `Pairs`: how many pairs there are."""
        return {"pairs": len(self._pairs.item)}

    def __getitem__(self, step: int) -> EncodedBatch:
        rows, items = self._order.rows(step)
        return EncodedBatch(*(leaf[rows] for leaf in self._pairs))._replace(item=items)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
