"""What a dimension does, on decoders whose answer is known; disentanglement on planted latents."""

import numpy as np
import pytest

from dafxvae.latent import activity
from dafxvae.latent.disentangle import (
    beta_vae_metric,
    bins,
    discrete_entropy,
    effect_scores,
    mutual_information,
    mutual_information_gap,
)
from dafxvae.latent.probes import ProbeTask

RNG = np.random.default_rng(0)


def test_kl_activity_and_aggregate():
    mean = np.stack([RNG.standard_normal(4000), np.zeros(4000)], axis=1)
    log_variance = np.tile([np.log(0.25), 0.0], (4000, 1))
    found = activity.per_dimension(mean, log_variance)
    assert found.kl_nats[0] == pytest.approx(0.5 * ((mean[:, 0] ** 2).mean() + 0.25 - np.log(0.25) - 1))
    assert found.kl_nats[1] == 0.0
    assert found.active.tolist() == [True, False]
    assert found.deviation == pytest.approx([np.sqrt(mean[:, 0].var() + 0.25), 1.0])
    frames = activity.per_dimension(mean.reshape(40, 100, 2), log_variance.reshape(40, 100, 2))
    np.testing.assert_allclose(frames.kl_nats, found.kl_nats)


def test_output_variance_is_exact_for_a_polynomial_and_zero_for_a_dead_dimension():
    """D = (3 z0, z1²): Var 9 and 2 of one of two outputs each; z2 does nothing, whatever its mean."""
    means = RNG.standard_normal((20, 3))

    def decode(z):
        return np.stack([3.0 * z[:, 0], z[:, 1] ** 2], axis=1)

    np.testing.assert_allclose(activity.output_variance(decode, means), [4.5, 1.0, 0.0], atol=1e-9)


def test_output_variance_moves_all_frames_together():
    means = RNG.standard_normal((4, 5, 2))
    found = activity.output_variance(lambda z: z.mean(1), means)
    np.testing.assert_allclose(found, [0.5, 0.5], atol=1e-9)


def test_swap_variance_is_the_total_effect():
    inputs = RNG.standard_normal((2000, 3))
    blocks = [np.asarray([k]) for k in range(3)]
    found = activity.swap_variance(lambda x: 2.0 * x[:, :1] + 0.0 * x[:, 1:2], inputs, blocks)
    np.testing.assert_allclose(found, [4.0, 0.0, 0.0], rtol=0.1)


def test_the_recommended_size_is_what_any_output_needs():
    sound = np.asarray([1.0, 0.0, 0.005, 0.0])
    settings = np.asarray([0.0, 0.0, 1.0, 0.02])
    found = activity.recommend({"sound": sound, "settings": settings})
    assert found.used.tolist() == [True, False, True, True]
    assert found.size == 3
    assert found.order.tolist() == [2, 0, 3, 1] or found.order.tolist() == [0, 2, 3, 1]
    np.testing.assert_allclose(found.curves["settings"][-1], 1.0)
    dead = activity.recommend({"sound": np.zeros(4)})
    assert not dead.used.any()
    assert dead.size == 1


def test_kept_curve_falls_to_the_full_error():
    means = RNG.standard_normal((50, 3))
    curve = activity.kept_curve(lambda z: ((z - means) ** 2).sum(1), means, np.asarray([2, 0, 1]))
    assert curve.shape == (4, 50)
    np.testing.assert_allclose(curve[-1], 0.0, atol=1e-12)
    np.testing.assert_allclose(curve[0].mean(), means.var(0).sum())
    assert (np.diff(curve.mean(1)) < 0).all()


def test_information_of_discrete_variables():
    a = np.repeat(np.arange(4), 250)
    assert discrete_entropy(a) == pytest.approx(np.log(4))
    assert mutual_information(a, a) == pytest.approx(np.log(4), abs=0.01)
    assert mutual_information(a, np.random.default_rng(1).permutation(a)) < 0.01


def test_bins_are_quantiles_and_keep_equal_values_together():
    assert np.bincount(bins(np.arange(100.0)[:, None], 5)[:, 0]).tolist() == [20] * 5
    assert len(np.unique(bins(np.repeat([0.0, 1.0], 50)[:, None], 5))) == 2


def factors_and_latents(count):
    factors = RNG.random((count, 3))
    return factors, np.concatenate([factors, 1e-3 * RNG.standard_normal((count, 1))], axis=1)


def test_scores_of_a_perfect_and_of_a_mixed_latent():
    factors, z = factors_and_latents(600)
    codes = bins(factors, 5)
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]
    scale = np.append(np.ones(3), 300.0)
    mixed = (z * scale) @ rotation
    perfect, poor = (mutual_information_gap(latent, codes) for latent in (z, mixed))
    assert perfect > 0.9
    assert poor < 0.3
    half = slice(0, 300), slice(300, 600)
    metric = beta_vae_metric(*((z[part], codes[part]) for part in half), np.random.default_rng(0))
    assert metric == 1.0
    noise = RNG.standard_normal((600, 4))
    chance = beta_vae_metric(*((noise[part], codes[part]) for part in half), np.random.default_rng(0))
    assert abs(chance - 1 / 3) < 0.12


def test_an_effect_with_one_setting_has_no_score():
    factors, z = factors_and_latents(200)
    mask = np.zeros((200, 3))
    mask[:100, :1], mask[100:, 1:] = 1.0, 1.0
    task = ProbeTask(np.repeat([0, 1], 100), factors * mask, mask)
    assert effect_scores(0, (z, z), (task, task)) is None
    scores = effect_scores(1, (z, z), (task, task))
    assert scores is not None
    assert scores.num_factors == 2
    assert scores.mig > 0.8
