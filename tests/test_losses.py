import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_audio_dsp import reference_magnitude

from dafxvae import losses

RNG = np.random.default_rng(1)
SIZES = (64, 256)


def clips(num_clips=3, num_channels=1, num_samples=2000):
    return RNG.standard_normal((num_clips, num_samples, num_channels)).astype(np.float32) * 0.1


def mrstft(x, y):
    return losses.multi_resolution_stft(x, y, SIZES)


@pytest.mark.parametrize("loss", [mrstft, losses.mean_absolute_error])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_equal_sounds_have_no_distance_and_others_do(loss, num_channels):
    x, y = clips(num_channels=num_channels), clips(num_channels=num_channels)
    np.testing.assert_array_equal(loss(x, x), np.zeros(3))
    assert (np.asarray(loss(x, y)) > 0.01).all()


@pytest.mark.parametrize("loss", [mrstft, losses.mean_absolute_error])
def test_an_item_scores_the_same_in_any_batch(loss):
    x, y = clips(), clips()
    alone = np.concatenate([np.asarray(loss(x[i : i + 1], y[i : i + 1])) for i in range(3)])
    np.testing.assert_allclose(loss(x, y), alone, rtol=1e-6)


def test_mrstft_is_the_definition():
    x, y = clips(1), clips(1)
    expected = 0.0
    for size in SIZES:
        a, b = (reference_magnitude(clip[0, :, 0].astype(np.float64), size, size // 2) for clip in (x, y))
        expected += np.abs(np.log(a) - np.log(b)).mean() + np.abs(a - b).mean()
    assert float(mrstft(x, y)[0]) == pytest.approx(expected / len(SIZES), rel=1e-4)


def test_gradient_is_finite_at_silence():
    silence = jnp.zeros((1, 2000, 1))
    for target in (silence, jnp.asarray(clips(1))):
        gradient = jax.grad(lambda x, target=target: mrstft(x, target).sum())(silence)
        assert np.isfinite(gradient).all()


def test_shapes_never_broadcast():
    with pytest.raises(ValueError, match="one shape"):
        mrstft(clips(3), clips(1))


def test_weighted_sum_and_unknown_names():
    x, y = clips(), clips()
    loss = losses.make_audio_loss({"mrstft": 2.0, "l1": 3.0}, SIZES)
    total, terms = loss(x, y)
    np.testing.assert_allclose(total, 2 * terms["mrstft"] + 3 * terms["l1"], rtol=1e-6)
    with pytest.raises(ValueError, match="stoi"):
        losses.make_audio_loss({"stoi": 1.0}, SIZES)
