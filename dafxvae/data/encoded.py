"""Pairs as encodings: f is frozen while g is trained, so each pair is rendered and encoded once, and seen often."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.data.pairs import BatchSource, iterate
from dafxvae.data.progress import progress_bar
from dafxvae.errors import UserError
from dafxvae.rng import host_rng
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
    pairs: BatchSource, encode: Encode, count: int, *, path: Path, recipe: dict[str, Any], progress: bool = True
) -> EncodedBatch:
    """The first pairs of a source as encodings, stored, and read back by a resumed run.

    Args:
        pairs: batches by step.
        encode: f.
        count: of pairs; rounded up to whole batches.
        path: `*.npz`.
        recipe: everything that the encodings depend on, as JSON; another one is encoded anew.
        progress: show a progress bar on stderr.
    """
    key = hashlib.sha256(json.dumps(recipe | {"count": count}, sort_keys=True).encode()).hexdigest()
    if path.is_file():
        with np.load(path) as stored:
            if str(stored["key"]) == key:
                return EncodedBatch(*(stored[name] for name in EncodedBatch._fields))
    found: list[EncodedBatch] = []
    done = 0
    with iterate(pairs, 0, 2) as batches, progress_bar("encoding pairs", count, progress) as advance:
        while done < count:
            found.append(encode_batch(next(batches), encode))
            for _ in range(min(len(found[-1].item), count - done)):
                advance()
            done += len(found[-1].item)
    encoded = EncodedBatch(*(np.concatenate(leaves) for leaves in zip(*found)))
    write_arrays(path, encoded._asdict() | {"key": np.asarray(key)})
    return encoded


class EpochOrder:
    """Which of a fixed number of pairs come at a step: all of them once an epoch, each epoch in a new order."""

    def __init__(self, count: int, batch_size: int, seed: int):
        if count < batch_size:
            raise UserError(f"{count} encoded pairs do not fill a batch of {batch_size}: encode more")
        self._count, self._batch_size, self._seed = count, batch_size, seed

    def rows(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the pairs `[B]`, and the global indices of the examples, fresh in every epoch, int64 `[B]`."""
        epoch, place = divmod(int(step), self._count // self._batch_size)
        order = host_rng(self._seed, "encoded/epoch", epoch).permutation(self._count)
        items = np.arange(int(step) * self._batch_size, (int(step) + 1) * self._batch_size, dtype=np.int64)
        return order[place * self._batch_size : (place + 1) * self._batch_size], items


class EncodedPairs:
    """Batches of encoded pairs by step; a pure function of (seed, step)."""

    def __init__(self, pairs: EncodedBatch, batch_size: int, seed: int):
        self._pairs, self._order = pairs, EpochOrder(len(pairs.item), batch_size, seed)

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
