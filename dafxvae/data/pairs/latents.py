"""Pairs as h's input features, computed once by the frozen f and g and stored, for training h."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.progress import progress_bar
from dafxvae.data.pairs.encoded import EpochOrder, is_stored, write_arrays
from dafxvae.data.pairs.shares import ALONE, WHOLE, Exchange, ProcessShare
from dafxvae.data.pairs.stream import BatchSource, iterate
from dafxvae.types import LatentBatch, PairBatch

Latent = Callable[[np.ndarray, np.ndarray], np.ndarray]  # dry, reference [B, T, C] -> [B, Z]
AUDIO = ("dry", "target")


class LatentPairs(NamedTuple):
    """N pairs, the first M of them with their audio; numpy, the audio mapped from its files."""

    z: np.ndarray  # [N, Z]
    unit_params: np.ndarray  # [N, K]
    valid: np.ndarray  # [N]
    dry: np.ndarray  # [M, T, C]
    target: np.ndarray  # [M, T, C]


def latent_batch(batch: PairBatch, latent: Latent) -> LatentBatch:
    """A batch of pairs with g's latent in the place of the reference."""
    z = np.asarray(latent(batch.dry, batch.reference))
    return LatentBatch(z, batch.dry, batch.target, batch.unit_params, batch.valid, batch.item)


def encode_latents(
    pairs: BatchSource,
    latent: Latent,
    num_pairs: int,
    num_audio: int,
    *,
    folder: Path,
    recipe: dict[str, Any],
    progress: bool = True,
    exchange: Exchange = ALONE,
) -> LatentPairs:
    """The first pairs of a source as latents, stored, and read back by a resumed run.

    The settings can be learnt from all of them; the sound, from those whose audio is kept, exact as rendered (float32).

    Args:
        pairs: batches by step.
        latent: f and g.
        num_pairs: N; rounded up to whole batches.
        num_audio: M, at most N; rounded likewise.
        folder: of `latents.npz`, `dry.npy` and `target.npy`; the first is written last.
        recipe: everything that the latents depend on, as JSON; another one is encoded anew.
        progress: show a progress bar on stderr.
        exchange: with the other processes of a run, each of which renders and encodes its share.

    Raises:
        UserError: the disk refuses.
    """
    key = hashlib.sha256(json.dumps([recipe, num_pairs, num_audio], sort_keys=True).encode()).hexdigest()
    path = folder / "latents.npz"
    stored = _read_stored(folder) if is_stored(path, key) else None
    if exchange.all_have(stored is not None):
        assert stored is not None
        return stored
    small, kept, audio = [], 0, []
    with iterate(pairs, 0, 2) as batches, progress_bar("encoding pairs", num_pairs, progress) as advance:
        for batch in batches:
            found = exchange.gather(latent_batch(batch, latent))
            size = len(found.item)
            audio = audio or _open_audio(folder, size * -(-num_audio // size), batch.dry.shape[1:])
            if kept < len(audio[0]):
                for array, clips in zip(audio, (found.dry, found.target)):
                    array[kept : kept + size] = clips
            kept += size
            small.append((found.z, found.unit_params, found.valid))
            for _ in range(min(size, num_pairs - kept + size)):
                advance()
            if kept >= num_pairs:
                break
    for array in audio:
        array.flush()
    arrays = [np.concatenate(column) for column in zip(*small)]
    write_arrays(path, dict(zip(LatentPairs._fields, arrays)) | {"key": np.asarray(key)})
    return LatentPairs(*arrays, *audio)


def _read_stored(folder: Path) -> LatentPairs | None:
    """What an earlier run has stored; None when it is damaged."""
    try:
        with np.load(folder / "latents.npz") as stored:
            small = [stored[name] for name in LatentPairs._fields[:3]]
        return LatentPairs(*small, *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in AUDIO))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _open_audio(folder: Path, count: int, clip_shape: tuple[int, ...]) -> list[np.memmap]:
    """Files of `count` clips for dry and target."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "latents.npz").unlink(missing_ok=True)  # it would vouch for audio that is being overwritten
        return [
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (count, *clip_shape)) for name in AUDIO
        ]
    except OSError as error:
        raise UserError(f"cannot write {count} pairs of clips to {folder}: {error.strerror}") from error


class HeardPairs:
    """Batches of the pairs with audio, by step: every epoch in a new order, a pure function of (seed, step)."""

    def __init__(self, pairs: LatentPairs, batch_size: int, seed: int, share: ProcessShare = WHOLE):
        self._pairs, self._order = pairs, EpochOrder(len(pairs.dry), batch_size, seed, share)

    def __len__(self) -> int:
        return 1 << 40

    @property
    def counts(self) -> dict[str, int]:
        """As of `Pairs`: how many pairs there are."""
        return {"pairs": len(self._pairs.dry)}

    def __getitem__(self, step: int) -> LatentBatch:
        rows, items = self._order.rows(step)
        found = {name: np.asarray(getattr(self._pairs, name)[rows]) for name in LatentPairs._fields}
        return LatentBatch(**found, item=items)
