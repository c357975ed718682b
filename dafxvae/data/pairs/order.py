"""The order in which a fixed number of pairs is seen: all of them once an epoch, every epoch anew."""

import numpy as np

from dafxvae.core.rng import host_rng


class EpochOrder:
    """A pure function of (seed, stream) from an example's global index to one of a fixed number of pairs."""

    def __init__(self, count: int, seed: int, stream: str, batch_size: int = 1):
        """Computes nothing yet.

        Args:
            count: number of pairs.
            seed: of the orders.
            stream: name of their random stream.
            batch_size: an epoch is whole batches of this size; the pairs that are left over wait for another epoch.
        """
        self._count, self._seed, self._stream = count, seed, stream
        self._epoch_size = count - count % batch_size

    def rows(self, items: np.ndarray) -> np.ndarray:
        """Which pairs belong to these global indices; int64 `[B] -> [B]`."""
        rows, epochs = np.empty(len(items), np.int64), items // self._epoch_size
        for epoch in np.unique(epochs):
            order = host_rng(self._seed, self._stream, int(epoch)).permutation(self._count)
            inside = epochs == epoch
            rows[inside] = order[items[inside] % self._epoch_size]
        return rows
