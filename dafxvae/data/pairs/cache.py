"""Pairs computed once for the networks that stay frozen: encodings or input features, settings, and some clips.

f is frozen while g is trained, f and g while h is: so each pair is rendered and embedded once, and seen often. Columns
of all pairs are one keyed file (`dafxvae.core.store`); clips of the first pairs are memory-mapped files next to it,
which that file, written last, vouches for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.files import reserve, sync
from dafxvae.core.progress import progress_bar
from dafxvae.core.store import read_arrays, recipe_key, write_arrays
from dafxvae.data.pairs.order import EpochOrder
from dafxvae.data.pairs.shares import ALONE, WHOLE, Exchange, ProcessShare
from dafxvae.data.pairs.stream import MAX_STEPS, BatchSource, iterate
from dafxvae.types import EncodedBatch, LatentBatch, PairBatch

Encode = Callable[[np.ndarray], np.ndarray]  # clips [B, T, C] -> encodings [B, E]
Features = Callable[[np.ndarray, np.ndarray], np.ndarray]  # dry, reference [B, T, C] -> input features of h [B, Z + S]
FEATURE_COLUMNS, CLIP_COLUMNS = ("z", "unit_params", "valid"), ("dry", "target")


class FeaturePairs(NamedTuple):
    """N pairs for h, the first M of them with their clips; numpy, the clips memory-mapped."""

    z: np.ndarray  # [N, Z + S] input features of h
    unit_params: np.ndarray  # [N, K]
    valid: np.ndarray  # [N]
    dry: np.ndarray  # [M, T, C]
    target: np.ndarray  # [M, T, C]


def encode_batch(batch: PairBatch, encode: Encode) -> EncodedBatch:
    """Replace the clips of a batch by the joint encoding of input and reference."""
    dry, reference = np.split(np.asarray(encode(np.concatenate([batch.dry, batch.reference]))), 2)
    return EncodedBatch(
        joint=np.concatenate([dry, reference], axis=1),
        **{name: np.asarray(getattr(batch, name)) for name in EncodedBatch._fields[1:]},
    )


def feature_batch(batch: PairBatch, features: Features) -> LatentBatch:
    """Replace the reference of a batch by h's input features."""
    z = np.asarray(features(batch.dry, batch.reference))
    return LatentBatch(z, batch.dry, batch.target, batch.unit_params, batch.valid, batch.item)


def encode_pairs(
    pairs: BatchSource, encode: Encode, count: int, *, path: Path, recipe: Any, **how: Any
) -> EncodedBatch:
    """The first `count` pairs of a source as encodings of f, for g; otherwise as `compute_pairs`."""
    columns = compute_pairs(
        pairs, lambda batch: encode_batch(batch, encode), EncodedBatch._fields, count, path=path, recipe=recipe, **how
    )
    return EncodedBatch(**columns)


def extract_pairs(
    pairs: BatchSource, features: Features, count: int, num_clips: int, *, folder: Path, recipe: Any, **how: Any
) -> FeaturePairs:
    """The first `count` pairs of a source as input features, `num_clips` of them with clips, for h; in `folder`."""
    columns = compute_pairs(
        pairs,
        lambda batch: feature_batch(batch, features),
        FEATURE_COLUMNS,
        count,
        path=folder / "latents.npz",
        recipe=recipe,
        clips=CLIP_COLUMNS,
        num_clips=num_clips,
        **how,
    )
    return FeaturePairs(**columns)


def compute_pairs(
    pairs: BatchSource,
    convert: Callable[[PairBatch], Any],
    columns: Sequence[str],
    count: int,
    *,
    path: Path,
    recipe: Any,
    clips: Sequence[str] = (),
    num_clips: int = 0,
    progress: bool = True,
    exchange: Exchange = ALONE,
) -> dict[str, np.ndarray]:
    """Columns of the first pairs of a source, stored, and read back by a resumed run.

    Args:
        pairs: batches by step.
        convert: from a batch of pairs to a struct that has the columns.
        columns: fields that are kept of all pairs.
        count: N; rounded up to whole batches.
        path: `*.npz` of the columns; files of clips lie next to it.
        recipe: everything that the columns depend on, as JSON; another one is computed anew.
        clips: fields whose clips `[B, T, C]` are kept, exact as rendered (float32).
        num_clips: M, at most N; rounded likewise.
        progress: show a progress bar on stderr.
        exchange: with the other processes of a run, each of which computes its share.

    Returns:
        Name to array, `[N, ...]` for columns and `[M, T, C]` for clips.

    Raises:
        UserError: the disk refuses.
    """
    key = recipe_key([recipe, count, num_clips])
    stored = _read(path, key, clips)
    if exchange.all_have(stored is not None):
        assert stored is not None
        return stored
    kept: list[list[np.ndarray]] = []
    done, maps = 0, dict[str, np.memmap]()
    with iterate(pairs, 0, 2) as batches, progress_bar("computing pairs", count, progress) as advance:
        for batch in batches:
            found = exchange.gather(convert(batch))
            size = len(found.item)
            if clips and not maps:
                maps = _open_clips(path, clips, size * -(-num_clips // size), batch.dry.shape[1:])
            for name, array in maps.items():
                if done < len(array):
                    array[done : done + size] = getattr(found, name)
            kept.append([np.asarray(getattr(found, name)) for name in columns])
            for _ in range(min(size, count - done)):
                advance()
            done += size
            if done >= count:
                break
    for name in maps:
        sync(_clip_path(path, name))
    arrays = dict(zip(columns, (np.concatenate(parts) for parts in zip(*kept))))
    write_arrays(path, arrays, key)
    return arrays | maps


def _clip_path(path: Path, name: str) -> Path:
    return path.with_name(f"{name}.npy")


def _read(path: Path, key: str, clips: Sequence[str]) -> dict[str, np.ndarray] | None:
    """What an earlier run has stored; None where it is missing, damaged or of another recipe."""
    columns = read_arrays(path, key)
    if columns is None:
        return None
    try:
        return columns | {name: np.load(_clip_path(path, name), mmap_mode="r") for name in clips}
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise UserError(
            f"cannot read the pairs in {path.parent} ({error.strerror}): mend that; they are kept"
        ) from error


def _open_clips(path: Path, names: Sequence[str], count: int, shape: tuple[int, ...]) -> dict[str, np.memmap]:
    """Memory-mapped files for `count` clips of each name."""
    maps: dict[str, np.memmap] = {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it would vouch for clips that are being overwritten
        sync(path.parent, recursive=False)
        for name in names:
            file = _clip_path(path, name)
            maps[name] = np.lib.format.open_memmap(file, "w+", np.float32, (count, *shape))
            with file.open("r+b") as handle:
                reserve(handle.fileno(), file.stat().st_size)
        return maps
    except OSError as error:
        for name in maps:
            _clip_path(path, name).unlink()
        raise UserError(f"cannot write {count} pairs of clips to {path.parent}: {error.strerror}") from error


class CachedPairs:
    """Batches of computed pairs by step, every epoch in a new order; a pure function of (seed, step)."""

    def __init__(
        self,
        batch_type: Callable[..., Any],
        columns: Mapping[str, np.ndarray],
        batch_size: int,
        seed: int,
        share: ProcessShare = WHOLE,
    ):
        """Arranges the pairs.

        Args:
            batch_type: struct of a batch, with the field `item`.
            columns: name to array; pairs beyond the shortest one are not used.
            batch_size: B.
            seed: of the order.
            share: the part of every batch that is served here.
        """
        self._count = min(len(column) for column in columns.values())
        if self._count < batch_size:
            raise UserError(f"{self._count} pairs do not fill a batch of {batch_size}: compute more of them")
        self._type, self._batch_size, self._share = batch_type, batch_size, share
        self._columns = {name: column for name, column in columns.items() if name != "item"}
        self._order = EpochOrder(self._count, seed, "encoded/epoch", batch_size)

    def __len__(self) -> int:
        return MAX_STEPS

    @property
    def counts(self) -> dict[str, int]:
        """Number of pairs, as `PairStream.counts`."""
        return {"pairs": self._count}

    def __getitem__(self, step: int) -> Any:
        items = self._share.items(step, self._batch_size)  # fresh in every epoch: they seed random keys
        rows = self._order.rows(items)
        return self._type(**{name: np.asarray(column[rows]) for name, column in self._columns.items()}, item=items)
