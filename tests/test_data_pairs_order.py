"""The order of a fixed number of pairs."""

import numpy as np

from dafxvae.core.rng import host_rng
from dafxvae.data.pairs.order import EpochOrder


def test_an_epoch_is_whole_batches_of_a_permutation():
    """Of 11 pairs in batches of 4 eight are seen an epoch, the first of a permutation of all."""
    order = EpochOrder(11, 5, "stream", batch_size=4)
    for epoch in (0, 1, 7):
        expected = host_rng(5, "stream", epoch).permutation(11)[:8]
        np.testing.assert_array_equal(order.rows(8 * epoch + np.arange(8)), expected)
    np.testing.assert_array_equal(
        order.rows(np.array([9, 3])), [order.rows(np.array([9]))[0], order.rows(np.array([3]))[0]]
    )


def test_single_examples_use_every_pair():
    order = EpochOrder(11, 5, "stream")
    rows = order.rows(np.arange(33)).reshape(3, 11)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(11), (3, 1)))
    assert not np.array_equal(rows[0], rows[1])
