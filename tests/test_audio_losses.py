import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_audio_dsp import reference_magnitude

from dafxvae.audio import features, losses

RNG = np.random.default_rng(1)
SIZES = (64, 256)
RATE = 8000


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
    loss = losses.make_audio_loss({"mrstft": 2.0, "l1": 3.0}, SIZES, RATE)
    total, terms = loss(x, y)
    np.testing.assert_allclose(total, 2 * terms["mrstft"] + 3 * terms["l1"], rtol=1e-6)
    with pytest.raises(ValueError, match="stoi"):
        losses.make_audio_loss({"stoi": 1.0}, SIZES, RATE)


# Losses of descriptors


def loss_of(name):
    return lambda x, y: losses.make_audio_loss({name: 1.0}, SIZES, RATE)(x, y)[0]


def second(num_channels=1):
    return clips(2, num_channels, 2 * RATE)


each = pytest.mark.parametrize("name", features.FEATURES)


@each
@pytest.mark.parametrize("num_channels", [1, 2])
def test_descriptors_of_equal_sounds_are_equal_and_of_others_are_not(name, num_channels):
    x, y = second(num_channels), np.cumsum(second(num_channels), axis=1)  # white and brown noise
    loss = jax.jit(loss_of(name))
    np.testing.assert_array_equal(loss(x, x), np.zeros(2))
    assert (np.asarray(loss(x, y)) > 1e-3).all()


@each
def test_descriptors_have_finite_gradients_at_silence(name):
    silence = jnp.zeros((2, 2 * RATE, 1))
    for target in (silence, jnp.asarray(second())):
        gradient = jax.grad(lambda x, target=target: loss_of(name)(x, target).sum())(silence)
        assert np.isfinite(gradient).all()


@each
def test_descriptors_have_gradients_where_there_is_sound(name):
    x, y = second(), second()
    gradient = jax.grad(lambda x: loss_of(name)(x, y).sum())(jnp.asarray(x))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@each
def test_descriptors_never_broadcast(name):
    with pytest.raises(ValueError, match="one shape"):
        loss_of(name)(second(), second()[:1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smoothed_mel", np.log(4.0)),
        ("mel_statistics", np.log(4.0) / 2),  # the deviation, the other half, is not changed
        ("envelope", 20 * np.log10(2.0)),
        ("modulation", 0.0),
        ("autocorrelation", 0.0),
    ],
)
def test_twice_as_loud_is_a_known_distance(name, expected):
    x = second()
    np.testing.assert_allclose(loss_of(name)(x, 2 * x), expected, atol=2e-3)


def test_cepstrum_of_a_gain_is_in_its_first_coefficient():
    x = second()
    (one,), (twice,) = (features.cepstrum(jnp.asarray(sound), RATE) for sound in (x, 2 * x))
    moved = np.asarray(twice - one)[:, 0]
    size = 2 * (moved.shape[1] - 1)
    np.testing.assert_allclose(moved[:, 0], np.log(4.0) * size**0.5, rtol=1e-3)
    np.testing.assert_allclose(moved[:, 1:], 0.0, atol=1e-3)


def test_modulation_finds_the_rate_of_a_tremolo():
    rate_hz = features.MODULATION_HZ[9]  # 4 Hz
    time = np.arange(4 * RATE) / RATE
    x = clips(1, 1, 4 * RATE) * (1 + 0.5 * np.sin(2 * np.pi * rate_hz * time))[None, :, None].astype(np.float32)
    (by_rate,) = features.modulation(jnp.asarray(x), RATE)
    assert int(by_rate[0, 0].mean(0).argmax()) == 9


def test_autocorrelation_finds_an_echo():
    x, lag = second(), RATE // 10
    x[:, lag:] += 0.8 * x[:, :-lag].copy()
    (by_lag,) = features.autocorrelation(jnp.asarray(x), RATE)
    assert int(by_lag[0, 0, 100:].argmax()) + 100 == lag


def test_smoothed_mel_hardly_hears_when_something_happened_and_mrstft_does():
    click = np.zeros((1, 4 * RATE, 1), np.float32)
    noise = clips(1, 1, RATE // 20)
    early, late = click.copy(), click.copy()
    early[:, RATE : RATE + noise.shape[1]], late[:, RATE + 800 : RATE + 800 + noise.shape[1]] = noise, noise
    ratio = {n: float(loss_of(n)(early, late)[0] / loss_of(n)(early, click)[0]) for n in ("smoothed_mel", "mrstft")}
    assert ratio["smoothed_mel"] < 0.5 * ratio["mrstft"]


def test_envelope_refuses_clips_shorter_than_its_frame():
    with pytest.raises(ValueError, match="shorter than one frame"):
        loss_of("envelope")(clips(1, 1, 500), clips(1, 1, 500))
