import numpy as np
import pytest
from data_toys import Source

from dafxvae.core.errors import UserError
from dafxvae.data.pairs.encoded import EncodedPairs, encode_batch, encode_pairs


def encode(clips):
    return np.stack([clips.mean((1, 2)), clips.std((1, 2))], axis=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "encoded.npz"


def test_input_and_reference_are_encoded_side_by_side():
    batch = encode_batch(Source()[1], encode)
    np.testing.assert_array_equal(batch.joint, [[n, 0, -n, 0] for n in range(4, 8)])
    np.testing.assert_array_equal(batch.effect, [1, 2, 0, 1])


def test_pairs_are_encoded_once_and_read_back(path):
    first = encode_pairs(Source(), encode, 10, path=path, recipe={"f": "a"}, progress=False)
    assert len(first.item) == 12  # whole batches
    source = Source()
    second = encode_pairs(source, encode, 10, path=path, recipe={"f": "a"}, progress=False)
    assert source.made == 0
    np.testing.assert_array_equal(first.joint, second.joint)
    encode_pairs(source, encode, 10, path=path, recipe={"f": "b"}, progress=False)
    assert source.made >= 3  # another f
    assert [file.name for file in path.parent.iterdir()] == ["encoded.npz"]


def test_every_epoch_sees_every_pair_once_in_another_order(path):
    pairs = EncodedPairs(encode_pairs(Source(), encode, 12, path=path, recipe={}, progress=False), 4, seed=1)
    epochs = [np.concatenate([pairs[step].joint[:, 0] for step in range(3 * e, 3 * e + 3)]) for e in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    assert not np.array_equal(*epochs)
    np.testing.assert_array_equal(pairs[5].item, np.arange(20, 24))  # fresh random numbers in every epoch
    np.testing.assert_array_equal(pairs[4].joint, pairs[4].joint)
    with pytest.raises(UserError, match="do not fill"):
        EncodedPairs(pairs._pairs, 64, seed=0)
