"""Switches, choices and stepped knobs against the exact derivative of the expected loss."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients_toys import squared_error

from dafxvae.gradients.discrete import Discrete, choice_slopes, probabilities
from dafxvae.gradients.estimators import Estimator, make_effect_loss

NUM_VALUES = (2, 0, 5, 4)  # a switch, a knob, a stepped knob, a choice
UNORDERED = (False, False, False, True)
CHOICES = np.array([0.3, -1.0, 2.0, 0.9])


def gain(rows):
    """What the box multiplies the audio with; it rounds settings itself, as a host does; `[..., 4] -> [...]`."""
    switch, knob, stepped, choice = np.moveaxis(np.asarray(rows, np.float64), -1, 0)
    index = np.floor(choice * 3 + 0.5).astype(int)
    return (0.5 + 0.8 * np.floor(switch + 0.5)) * (0.4 + knob) + np.floor(stepped * 4 + 0.5) ** 2 / 8 + CHOICES[index]


def render(audio, unit_params):
    return audio[:, None] * gain(unit_params)[:, :, None, None].astype(np.float32)


def batch(num):
    audio = jnp.broadcast_to(jnp.sin(jnp.arange(32.0))[None, :, None], (num, 32, 1))
    settings = jnp.broadcast_to(jnp.array([[0.3, 0.6, 0.4, 0.55]]), (num, 4))
    return audio, settings, 1.5 * audio, jax.random.split(jax.random.key(0), num)


def estimate(estimator, num):
    audio, settings, target, keys = batch(num)
    effect_loss = make_effect_loss(render, squared_error, estimator)
    gradient = jax.jit(jax.grad(lambda theta: effect_loss(audio, theta, keys, target).loss.sum()))(settings)
    return np.asarray(gradient, np.float64)


def loss(rows):
    audio = np.sin(np.arange(32.0))
    return (gain(rows) - 1.5) ** 2 * (audio**2).mean()


def partial_expectation(k):
    """Exact derivative of the expected loss over parameter k alone, the others as they are rendered."""
    settings = np.asarray(batch(1)[1][0], np.float64)
    values = np.arange(NUM_VALUES[k]) / (NUM_VALUES[k] - 1)
    rows = np.repeat(settings[None], len(values), axis=0)
    rows[:, k] = values
    return float(np.asarray(choice_slopes(jnp.float32(settings[k]), NUM_VALUES[k], UNORDERED[k])) @ loss(rows))


@pytest.mark.parametrize("name", ["spsa", "orthogonal"])
def test_exhaustive_is_exact_and_leaves_the_knobs_alone(name):
    estimator = Estimator(name, 1, level="loss", discrete=Discrete(NUM_VALUES, UNORDERED))
    found = estimate(estimator, 1)[0]
    expected = [partial_expectation(k) for k in (0, 2, 3)]
    np.testing.assert_allclose(found[[0, 2, 3]], expected, rtol=1e-4)
    settings = np.asarray(batch(1)[1][0], np.float64)
    nudge = np.array([0, 1e-3, 0, 0])
    np.testing.assert_allclose(found[1], (loss(settings + nudge) - loss(settings - nudge)) / 2e-3, rtol=1e-2)
    assert estimator.num_renders(4) == 1 + (2 if name == "spsa" else 1) + 1 + 1 + 3


def test_the_score_function_is_unbiased():
    """Its mean is the derivative with the other discrete parameters drawn, computed here by enumeration."""
    num = 20000
    estimator = Estimator(
        "finite_difference", 0, level="loss", discrete=Discrete(NUM_VALUES, UNORDERED, "score_function")
    )
    found = estimate(estimator, num)
    settings = np.asarray(batch(1)[1][0], np.float64)
    indices = (0, 2, 3)
    weights, draws = {}, {}
    for k in indices:
        u = jnp.float32(settings[k])
        weights[k] = np.asarray(choice_slopes(u, NUM_VALUES[k], UNORDERED[k]), np.float64)
        support = weights[k] != 0
        draws[k] = 0.8 * np.asarray(probabilities(u, NUM_VALUES[k], UNORDERED[k])) + 0.2 * support / support.sum()
    expected = np.zeros(3)
    for combination in itertools.product(*(range(NUM_VALUES[k]) for k in indices)):
        row = settings.copy()
        row[list(indices)] = [j / (NUM_VALUES[k] - 1) for k, j in zip(indices, combination)]
        for position, k in enumerate(indices):
            others = [draws[o][j] for o, j in zip(indices, combination) if o != k]
            expected[position] += weights[k][combination[position]] * np.prod(others) * loss(row)
    standard_error = found[:, indices].std(0) / np.sqrt(num)
    assert (np.abs(found[:, indices].mean(0) - expected) < 4.5 * standard_error).all()
    assert (standard_error < 0.2 * np.abs(expected)).all()  # so that the line above can fail


@pytest.mark.parametrize("method", ["exhaustive", "score_function"])
def test_descent_finds_the_best_switch(method):
    """From the wrong side, where the rounded float has no gradient at all."""

    def switched(audio, unit_params):
        return audio[:, None] * np.floor(unit_params[:, :, :1, None] + 0.5)

    audio, _, _, keys = batch(8)
    estimator = Estimator(level="loss", discrete=Discrete((2,), method=method))
    effect_loss = make_effect_loss(switched, squared_error, estimator)
    settings = jnp.full((8, 1), 0.1)

    @jax.jit
    def step(settings, number):
        fresh = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        gradient = jax.grad(lambda theta: effect_loss(audio, theta, fresh, audio).loss.sum())(settings)
        return jnp.clip(settings - 0.1 * gradient, 0, 1)

    for number in range(30):
        settings = step(settings, number)
    assert (settings > 0.5).all()


@pytest.mark.parametrize("unordered", [False, True])
def test_probabilities_and_slopes(unordered):
    for u in (0.0, 0.21, 0.5, 0.99, 1.0):
        p = probabilities(jnp.float32(u), 4, unordered)
        np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
        np.testing.assert_allclose(choice_slopes(jnp.float32(u), 4, unordered).sum(), 0, atol=1e-5)
    ahead, behind = (probabilities(jnp.float32(0.21 + d), 4, unordered) for d in (1e-2, -1e-2))
    np.testing.assert_allclose(choice_slopes(jnp.float32(0.21), 4, unordered), (ahead - behind) / 2e-2, atol=1e-3)


def test_a_switch_at_the_audio_level_is_refused():
    with pytest.raises(ValueError, match='level "loss"'):
        Estimator(discrete=Discrete((2, 0)))
    with pytest.raises(ValueError, match="unordered has 1"):
        Discrete((2, 0), (True,))
