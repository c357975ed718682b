import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.training.warm_start import KnownPairs, fit_settings, squared_error

CONFIG = ConfigDict(
    {
        "num_steps": 300,
        "batch_size": 32,
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "noise": 0.05,
        "margin": 0.4,
        "evaluations": 6,
    }
)


def known(count, seed, noise=0.0):
    """Settings that follow from the first two of four latents."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((count, 4)).astype(np.float32)
    unit_params = 1 / (1 + np.exp(-z[:, :2] + noise * rng.standard_normal((count, 2))))
    return KnownPairs(z, unit_params.astype(np.float32), np.ones(count, np.float32))


@pytest.fixture(scope="module")
def start():
    h = ControllerDecoder((16,), 2)
    return h, h.init(jax.random.key(0), np.zeros((1, 4)))["params"]


def test_it_learns_what_holds_for_other_recordings(start):
    train, valid = known(500, 0), known(100, 1)
    found = fit_settings(*start, train, valid, CONFIG, jax.random.key(1))
    before = float(squared_error(*start, valid))
    assert float(squared_error(start[0], found.params, valid)) < 0.1 * before
    assert float(found.errors.min()) == pytest.approx(float(squared_error(start[0], found.params, valid)), rel=1e-5)


def test_the_same_twice_has_the_same_bits(start):
    first, second = (fit_settings(*start, known(64, 0), known(32, 1), CONFIG, jax.random.key(1)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_it_stops_where_other_recordings_are_predicted_best(start):
    """Settings by chance can only be learnt by heart: the parameters of the start are kept."""
    rng = np.random.default_rng(2)
    train, valid = (k._replace(unit_params=rng.random(k.unit_params.shape).astype(np.float32)) for k in
                    (known(40, 3), known(400, 4)))  # fmt: skip
    found = fit_settings(*start, train, valid, CONFIG, jax.random.key(1))
    kept = float(squared_error(start[0], found.params, valid))
    assert kept <= float(squared_error(*start, valid))
    assert kept < float(found.errors[-1])


def test_pairs_that_failed_do_not_count(start):
    train, valid = known(200, 0), known(50, 1)
    spoilt = np.arange(200) % 2 == 0
    wrong = np.where(spoilt[:, None], 1.0 - train.unit_params, train.unit_params).astype(np.float32)
    masked = train._replace(unit_params=wrong, valid=(~spoilt).astype(np.float32))
    counted = train._replace(unit_params=wrong)
    errors = [float(fit_settings(*start, k, valid, CONFIG, jax.random.key(1)).errors.min()) for k in (masked, counted)]
    assert errors[0] < 0.3 * errors[1]
