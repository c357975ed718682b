"""The estimators on real effects: against central differences, inside and at the bounds, and along a chain."""
# pyright: reportArgumentType=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients_toys import cosine, squared_error
from reference_hosts import reference_gain, reference_one_pole, reference_soft_clip

from dafxvae.effects.factory import open_host
from dafxvae.gradients.estimators import Estimator, make_effect, make_effect_loss

RATE, SAMPLES, STEP = 24000, 2048, 1e-3
SMOOTH = ("Reverb", "Compressor", "PeakFilter | Distortion")


def clip(seed=0, samples=SAMPLES):
    """Decaying bursts of three partials and noise: something for every effect to work on; `[T, 1]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    tone = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 1230.0, 3700.0)) / 3 + 0.1 * rng.normal(size=samples)
    return (0.5 * tone * np.exp(-20 * (time % 0.06))).astype(np.float32)[:, None]


def central_difference(host, audio, settings, target):
    """Of the squared error, about the nearest centre that leaves room for the step; float64 `[K]`."""
    centre, size = np.clip(settings.astype(np.float64), STEP, 1 - STEP), len(settings)
    rows = np.concatenate([centre + STEP * np.eye(size), centre - STEP * np.eye(size)])[None].astype(np.float32)
    out = host.render_variants(audio[None], rows, RATE)[0].astype(np.float64)
    losses = ((out - target) ** 2).mean(axis=(1, 2))
    return (losses[:size] - losses[size:]) / (rows[0, :size] - rows[0, size:]).diagonal()


@pytest.mark.parametrize("name", SMOOTH)
def test_the_mean_of_spsa_is_the_central_difference(name):
    audio, num_keys = clip(), 128
    with open_host(name) as host:
        size = len(host.parameters)
        rng = np.random.default_rng(1)
        inside, truth = rng.uniform(0.2, 0.8, (2, size)).astype(np.float32)
        mixed = np.where(np.arange(size) % 2, inside, np.where(np.arange(size) % 4, 1.0, 0.0)).astype(np.float32)
        target = host.render(audio[None], truth[None], RATE)[0]
        effect_loss = make_effect_loss(
            lambda audio, unit_params: host.render_variants(audio, unit_params, RATE),
            squared_error,
            Estimator("spsa", 1, STEP, level="loss"),
        )
        repeat = lambda x: jnp.broadcast_to(x, (num_keys, *x.shape))  # noqa: E731
        keys = jax.random.split(jax.random.key(0), num_keys)

        @jax.jit
        def gradient(settings):
            return jax.grad(lambda p: effect_loss(repeat(audio), p, keys, repeat(target)).loss.sum())(settings)

        for settings in (inside, mixed):
            found = np.asarray(gradient(repeat(settings)), np.float64)
            exact = central_difference(host, audio, settings, target)
            standard_error = found.std(0) / np.sqrt(num_keys)
            allowed = 4.5 * standard_error + 0.02 * np.linalg.norm(exact)  # float32 losses: 1e-7 / 1e-3 of a loss
            assert (np.abs(found.mean(0) - exact) < allowed).all(), (found.mean(0), exact, standard_error)


@pytest.mark.parametrize(
    ("make_host", "name"),
    [
        (reference_gain, "spsa_one_sided"),
        (reference_soft_clip, "spsa"),
        (reference_soft_clip, "orthogonal"),
        (reference_one_pole, "spsa"),
        (reference_one_pole, "finite_difference"),
    ],
)
def test_reference_effects_with_analytic_gradients(make_host, name):
    host, audio, num_keys = make_host(), clip(samples=256), 64
    settings = np.full((1, len(host.parameters)), 0.4, np.float32)
    upstream = np.random.default_rng(0).normal(size=audio.shape).astype(np.float32)
    exact = np.einsum("tc,tck->k", upstream, host.jacobian(audio[None], settings, RATE)[0])
    effect = make_effect(
        lambda audio, unit_params: host.render_variants(audio, unit_params, RATE), Estimator(name, 2, STEP)
    )
    repeat = lambda x: jnp.broadcast_to(x, (num_keys, *x.shape))  # noqa: E731
    keys = jax.random.split(jax.random.key(0), num_keys)

    @jax.jit
    def both(settings):
        output, pull = jax.vjp(lambda p: effect(repeat(audio), p, keys), settings)
        return output, pull(repeat(upstream))[0]

    output, found = both(repeat(settings[0]))
    np.testing.assert_allclose(output[0], host.render(audio[None], settings, RATE)[0], atol=1e-6)
    standard_error = np.asarray(found).std(0) / np.sqrt(num_keys)
    assert (np.abs(np.asarray(found).mean(0) - exact) < 4.5 * standard_error + 1e-2 * np.linalg.norm(exact)).all()


def test_a_chain_renders_only_what_follows_the_moved_effect(monkeypatch):
    """Probes of single effects: the renders of every stage are counted."""
    from dafxvae.effects import chain

    stages, original = [], chain.render_units

    def counting(worker, units, settings, audio, sample_rate):
        stages.extend(unit.spec.name for unit in units)
        return original(worker, units, settings, audio, sample_rate)

    monkeypatch.setattr(chain, "render_units", counting)
    with open_host("PeakFilter | Compressor | Reverb", num_workers=1) as host:
        blocks = tuple(len(unit.parameters) for unit in host.chain.units)
        size = sum(blocks)
        audio = jnp.asarray(clip(samples=1024))[None]
        params, keys = jnp.full((1, size), 0.5), jax.random.split(jax.random.key(0), 1)
        for estimator in (Estimator("orthogonal", 0, blocks=blocks), Estimator("finite_difference", 0)):
            stages.clear()
            effect = make_effect(lambda audio, p: host.render_variants(audio, p, RATE), estimator)
            jax.block_until_ready(jax.jit(jax.grad(lambda p, effect=effect: effect(audio, p, keys).sum()))(params))
            first, second, third = blocks
            counts = [stages.count(unit.spec.name) for unit in host.chain.units]
            assert counts == [1 + first, 1 + first + second, 1 + first + second + third]


def test_blocks_are_exact_too():
    with open_host("PeakFilter | Distortion") as host:
        blocks = tuple(len(unit.parameters) for unit in host.chain.units)
        size = sum(blocks)
        rng = np.random.default_rng(2)
        settings, truth = rng.uniform(0.3, 0.7, (2, 1, size)).astype(np.float32)
        audio = clip()[None]
        target = host.render(audio, truth, RATE)
        effect_loss = make_effect_loss(
            lambda audio, p: host.render_variants(audio, p, RATE),
            squared_error,
            Estimator("orthogonal", 0, STEP, blocks=blocks),
        )
        keys = jax.random.split(jax.random.key(0), 1)
        found = jax.jit(jax.grad(lambda p: effect_loss(audio, p, keys, target).loss.sum()))(jnp.asarray(settings))
        exact = central_difference(host, audio[0], settings[0], target[0])
    assert cosine(found[0], exact) > 0.999


def test_failures_are_counted_and_the_step_goes_on():
    """Audio with a NaN makes the host fail: masked here, counted there."""
    audio = np.repeat(clip(samples=512)[None], 3, axis=0)
    audio[1, 100] = np.nan
    with open_host("Compressor") as host:
        effect_loss = make_effect_loss(
            lambda audio, p: host.render_variants(audio, p, RATE), squared_error, Estimator("spsa", 1)
        )
        keys = jax.random.split(jax.random.key(0), 3)
        target = np.repeat(audio[:1], 3, axis=0)

        def step(params):
            result = effect_loss(audio, params, keys, target)
            return result.loss.sum(), result

        (_, result), gradient = jax.jit(jax.value_and_grad(step, has_aux=True))(jnp.full((3, 4), 0.4))
        assert host.failures.count >= 3
    np.testing.assert_array_equal(result.valid, [1, 0, 1])
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0)
    assert np.abs(gradient[0]).sum() > 0
    assert np.isfinite(result.loss).all()
