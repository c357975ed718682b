"""Pairs computed once: encodings for g, input features and clips for h."""

import numpy as np
import pytest
from data_toys import Source

from dafxvae.core.errors import UserError
from dafxvae.data.pairs.cache import CachedPairs, FeaturePairs, encode_batch, encode_pairs, extract_pairs, feature_batch
from dafxvae.types import EncodedBatch, LatentBatch


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
    columns = encode_pairs(Source(), encode, 12, path=path, recipe={}, progress=False)._asdict()
    pairs = CachedPairs(EncodedBatch, columns, 4, seed=1)
    epochs = [np.concatenate([pairs[step].joint[:, 0] for step in range(3 * e, 3 * e + 3)]) for e in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    assert not np.array_equal(*epochs)
    np.testing.assert_array_equal(pairs[5].item, np.arange(20, 24))  # fresh random numbers in every epoch
    np.testing.assert_array_equal(pairs[4].joint, pairs[4].joint)
    with pytest.raises(UserError, match="do not fill"):
        CachedPairs(EncodedBatch, columns, 64, seed=0)


def features(dry, reference):
    return np.stack([dry.mean((1, 2)), reference.mean((1, 2))], axis=1)


def extract(folder, source=None, num_pairs=10, num_audio=5, **recipe):
    return extract_pairs(
        source or Source(), features, num_pairs, num_audio, folder=folder, recipe=recipe, progress=False
    )


def test_a_batch_keeps_its_audio_and_settings_and_loses_its_reference():
    batch = feature_batch(Source()[1], features)
    np.testing.assert_array_equal(batch.z, [[n, -n] for n in range(4, 8)])
    np.testing.assert_array_equal(batch.target[:, 0, 0], [4.5, 5.5, 6.5, 7.5])
    np.testing.assert_array_equal(batch.valid, [1, 0, 1, 1])


def test_settings_of_all_pairs_and_the_audio_of_the_first(tmp_path):
    pairs = extract(tmp_path / "deep")
    np.testing.assert_array_equal(pairs.z[:, 0], np.arange(12))  # whole batches
    np.testing.assert_array_equal(pairs.unit_params[:, 1], np.arange(12))
    np.testing.assert_array_equal(pairs.dry[:, 3, 0], np.arange(8))
    np.testing.assert_array_equal(pairs.target[:, 3, 0], np.arange(8) + 0.5)
    assert pairs.valid[5] == 0


def test_features_are_computed_once_and_read_back(tmp_path):
    first = extract(tmp_path, f="a")
    source = Source()
    second = extract(tmp_path, source, f="a")
    assert source.made == 0
    for ours, theirs in zip(first, second):
        np.testing.assert_array_equal(ours, theirs)
    extract(tmp_path, source, f="b")
    assert source.made >= 3  # another f
    (tmp_path / "latents.npz").unlink()  # a run that was killed while it encoded
    extract(tmp_path, source, f="b")
    assert source.made >= 6


@pytest.mark.parametrize("name", ["latents.npz", "dry.npy"])
def test_what_the_system_does_not_let_be_read_is_not_made_again(tmp_path, name):
    """As with too many open files, or a failing disk."""
    extract(tmp_path)
    path = tmp_path / name
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(UserError, match=r"cannot read .*Too many levels"):
        extract(tmp_path)
    assert path.is_symlink()


def test_every_epoch_serves_every_pair_with_clips_once(tmp_path):
    columns = extract(tmp_path)._asdict()
    pairs = CachedPairs(LatentBatch, columns, 4, seed=1)
    epochs = [np.concatenate([pairs[step].dry[:, 0, 0] for step in (2 * e, 2 * e + 1)]) for e in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(8))
    assert not np.array_equal(*epochs)
    batch = pairs[3]
    np.testing.assert_array_equal(batch.z[:, 0], batch.dry[:, 0, 0])  # a pair stays together
    np.testing.assert_array_equal(batch.item, np.arange(12, 16))
    with pytest.raises(UserError, match="do not fill"):
        CachedPairs(LatentBatch, columns, 16, seed=0)


def test_no_batch_spans_two_epochs():
    columns = dict.fromkeys(FeaturePairs._fields, np.arange(10)[:, None])
    pairs = CachedPairs(LatentBatch, columns, 4, 1)
    for step in range(0, 40, 2):  # two whole batches an epoch; two of the ten pairs are left out
        assert len(np.unique(np.concatenate([pairs[step].z, pairs[step + 1].z]))) == 8
    assert len(np.unique(np.concatenate([pairs[step].z for step in range(40)]))) == 10


def test_clips_that_the_disk_cannot_hold_are_refused_before_they_are_written(small_disk):
    """Written to through a memory map they would be a bus error."""
    source = Source(samples=8000)
    with pytest.raises(UserError, match=rf"cannot write 12 pairs of clips to {small_disk}: No space left"):
        extract_pairs(source, features, 12, 12, folder=small_disk, recipe={}, progress=False)
    assert not list(small_disk.iterdir())


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        extract(tmp_path / "file" / "h")
