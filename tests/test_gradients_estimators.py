"""The estimators against exact gradients, at the bounds, under every transformation, and with renders that fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients_toys import NUM_PARAMS, ToyHost, cosine, exact_gradient, squared_error, toy, toy_batch

from dafxvae.gradients.estimators import EffectLoss, Estimator, make_effect, make_effect_loss

NAMES = ("spsa", "spsa_one_sided", "orthogonal", "finite_difference")
LEVELS = ("audio", "loss")
PAIRS = [("spsa", "audio"), ("spsa_one_sided", "loss"), ("orthogonal", "loss"), ("finite_difference", "audio")]


def gradient_of(estimator, host, audio, params, keys, target):
    """Estimated gradient of the summed loss; `[B, K]`."""
    effect_loss = make_effect_loss(host, squared_error, estimator)
    return jax.jit(jax.grad(lambda theta: jnp.sum(effect_loss(audio, theta, keys, target).loss)))(params)


def estimates(estimator, audio, params, target, num_keys, seed=1):
    """Independent estimates of one example's gradient, in one batch; `[num_keys, K]`."""
    repeat = lambda x: jnp.repeat(x[:1], num_keys, axis=0)  # noqa: E731
    keys = jax.random.split(jax.random.key(seed), num_keys)
    return np.asarray(gradient_of(estimator, ToyHost(), repeat(audio), repeat(params), keys, repeat(target)))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_the_mean_over_keys_is_the_gradient_inside_and_at_the_bounds(name, level):
    audio, params, target, _ = toy_batch(1)
    corners = [params[0], jnp.zeros(5), jnp.ones(5), jnp.array([0.0, 0.5, 1.0, 1e-4, 0.7])]
    num_keys = 1500
    places = jnp.repeat(jnp.stack(corners), num_keys, axis=0)
    keys = jax.random.split(jax.random.key(1), len(places))
    audio, target = (jnp.repeat(x, len(places), axis=0) for x in (audio, target))
    estimator = Estimator(name, num_probes=2, step_size=1e-3, level=level)
    found = np.asarray(gradient_of(estimator, ToyHost(), audio, places, keys, target)).reshape(4, num_keys, 5)
    exact = np.asarray(exact_gradient(audio[:4], jnp.stack(corners), target[:4]))
    error = found.mean(1) - exact
    standard_error = found.std(1) / np.sqrt(num_keys)
    # 4.5 standard errors, and the bias of a one-sided step (half a step's curvature)
    allowed = 4.5 * standard_error + 3e-3 * np.linalg.norm(exact, axis=-1, keepdims=True)
    assert (np.abs(error) < allowed).all(), (error, standard_error, exact)


@pytest.mark.parametrize(("level", "two_sided"), [("audio", False), ("loss", False), ("loss", True)])
@pytest.mark.parametrize("name", ["orthogonal", "finite_difference"])
def test_one_probe_per_parameter_is_exact(name, two_sided, level):
    audio, params, target, keys = toy_batch(8)
    params = params.at[:4, 1].set(0.0).at[:4, 2].set(1.0).at[0].set(0.0)
    estimator = Estimator(name, num_probes=0, step_size=1e-3, level=level, two_sided=two_sided)
    found = gradient_of(estimator, ToyHost(), audio, params, keys, target)
    exact = exact_gradient(audio, params, target)
    assert cosine(found, exact).min() > 0.9999
    np.testing.assert_allclose(found, exact, atol=5e-3 * float(jnp.abs(exact).max()))


def test_perturbed_settings_stay_in_range_and_one_parameter_per_step():
    seen = []

    def render(audio, unit_params):
        seen.append(np.array(unit_params))
        return ToyHost()(audio, unit_params)

    audio, params, target, keys = toy_batch(8)
    params = params.at[0].set(0.0).at[1].set(1.0).at[2].set(0.003)
    for name in NAMES:
        gradient_of(Estimator(name, num_probes=3, step_size=0.1), render, audio, params, keys, target)
        assert seen[-1].min() >= 0
        assert seen[-1].max() <= 1
        assert np.abs(seen[-1][:, 1:] - seen[-1][:, :1]).max() <= 0.2 + 1e-6
    np.testing.assert_array_equal(seen[-1][:, 0], params)


@pytest.mark.parametrize(("name", "level"), PAIRS)
def test_steps_per_parameter(name, level):
    """A step of zero holds a parameter still; unequal steps leave the mean alone."""
    audio, params, target, _ = toy_batch(1)
    steps = (1e-3, 2e-3, 0.0, 5e-4, 1e-3)
    found = estimates(Estimator(name, 2, step_size=steps, level=level), audio, params, target, 2000)
    exact = np.array(exact_gradient(audio, params, target))[0]
    exact[2] = 0
    np.testing.assert_array_equal(found[:, 2], 0)
    standard_error = found.std(0) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - exact) < 4.5 * standard_error + 3e-3 * np.linalg.norm(exact)).all()


def test_more_orthogonal_directions_give_a_better_gradient_per_render():
    audio, params, target, _ = toy_batch(1)
    exact = exact_gradient(audio, params, target)

    def quality(estimator):
        return cosine(estimates(estimator, audio, params, target, 500), exact).mean()

    spsa_one = quality(Estimator("spsa", 1))
    assert abs(spsa_one - 0.4) < 0.1  # the theory's mean of |cos| with one direction of five, 0.38 to 0.43
    assert quality(Estimator("orthogonal", 2)) > spsa_one + 0.1  # as many renders
    assert quality(Estimator("spsa", 4)) > spsa_one + 0.2


@pytest.mark.parametrize(("name", "level"), PAIRS[1:3])
def test_one_call_carries_every_render_and_none_is_made_in_vain(name, level):
    audio, params, target, keys = toy_batch(3)
    estimator = Estimator(name, 2, level=level)
    host = ToyHost()
    effect_loss = make_effect_loss(host, squared_error, estimator)
    jax.block_until_ready(jax.jit(effect_loss)(audio, params, keys, target))
    assert host.variants == [1]
    jax.block_until_ready(
        jax.jit(jax.value_and_grad(lambda theta: effect_loss(audio, theta, keys, target).loss.sum()))(params)
    )
    assert host.variants == [1, estimator.num_renders(NUM_PARAMS)]


@pytest.mark.parametrize(("name", "level", "batch"), [(*pair, 1 + 2 * (n % 2)) for n, pair in enumerate(PAIRS)])
def test_jit_changes_nothing(name, level, batch):
    audio, params, target, keys = toy_batch(batch)
    effect_loss = make_effect_loss(ToyHost(), squared_error, Estimator(name, 2, level=level))

    def step(theta):
        return effect_loss(audio, theta, keys, target).loss.sum()

    eager, jitted = jax.value_and_grad(step)(params), jax.jit(jax.value_and_grad(step))(params)
    # a loss difference is 1e-3 of a loss, so rounding of the loss (1e-7) counts a thousandfold
    np.testing.assert_allclose(jitted[0], eager[0], rtol=1e-6)
    np.testing.assert_allclose(jitted[1], eager[1], atol=3e-4 * float(jnp.abs(eager[1]).max()))


def test_one_parameter():
    def render(audio, unit_params):
        return audio[:, None] * unit_params[:, :, :, None]

    audio, _, _, keys = toy_batch(2)
    params = jnp.array([[0.0], [1.0]])
    for name in NAMES:
        effect = make_effect(render, Estimator(name, 4))
        found = jax.jit(jax.grad(lambda theta, effect=effect: jnp.sum(effect(audio, theta, keys) * audio)))(params)
        exact = jnp.sum(audio**2, axis=(1, 2))[:, None]
        if name == "spsa_one_sided":  # at a bound it moves or stays, so it is right in the mean only
            assert ((found >= 0) & (found <= 2.001 * exact)).all()
        else:
            np.testing.assert_allclose(found, exact, rtol=1e-3)


def split(x, devices):
    return x.reshape(devices, -1, *x.shape[1:])


@pytest.mark.parametrize(("name", "level"), PAIRS[:3])
def test_one_two_and_four_devices_agree(name, level):
    audio, params, target, keys = toy_batch(4, samples=256)
    effect_loss = make_effect_loss(ToyHost(), squared_error, Estimator(name, 2, step_size=1e-2, level=level))

    def step(audio, params, keys, target):
        def mean_loss(theta):
            return effect_loss(audio, theta, keys, target).loss.mean()

        value, gradient = jax.value_and_grad(mean_loss)(params)
        return jax.lax.pmean(value, "devices"), gradient

    results = []
    for devices in (1, 2, 4):
        mapped = jax.pmap(step, axis_name="devices", devices=jax.devices()[:devices])
        value, gradient = mapped(*(split(x, devices) for x in (audio, params, keys, target)))
        results.append((value[0], gradient.reshape(4, -1) / devices))
    for value, gradient in results[1:]:
        np.testing.assert_allclose(value, results[0][0], rtol=1e-6)
        np.testing.assert_allclose(gradient, results[0][1], atol=1e-6)


def test_scan_takes_steps_downhill():
    audio, params, target, _ = toy_batch(4)
    effect_loss = make_effect_loss(ToyHost(), squared_error, Estimator("orthogonal", 5))

    def step(theta, key):
        value, gradient = jax.value_and_grad(
            lambda t: effect_loss(audio, t, jax.random.split(key, 4), target).loss.sum()
        )(theta)
        return jnp.clip(theta - 0.3 * gradient, 0, 1), value

    _, values = jax.jit(lambda theta: jax.lax.scan(step, theta, jax.random.split(jax.random.key(0), 40)))(params)
    assert values[-1] < 0.3 * values[0]


@pytest.mark.parametrize("level", LEVELS)
def test_vmap_is_one_call_with_the_same_numbers(level):
    audio, params, target, keys = toy_batch(6)
    host = ToyHost()
    effect_loss = make_effect_loss(host, squared_error, Estimator("spsa", 2, step_size=1e-2, level=level))

    def gradient(audio, params, keys, target):
        return jax.grad(lambda theta: effect_loss(audio, theta, keys, target).loss.sum())(params)

    mapped = jax.jit(jax.vmap(gradient))(*(split(x, 2) for x in (audio, params, keys, target)))
    assert host.calls == 1
    np.testing.assert_allclose(mapped.reshape(6, -1), jax.jit(gradient)(audio, params, keys, target), atol=1e-6)


@pytest.mark.parametrize(("name", "level"), PAIRS[:3])
def test_a_failed_render_contributes_zero(name, level):
    audio, params, target, keys = toy_batch(4)
    broken = np.asarray(audio[1])
    good = make_effect_loss(ToyHost(), squared_error, Estimator(name, 2, level=level))
    bad = make_effect_loss(
        ToyHost(lambda x, _: np.array_equal(x, broken)), squared_error, Estimator(name, 2, level=level)
    )

    def run(effect_loss):
        def step(theta):
            result = effect_loss(audio, theta, keys, target)
            return result.loss.sum(), result

        (_, result), gradient = jax.jit(jax.value_and_grad(step, has_aux=True))(params)
        return result, np.asarray(gradient)

    (expected, expected_gradient), (found, found_gradient) = run(good), run(bad)
    assert isinstance(found, EffectLoss)
    rest = np.array([0, 2, 3])
    np.testing.assert_array_equal(found.valid, [1, 0, 1, 1])
    assert found.loss[1] == 0
    assert found.terms["l1"][1] == 0
    assert np.isfinite(found.output).all()
    np.testing.assert_array_equal(found_gradient[1], 0)
    np.testing.assert_allclose(found_gradient[rest], expected_gradient[rest], rtol=1e-6)
    np.testing.assert_allclose(found.loss[rest], expected.loss[rest], rtol=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_a_failed_probe_contributes_zero_and_the_forward_render_counts(level):
    audio, params, target, keys = toy_batch(1)
    params = params.at[0, 3].set(0.5)
    host = ToyHost(lambda _, row: row[3] > 0.5)  # only the probe that moves the fourth parameter fails
    effect_loss = make_effect_loss(host, squared_error, Estimator("finite_difference", 0, level=level))
    value, gradient = jax.value_and_grad(lambda theta: effect_loss(audio, theta, keys, target).loss.sum())(params)
    exact = np.array(exact_gradient(audio, params, target))
    exact[0, 3] = 0
    assert value > 0
    np.testing.assert_allclose(gradient, exact, atol=5e-3 * np.abs(exact).max())


def test_a_failed_render_of_the_plain_effect_is_nan_with_zero_gradient():
    audio, params, target, keys = toy_batch(3)
    broken = np.asarray(audio[2])
    effect = make_effect(
        ToyHost(lambda x, _: np.array_equal(x, broken)), Estimator(), audio_gradient="straight_through"
    )
    assert np.isnan(effect(audio, params, keys)[2]).all()
    gradients = jax.grad(lambda a, p: jnp.sum((effect(a, p, keys) - target) ** 2), argnums=(0, 1))(audio, params)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert (np.asarray(gradient[2]) == 0).all()
        assert (np.asarray(gradient[:2]) != 0).any()


@pytest.mark.parametrize("level", LEVELS)
def test_gradient_with_respect_to_the_audio(level):
    audio, params, target, keys = toy_batch(2)
    estimator = Estimator(level=level)

    def audio_gradient(option):
        effect_loss = make_effect_loss(ToyHost(), squared_error, estimator, audio_gradient=option)
        return jax.jit(jax.grad(lambda a: effect_loss(a, params, keys, target).loss.sum()))(audio)

    np.testing.assert_array_equal(audio_gradient("zero"), 0)
    output = toy(audio, params, jnp)
    expected = jax.grad(lambda y: squared_error(y, target)[0].sum())(output)
    np.testing.assert_allclose(audio_gradient("straight_through"), expected, atol=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_terms_carry_gradients_too(level):
    audio, params, target, keys = toy_batch(2)
    effect_loss = make_effect_loss(ToyHost(), squared_error, Estimator("orthogonal", 5, level=level))
    found = jax.jit(jax.grad(lambda theta: effect_loss(audio, theta, keys, target).terms["l1"].sum()))(params)
    exact = jax.grad(lambda theta: squared_error(toy(audio, theta, jnp), target)[1]["l1"].sum())(params)
    assert cosine(found, exact).min() > 0.99


@pytest.mark.parametrize(
    "settings",
    [{"name": "sgd"}, {"num_probes": 0}, {"step_size": 0.6}, {"step_size": 0.0}, {"level": "x"}, {"step_size": -0.1}],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"choose|must be"):
        Estimator(**settings)


def test_mismatched_shapes_are_refused():
    audio, params, target, keys = toy_batch(2)
    with pytest.raises(ValueError, match="step_size has 2"):
        make_effect(ToyHost(), Estimator(step_size=(0.1, 0.1)))(audio, params, keys)
    with pytest.raises(ValueError, match="the target"):
        make_effect_loss(ToyHost(), squared_error, Estimator())(audio, params, keys, target[:, :-1])
    with pytest.raises(ValueError, match="make_effect_loss"):
        make_effect(ToyHost(), Estimator(level="loss"))
    with pytest.raises(ValueError, match="audio_gradient"):
        make_effect(ToyHost(), Estimator(), audio_gradient="one")  # pyright: ignore[reportArgumentType]
