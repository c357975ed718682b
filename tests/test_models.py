# pyright: reportArgumentType=false
# pyright: reportAttributeAccessIssue=false
# pyright: reportCallIssue=false
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.models.batches import in_batches
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.spectrogram_vae import SpectrogramVAE, TimeConv
from dafxvae.models.vae import Posterior, kl_per_dimension, sample

RNG = np.random.default_rng(2)
F = SpectrogramVAE(6, 16, (2, 2), 32, 2048 / 24000, 512 / 24000, 11000.0, 8)


def noise(batch, num_samples, channels=1):
    return jnp.asarray(RNG.standard_normal((batch, num_samples, channels)) * 0.1, jnp.float32)


@pytest.fixture(scope="module")
def variables():
    key = jax.random.key(0)
    return jax.jit(F.init, static_argnums=2)(key, noise(1, 8000), 24000, key[None])


@partial(jax.jit, static_argnums=2)
def jitted_encode(variables, audio, sample_rate):
    return F.apply(variables, audio, sample_rate, method=SpectrogramVAE.encode)


def encode(variables, audio, sample_rate=24000):
    return np.asarray(jitted_encode(variables, audio, sample_rate))


@pytest.mark.parametrize(
    ("num_samples", "sample_rate", "channels"), [(3000, 24000, 1), (50001, 44100, 2), (9000, 22050, 1)]
)
def test_f_takes_any_length_rate_and_channel_count(variables, num_samples, sample_rate, channels):
    encoding = encode(variables, noise(2, num_samples, channels), sample_rate)
    assert encoding.shape == (2, F.encoding_size)
    assert np.isfinite(encoding).all()


def test_f_sees_the_same_sound_at_another_rate(variables):
    seconds = np.arange(48000) / 48000
    edges = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(seconds, 1 - seconds) / 0.02, 0, 1))  # nothing above 12 kHz
    tone = (0.2 * edges * np.sin(2 * np.pi * 440 * seconds) * np.exp(-3 * seconds)).astype(np.float32)[None, :, None]
    high, low = encode(variables, tone, 48000), encode(variables, tone[:, ::2], 24000)
    np.testing.assert_allclose(high, low, atol=0.1)


def test_an_encoding_does_not_depend_on_its_batch(variables):
    clips = noise(5, 8000)
    together = encode(variables, clips)
    alone = np.concatenate([encode(variables, clips[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    np.testing.assert_array_equal(together, encode(variables, clips))


def test_level_is_not_thrown_away(variables):
    clip = noise(1, 8000)
    quiet, loud = encode(variables, clip * 0.1), encode(variables, clip)
    assert np.abs(quiet - loud).max() > 1.0  # 20 dB, in units of 12 dB


def test_silence_has_a_finite_encoding(variables):
    assert np.isfinite(encode(variables, jnp.zeros((1, 8000, 1)))).all()


def test_training_pass_reconstructs_every_frame(variables):
    keys = jax.random.split(jax.random.key(1), 2)
    for num_samples in (8000, 9777):
        output = jax.jit(F.apply, static_argnums=2)(variables, noise(2, num_samples), 24000, keys)
        assert output.reconstruction.shape == output.log_mel.shape


@pytest.mark.parametrize(("kernel", "stride", "length"), [(3, 1, 10), (5, 2, 11), (5, 2, 12)])
def test_time_conv_is_a_convolution(kernel, stride, length):
    x = jnp.asarray(RNG.standard_normal((2, length, 3)), jnp.float32)
    ours = TimeConv(4, kernel, stride)
    weights = ours.init(jax.random.key(0), x)["params"]["Dense_0"]
    theirs = {"params": {"kernel": weights["kernel"].reshape(kernel, 3, 4), "bias": weights["bias"]}}
    expected = nn.Conv(4, (kernel,), strides=(stride,)).apply(theirs, x)
    np.testing.assert_allclose(ours.apply({"params": {"Dense_0": weights}}, x), expected, atol=1e-5)


def test_kl_is_the_closed_form():
    mean, log_variance = jnp.asarray([[0.0, 1.0, 0.5]]), jnp.asarray([[0.0, 0.0, -1.0]])
    expected = [0.0, 0.5, 0.5 * (0.25 + np.exp(-1.0) + 1.0 - 1.0)]
    np.testing.assert_allclose(kl_per_dimension(Posterior(mean, log_variance))[0], expected, rtol=1e-6)


def test_kl_is_what_sampling_finds():
    posterior = Posterior(jnp.full((20000, 1), 0.7), jnp.full((20000, 1), -1.0))
    z = np.asarray(sample(posterior, jax.random.split(jax.random.key(0), 20000)), np.float64)
    log_ratio = -0.5 * ((z - 0.7) ** 2 / np.exp(-1.0) - 1.0) + 0.5 * z**2
    assert log_ratio.mean() == pytest.approx(float(kl_per_dimension(posterior)[0, 0]), abs=4 * log_ratio.std() / 141)


def test_a_sample_depends_on_its_own_key_alone():
    posterior = Posterior(jnp.zeros((3, 4)), jnp.zeros((3, 4)))
    keys = jax.random.split(jax.random.key(3), 3)
    together = sample(posterior, keys)
    alone = sample(Posterior(posterior.mean[1:2], posterior.log_variance[1:2]), keys[1:2])
    np.testing.assert_array_equal(together[1:2], alone)


def test_g_is_deterministic_and_standardised():
    g = ControllerVAE(4, 16, 10, 5, 2)
    joint = jnp.asarray(RNG.standard_normal((3, 10)), jnp.float32)
    key = jax.random.key(0)
    variables = g.init(key, joint, key[None])
    z = g.apply(variables, joint, method=ControllerVAE.encode)
    np.testing.assert_array_equal(z, g.apply(variables, joint, method=ControllerVAE.encode))
    shifted = {**variables, "constants": {"joint_mean": jnp.ones(10), "joint_deviation": jnp.full(10, 2.0)}}
    moved = g.apply(shifted, joint * 2 + 1, method=ControllerVAE.encode)
    np.testing.assert_allclose(z, moved, atol=1e-5)


def test_h_starts_in_the_middle():
    h = ControllerDecoder((8,), 3)
    z = jnp.asarray(RNG.standard_normal((2, 4)), jnp.float32)
    np.testing.assert_array_equal(h.apply(h.init(jax.random.key(0), z), z), np.full((2, 3), 0.5, np.float32))


@pytest.mark.parametrize("count", [1, 4, 9])
def test_batches_of_one_size_give_what_all_rows_at_once_do(count):
    sizes = set()

    def both(x, y):
        sizes.add(len(x))
        return {"sum": x + y, "first": x[:, 0]}

    x, y = np.random.default_rng(0).random((2, count, 3))
    found = in_batches(both, 4, x, y)
    assert sizes == {4}
    np.testing.assert_array_equal(found["sum"], x + y)
    np.testing.assert_array_equal(found["first"], x[:, 0])
