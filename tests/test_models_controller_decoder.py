"""What a descriptor shows exactly is used exactly, and only where h has reason to."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_config
from transfer_toys import save_toy

from dafxvae.config import base_config
from dafxvae.controllers.controller import read_controller
from dafxvae.descriptors import amplitudes, catalog, combs, curves, echoes, lfo
from dafxvae.descriptors.lfo_templates import SPREAD
from dafxvae.effects.factory import open_host
from dafxvae.models import networks
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.training.state import make_optimizer
from dafxvae.training.warm_start import KnownPairs, fit_settings
from dafxvae.transfer import prediction
from dafxvae.transfer.results import Options

NUM_LATENTS = 4


def bent(reading):
    """A parameter's scale."""
    return 1.0 / (1.0 + np.exp(-1.5 * reading))


def estimates(count, seed, share_wrong=0.2):
    """Direct estimates, whether each is right, and two settings: the first follows right ones by a curve."""
    rng = np.random.default_rng(seed)
    reading, right = rng.uniform(-2.0, 2.0, count), rng.random(count) >= share_wrong
    settings = np.stack([np.where(right, bent(reading), rng.random(count)), rng.random(count)], axis=1)
    return reading, right, settings.astype(np.float32)


def test_a_curve_is_found_through_pairs_that_show_something_else():
    reading, _, settings = estimates(3000, 0)
    found = curves.fit_curves(reading[:, None], settings, np.ones(3000))
    at = np.linspace(-1.9, 1.9, 50)
    np.testing.assert_allclose(curves.evaluate_curves(found, at[:, None])[:, 0, 0], bent(at), atol=2e-3)
    assert np.asarray(curves.evaluate_curves(found, at[:, None]))[:, 1, 0] == pytest.approx(0.5, abs=0.2)


def test_pairs_that_failed_do_not_bend_it():
    reading, right, settings = estimates(600, 1, share_wrong=0.7)
    found = curves.fit_curves(reading[:, None], settings, right)
    at = np.linspace(-1.8, 1.8, 20)
    np.testing.assert_allclose(curves.evaluate_curves(found, at[:, None])[:, 0, 0], bent(at), atol=5e-3)


def test_where_most_pairs_show_something_else_the_heap_counts():
    """As with an LFO's rate: a third of the pairs lie on a curve, the others anywhere; they bend absolute errors."""
    reading, _, settings = estimates(3000, 3, share_wrong=0.65)
    settings = settings[:, :1]
    found = curves.fit_curves(reading[:, None], settings, np.ones(3000))
    at = np.linspace(-1.8, 1.8, 20)
    np.testing.assert_allclose(curves.evaluate_curves(found, at[:, None])[:, 0, 0], bent(at), atol=5e-3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "MORE", 1.0)
        bent_down = curves.fit_curves(reading[:, None], settings, np.ones(3000))
    assert np.abs(np.asarray(curves.evaluate_curves(bent_down, at[:, None]))[:, 0, 0] - bent(at)).max() > 0.1


@pytest.mark.parametrize("count", [0, 1, 5])
def test_few_pairs_give_a_curve_that_can_be_read_anywhere(count):
    reading, _, settings = estimates(count, 2)
    found = curves.fit_curves(reading[:, None], settings, np.ones(count))
    values = np.asarray(curves.evaluate_curves(found, np.asarray([[-50.0], [0.0], [50.0]])))
    assert values.shape == (3, 2, 1)
    assert np.isfinite(found).all()
    assert values.min() >= 0.0
    assert values.max() <= 1.0


def pairs(count, seed):
    """Latents, the first of which shows the setting where the direct estimate does not, and a descriptor's two columns:
    the estimate, over which the setting goes up and down too often for a small network, and its confidence."""
    reading, right, settings = estimates(count, seed)
    rng = np.random.default_rng(seed + 100)
    clearness = np.where(right, 1.0, -1.0) + 0.2 * rng.standard_normal(count)
    latents = rng.standard_normal((count, NUM_LATENTS))
    settings[:, 0] = np.where(right, 0.5 + 0.4 * np.sin(4.0 * reading), bent(latents[:, 0]))
    z = np.concatenate([latents, np.stack([reading, clearness], 1)], axis=1)
    return KnownPairs(z.astype(np.float32), settings, np.ones(count, np.float32)), right


@pytest.fixture(scope="module")
def learnt():
    """h after its warm start, noisy latents and all."""
    h = ControllerDecoder((32,), 2, 2, (-2,))
    params = h.init(jax.random.key(0), np.zeros((1, NUM_LATENTS + 2)))["params"]
    (train, _), (valid, _) = pairs(2000, 0), pairs(200, 1)
    config = tiny_config(
        h__warm_start__num_steps=1500, h__warm_start__learning_rate=0.01, h__warm_start__noise=0.2
    ).h.warm_start
    return h, fit_settings(h, params, train, valid, config, jax.random.key(1)).params


def test_h_takes_the_direct_estimate_where_the_descriptor_is_clear_and_the_network_elsewhere(learnt):
    h, params = learnt
    test, right = pairs(500, 2)
    found = h.apply({"params": params}, test.features, method=ControllerDecoder.candidates)
    np.testing.assert_allclose(np.asarray(found.weights).sum(-1), 1.0, atol=1e-6)
    reads = np.asarray(found.weights)[:, 0, 1] > 0.5
    assert (reads == right).mean() > 0.97
    error = np.abs(np.asarray(h.apply({"params": params}, test.features)) - test.unit_params)
    assert np.quantile(error[right, 0], 0.95) < 1e-2
    assert error[~right, 0].mean() < 0.1  # latents are noisy while it learns
    assert error[:, 1].mean() < 0.3


def test_without_descriptors_h_is_a_network_alone():
    h = ControllerDecoder((16,), 3)
    params = h.init(jax.random.key(0), np.zeros((1, NUM_LATENTS)))["params"]
    assert set(params) == {"MLP_0"}


def test_training_on_sound_leaves_the_curves_as_they_are(learnt):
    """Neither a gradient nor weight decay moves them."""
    h, params = learnt
    config = tiny_config(h__weight_decay=0.5, h__learning_rate=0.1, h__warmup_steps=0).h
    optimizer = make_optimizer(config)
    z = pairs(8, 3)[0].features
    gradient = jax.grad(lambda params: jnp.sum(h.apply({"params": params}, z) ** 2))(params)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    after = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(after["curves"], params["curves"])
    assert np.abs(np.asarray(after["MLP_0"]["Dense_0"]["kernel"] - params["MLP_0"]["Dense_0"]["kernel"])).max() > 0


def test_a_scale_that_is_known_is_not_fitted():
    """Above 1 the reading is wrong in most pairs: a fitted curve leaves the right ones there, a known one does not."""
    rng = np.random.default_rng(7)
    reading = rng.uniform(-1.5, 2.0, 3000).astype(np.float32)
    right = rng.random(3000) < np.where(reading > 1.0, 0.2, 0.6)
    settings = np.where(right, reading / 4.0 + 0.45, rng.random(3000)).astype(np.float32)[:, None]
    train = KnownPairs(np.stack([rng.standard_normal(3000).astype(np.float32), reading], 1), settings, np.ones(3000))
    h = ControllerDecoder((8,), 1, 1, (-1,))
    params = h.init(jax.random.key(0), train.features[:1])["params"]
    config = tiny_config().h.warm_start
    high = np.linspace(1.2, 1.9, 20).astype(np.float32)
    exact = {(0, 0): lambda at: at / 4.0 + 0.45}
    known = fit_settings(h, params, train, train, config, jax.random.key(1), known_curves=exact).params["curves"]
    fitted = curves.fit_curves(train.features[:, 1:], settings, train.valid)
    off = [
        np.abs(np.asarray(curves.evaluate_curves(c, high[:, None]))[:, 0, 0] - exact[0, 0](high)).max()
        for c in (known, fitted)
    ]
    assert off[0] < 1e-5
    assert off[1] > 0.02


def test_h_knows_which_direct_estimates_are_rates():
    groups = ("echoes", "lfo", "amplitudes", "lfo_lags", "lfo_templates")
    config = tiny_config(h__descriptors=groups)
    descriptors = networks.input_descriptors(config)
    direct, columns = networks.build_h(config, 2).direct, catalog.columns_of(descriptors, 2)
    rates = [direct[j] for j in catalog.rate_estimates(descriptors)]
    assert rates == [columns["lfo"][0], columns["lfo_lags"][0], columns["lfo_templates"][2]]


def test_h_knows_where_the_direct_estimates_stand():
    h = networks.build_h(tiny_config(h__descriptors=("combs", "echoes", "amplitudes")), 2)
    assert h.num_descriptors == 2 * combs.NUM_BANDS + echoes.NUM_COLUMNS + amplitudes.NUM_COLUMNS
    lag = -amplitudes.NUM_COLUMNS - echoes.NUM_COLUMNS + echoes.STRONGEST_LAG
    peak = -amplitudes.NUM_COLUMNS + amplitudes.PEAK
    assert h.direct == (lag, peak, peak + 4)
    assert networks.build_h(tiny_config(h__descriptors=("movement",)), 2).direct == ()
    h = networks.build_h(tiny_config(h__descriptors=("lfo_templates",)), 2)
    assert (h.direct, h.estimates) == ((-3,), ())
    assert networks.build_h(
        tiny_config(h__descriptors=("lfo_templates",), h__lfo__mix_estimates=True), 2
    ).estimates == (-2, -1)


def test_noise_keeps_off_what_is_exact():
    groups = ("echoes", "lfo", "lfo_templates", "amplitudes")
    descriptors = catalog.find_descriptors(groups)
    num_features = 7 + catalog.num_columns(descriptors, 2)
    uncertain = catalog.uncertain_columns(num_features, descriptors, 2)
    period = 7 + echoes.NUM_COLUMNS + 2
    expected = [*range(7), *range(period, period + lfo.NUM_COLUMNS - 2)]
    np.testing.assert_array_equal(uncertain, expected)
    h = networks.build_h(tiny_config(h__descriptors=groups), 2)
    assert not set(uncertain) & {num_features + place for place in h.direct}


def test_rough_estimates_are_followed_where_they_are_clear():
    """Half of the pairs are clear, and estimated to .01; a network of all inputs alone is further off there."""
    rng = np.random.default_rng(5)
    settings = rng.random((4000, 2)).astype(np.float32)
    clear = rng.random(4000) < 0.5
    estimated = np.where(clear[:, None], settings + 0.01 * rng.standard_normal((4000, 2)), rng.random((4000, 2)))
    others = rng.standard_normal((4000, 20))
    z = np.concatenate([others, clear[:, None], SPREAD * (estimated - 0.5)], axis=1).astype(np.float32)
    train, valid, test = (
        KnownPairs(z[part], settings[part], np.ones(len(z[part]))) for part in np.split(np.arange(4000), [3200, 3600])
    )
    config = base_config().h.warm_start
    error = {}
    for columns in ((), (-2, -1)):
        h = ControllerDecoder((32,), 2, 3, (), columns)
        params = h.init(jax.random.key(0), z[:1])["params"]
        found = fit_settings(h, params, train, valid, config, jax.random.key(1))
        off = np.abs(np.asarray(h.apply({"params": found.params}, test.features)) - test.unit_params)
        error[columns] = np.median(off[clear[3600:]])
    assert error[-2, -1] < 0.02
    assert error[-2, -1] < 0.5 * error[()]


def test_a_share_of_one_is_what_is_estimates():
    z = np.random.default_rng(6).standard_normal((5, 8)).astype(np.float32)
    h = ControllerDecoder((4,), 2, 3, (-3,), (-2, -1))
    params = jax.tree.map(np.array, h.init(jax.random.key(0), z)["params"])
    params["MLP_0"]["Dense_1"]["bias"][4:] = 100.0  # behind the network's outputs and the estimate's weight
    guess = h.apply({"params": params}, z, method=ControllerDecoder.candidates).settings[..., 0]
    np.testing.assert_allclose(guess, np.clip(z[:, -2:] / SPREAD + 0.5, 0.0, 1.0), atol=1e-6)


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    """With g's latent of four, and echoes."""
    return read_controller(save_toy(tmp_path_factory.mktemp("toy")))


def test_of_several_windows_the_clearest_echo_counts_and_the_mean_of_all_else(controller):
    latents = np.random.default_rng(0).standard_normal((3, 5, 4 + echoes.NUM_COLUMNS)).astype(np.float32)
    found = controller.combine(latents)
    np.testing.assert_allclose(found[:, :4], latents[:, :, :4].mean(1), atol=1e-6)
    for item, rows in zip(found, latents):
        np.testing.assert_array_equal(item[4:], rows[rows[:, 4 + echoes.CONFIDENCE].argmax(), 4:])


def test_refinement_leaves_direct_estimates_alone(controller, monkeypatch):
    """The distance of styles depends little on the exact time of an echo."""
    monkeypatch.setattr("dafxvae.transfer.amount.NEAR", 1e-6)  # networks that were never trained
    count = len(controller.parameters)
    params = jax.tree.map(np.array, controller.params)
    params["MLP_0"]["Dense_1"]["bias"][count + 1] = 1e6  # the second setting takes the direct estimate
    reading = dataclasses.replace(controller, params=params)
    dry, reference = np.random.default_rng(2).standard_normal((2, 1, 8192, 1)).astype(np.float32) * 0.1
    settings, is_direct, _ = prediction.predict(reading, dry, [reference])
    assert is_direct.tolist() == [i == 1 for i in range(count)]
    with open_host(controller.effect, num_workers=1) as host:
        excerpts = (lambda: dry[0]), (lambda: (dry[0], 24000))
        found = prediction.find_settings(host, reading, dry, [reference], *excerpts, 24000, Options(refine=12), None)
    assert found.unit_params[1] == pytest.approx(settings[1], abs=1e-6)
    assert np.abs(found.unit_params - settings)[~is_direct].max() > 1e-3
