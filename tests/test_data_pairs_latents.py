import numpy as np
import pytest
from data_toys import Source

from dafxvae.core.errors import UserError
from dafxvae.data.pairs.latents import HeardPairs, encode_latents, latent_batch


def latent(dry, reference):
    return np.stack([dry.mean((1, 2)), reference.mean((1, 2))], axis=1)


def encode(folder, source=None, num_pairs=10, num_audio=5, **recipe):
    return encode_latents(
        source or Source(), latent, num_pairs, num_audio, folder=folder, recipe=recipe, progress=False
    )


def test_a_batch_keeps_its_audio_and_settings_and_loses_its_reference():
    batch = latent_batch(Source()[1], latent)
    np.testing.assert_array_equal(batch.z, [[n, -n] for n in range(4, 8)])
    np.testing.assert_array_equal(batch.target[:, 0, 0], [4.5, 5.5, 6.5, 7.5])
    np.testing.assert_array_equal(batch.valid, [1, 0, 1, 1])


def test_settings_of_all_pairs_and_the_audio_of_the_first(tmp_path):
    pairs = encode(tmp_path / "deep")
    np.testing.assert_array_equal(pairs.z[:, 0], np.arange(12))  # whole batches
    np.testing.assert_array_equal(pairs.unit_params[:, 1], np.arange(12))
    np.testing.assert_array_equal(pairs.dry[:, 3, 0], np.arange(8))
    np.testing.assert_array_equal(pairs.target[:, 3, 0], np.arange(8) + 0.5)
    assert pairs.valid[5] == 0


def test_they_are_rendered_once_and_read_back(tmp_path):
    first = encode(tmp_path, f="a")
    source = Source()
    second = encode(tmp_path, source, f="a")
    assert source.made == 0
    for ours, theirs in zip(first, second):
        np.testing.assert_array_equal(ours, theirs)
    encode(tmp_path, source, f="b")
    assert source.made >= 3  # another f
    (tmp_path / "latents.npz").unlink()  # a run that was killed while it encoded
    encode(tmp_path, source, f="b")
    assert source.made >= 6


def test_every_epoch_hears_every_kept_pair_once(tmp_path):
    heard = HeardPairs(encode(tmp_path), 4, seed=1)
    epochs = [np.concatenate([heard[step].dry[:, 0, 0] for step in (2 * e, 2 * e + 1)]) for e in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(8))
    assert not np.array_equal(*epochs)
    batch = heard[3]
    np.testing.assert_array_equal(batch.z[:, 0], batch.dry[:, 0, 0])  # a pair stays together
    np.testing.assert_array_equal(batch.item, np.arange(12, 16))
    with pytest.raises(UserError, match="do not fill"):
        HeardPairs(encode(tmp_path), 16, seed=0)


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        encode(tmp_path / "file" / "h")
