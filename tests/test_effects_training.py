"""A controller learns to set a chain of Pedalboard and VST3 effects, by SPSA through the real thing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from effects_vst3 import build_trouble, zam

from dafxvae.audio.losses import multi_resolution_stft
from dafxvae.effects.factory import open_host
from dafxvae.gradients.estimators import make_effect_loss
from dafxvae.gradients.schemes import Estimator

pytestmark = pytest.mark.vst3
SAMPLE_RATE = 24000
BATCH, NUM_SAMPLES, NUM_BANDS = 8, 6000, 12
ESTIMATOR = Estimator("spsa", num_probes=1, step_size=1e-2, level="loss")


def loss_fn(output, target):
    return multi_resolution_stft(output, target, (128, 512, 2048)), {}


def features(target, dry):
    """What the effect did, in dB by octave-like band: `[B, NUM_BANDS]`."""

    def bands(audio):
        power = np.abs(np.fft.rfft(audio[..., 0], axis=1)) ** 2
        edges = np.geomspace(40, SAMPLE_RATE / 2, NUM_BANDS + 1) * NUM_SAMPLES / SAMPLE_RATE
        pieces = np.split(power, edges.astype(int), axis=1)[1 : NUM_BANDS + 1]
        return np.log(np.stack([piece.mean(axis=1) for piece in pieces], axis=1) + 1e-9)

    return (0.3 * (bands(target) - bands(dry))).astype(np.float32)


def train(host, steps, seed=0):
    """A linear controller, Adam, fresh items each step; returns the loss and the share of valid items of every step."""
    rng = np.random.default_rng(seed)
    effect_loss = make_effect_loss(lambda a, u: host.render_variants(a, u, SAMPLE_RATE), loss_fn, ESTIMATOR)
    shape = (NUM_BANDS, len(host.parameters))
    weights = {"w": jnp.asarray(0.1 * rng.standard_normal(shape), jnp.float32), "b": jnp.zeros(shape[1])}
    optimiser = optax.adam(5e-2)
    state = optimiser.init(weights)

    @jax.jit
    def step(weights, state, dry, seen, target, key):
        def objective(weights):
            unit_params = jax.nn.sigmoid(seen @ weights["w"] + weights["b"][None, :])
            result = effect_loss(dry, unit_params, jax.random.split(key, BATCH), target)
            return jnp.sum(result.loss) / jnp.maximum(jnp.sum(result.valid), 1.0), jnp.mean(result.valid)

        (loss, valid), gradient = jax.value_and_grad(objective, has_aux=True)(weights)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(weights, updates), state, loss, valid, optax.tree.norm(gradient)

    history = []
    for i in range(steps):
        dry = (0.15 * rng.standard_normal((BATCH, NUM_SAMPLES, 1))).astype(np.float32)
        target = host.render(dry, 0.2 + 0.6 * host.parameters.sample(rng, BATCH), SAMPLE_RATE)
        seen = features(np.nan_to_num(target), dry)
        key = jax.random.fold_in(jax.random.key(seed), i)
        weights, state, loss, valid, norm = step(weights, state, dry, seen, np.nan_to_num(target), key)
        assert np.isfinite(norm)
        history.append((float(loss), float(valid)))
    return np.array(history).T


def test_a_chain_of_pedalboard_and_zam_effects_is_trained():
    eq = f"{zam('ZamEQ2')}(boost_cut_1_db, boost_cut_h_db, master_gain_db)"
    with open_host(f"LowpassFilter | {eq} | Gain(-, gain_db=-6)") as host:
        assert len(host.parameters) == 4
        losses, valid = train(host, 60)
        assert host.failures.count == 0
        assert (valid == 1).all()
    assert np.mean(losses[-15:]) < 0.6 * np.mean(losses[:5])


def test_items_that_fail_are_masked_and_the_rest_is_learnt(tmp_path_factory):
    """The controller itself throws the switch that makes the plugin return NaN, for some items of each batch."""
    trouble = build_trouble(tmp_path_factory.getbasetemp())
    with open_host(f"{trouble}(cutoff_hz, voices, nan) | Gain(-, gain_db=-12)") as host:
        host.failures.max_consecutive = 1000
        losses, valid = train(host, 15)
        assert host.failures.count > 15
    assert 0.1 < valid.mean() < 0.95
    assert np.isfinite(losses).all()
