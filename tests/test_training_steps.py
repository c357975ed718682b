from contextlib import contextmanager

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from tiny import tiny_config

from dafxvae.core.errors import UserError
from dafxvae.effects.bank import open_bank
from dafxvae.effects.host import FailureLog
from dafxvae.models import networks
from dafxvae.runs import build, stage_pairs
from dafxvae.runs.gradient_choice import build_estimator
from dafxvae.training import parallel
from dafxvae.training.clock import Clock
from dafxvae.training.state import create_state, example_keys, make_optimizer
from dafxvae.training.steps import ObjectiveOutput, make_eval_step, make_train_step
from dafxvae.types import PairBatch

RNG = np.random.default_rng(0)


def make_batch(bank, size=4, num_samples=8192):
    dry, other = (RNG.standard_normal((2, size, num_samples, 1)) * 0.1).astype(np.float32)
    effect, unit_params, mask = bank.sample(RNG, size)
    target, reference = (bank.render(clip, effect, unit_params, 24000) for clip in (dry, other))
    return PairBatch(
        dry, target, reference, effect, unit_params, mask, *np.ones((2, size), np.float32), np.arange(size)
    )


def run_steps(stage, batch, num_devices, num_steps=3):
    devices = parallel.local_devices(num_devices)
    step = parallel.compile_step(stage.train_step, devices, donate_state=True)
    state, frozen = parallel.replicate(stage.state, devices), parallel.replicate(stage.frozen, devices)
    history = []
    for _ in range(num_steps):
        state, metrics = step(state, frozen, parallel.shard(batch, devices))
        history.append(jax.device_get(parallel.unreplicate(metrics)))
    return jax.device_get(parallel.unreplicate(state)), history


def with_value(config, key, value):
    changed = ConfigDict(config.to_dict())
    changed.update_from_flattened_dict({key: value})
    return changed


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """All three stages over one fixed batch, through the real effects."""
    counts = {"g__num_pairs": 4, "h__num_pairs": 4, "h__num_audio_pairs": 4, "h__settings_weight": 100.0}
    config = tiny_config(h__num_steps=120, h__learning_rate=1e-2, h__widths=(64, 64), **counts)
    with open_bank(["Gain", "Reverb"]) as bank, open_bank(["Reverb"]) as reverb:
        batch = make_batch(bank)
        pairs = pairs_of_bank = stage_pairs.StagePairs([batch], [batch], None)
        f_stage, f_constants = build.build_encoder_stage(config, pairs, bank)
        f_variables = {"params": f_stage.state.params["f"], "constants": f_constants}
        encoded = stage_pairs.encode_stage_pairs(
            config, pairs, bank, f_variables, tmp_path_factory.mktemp("g") / "g.npz"
        )
        g_stage, g_constants = build.build_controller_stage(config, encoded, bank)
        variables = {"f": f_variables, "g": {"params": g_stage.state.params, "constants": g_constants}}
        encoders = networks.encoders_from(variables, build.describe_encoders(config, bank))
        reverb_batch = make_batch(reverb)
        pairs = stage_pairs.StagePairs([reverb_batch], [reverb_batch], None)
        heard = stage_pairs.extract_stage_pairs(config, pairs, reverb, encoders, tmp_path_factory.mktemp("h"))
        estimator = build_estimator(config, reverb.hosts[0], None)
        start = build.warm_start(config, heard, reverb).params
        h_stage, h_parts = (
            build.build_decoder_stage(some, heard, reverb, start, estimator, Clock())
            for some in (config, with_value(config, "accumulate.h", 2))
        )
        f_half, _ = build.build_encoder_stage(with_value(config, "compute_dtype", "bfloat16"), pairs_of_bank, bank)
        yield {"f_half": (f_half, batch), "h_parts": (h_parts, heard.valid[0])} | {
            "f": (f_stage, batch),
            "g": (g_stage, encoded.valid[0]),
            "h": (h_stage, heard.valid[0]),
        }


@pytest.mark.parametrize(("name", "counts"), [("f", (1, 2)), ("g", (1, 2)), ("h", (1, 2, 4))])
def test_one_two_and_four_devices_agree(stages, name, counts):
    stage, batch = stages[name]
    states, histories = zip(*(run_steps(stage, batch, count) for count in counts))
    for other_state, other_history in zip(states[1:], histories[1:]):
        for ours, theirs in zip(histories[0], other_history):
            for key in ("loss", "gradient_norm"):
                assert theirs[key] == pytest.approx(ours[key], rel=2e-4), key
        for ours, theirs in zip(jax.tree.leaves(states[0].params), jax.tree.leaves(other_state.params)):
            np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("name", ["f", "g", "h"])
def test_the_same_step_twice_gives_the_same_bits(stages, name):
    stage, batch = stages[name]
    (first, _), (second, _) = (run_steps(stage, batch, 1, num_steps=2) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@contextmanager
def count_compilations(counts):
    """Appends how many programs XLA was asked for."""
    events = []

    def listen(name, *_, **__):
        events.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
        counts.append(events.count("/jax/core/compile/backend_compile_duration"))


@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_step_is_compiled_once(num_devices):
    """What a step returns lies as what it was given: the second step finds the first one's program."""
    optimizer = optax.sgd(0.5)
    devices = parallel.local_devices(num_devices)
    step = parallel.compile_step(make_train_step(quadratic, optimizer, 0, "t"), devices)
    state = parallel.replicate(create_state(jnp.zeros(2), optimizer), devices)
    frozen = parallel.replicate(jnp.zeros(()), devices)
    batch = parallel.shard(pairs_with([1.0, 1.0], np.ones((2, 2))), devices)
    compiled = []
    for _ in range(2):
        with count_compilations(compiled):
            state, _ = step(state, frozen, batch)
    assert compiled[0] > 0
    assert compiled[1] == 0


@pytest.mark.parametrize("num_devices", [1, 2])
def test_accumulated_gradients_make_the_same_step(num_devices):
    """A batch in parts, one of its examples failed: the same gradient, metrics and parameters as at once."""
    optimizer = optax.adam(0.1)
    devices = parallel.local_devices(num_devices)
    batch = pairs_with([1, 1, 0, 1, 1, 1, 1, 1], np.random.default_rng(0).normal(size=(8, 2)))
    results = []
    for parts in (1, 2, 4):
        step = parallel.compile_step(make_train_step(quadratic, optimizer, 0, "t", parts), devices)
        state = parallel.replicate(create_state(jnp.ones(2), optimizer), devices)
        for _ in range(3):
            state, metrics = step(state, parallel.replicate(jnp.zeros(()), devices), parallel.shard(batch, devices))
        results.append(jax.device_get((state.params, metrics)))
    assert float(results[0][1]["failed"][0]) == 1
    for other in results[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), other, results[0])


def test_accumulation_through_the_real_reverb(stages):
    """The host is called once for each part, and the step stays the same."""
    (whole, _), (parts, _) = (run_steps(*stages[name], 1) for name in ("h", "h_parts"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), parts.params, whole.params)


def test_bfloat16_computes_in_bfloat16_and_learns(stages):
    """Hidden layers in bfloat16; parameters and losses in float32, and near those of float32."""

    def program(stage, batch):
        devices = parallel.local_devices(1)
        trees = (parallel.replicate(tree, devices) for tree in (stage.state, stage.frozen))
        return parallel.compile_step(stage.train_step, devices).lower(*trees, parallel.shard(batch, devices)).as_text()

    assert "bf16" in program(*stages["f_half"])
    assert "bf16" not in program(*stages["f"])
    (_, full), (state, history) = (run_steps(*stages[name], 1) for name in ("f", "f_half"))
    assert {np.asarray(leaf).dtype for leaf in jax.tree.leaves(state.params)} == {np.dtype("float32")}
    assert history[0]["loss"] == pytest.approx(full[0]["loss"], rel=0.02)
    assert history[0]["loss"] != full[0]["loss"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_another_compute_dtype_is_refused():
    with pytest.raises(UserError, match=r"compute_dtype is 'float8'.*bfloat16"):
        networks.build_f(tiny_config().f, "float8")


def test_h_learns_one_batch_through_the_real_reverb(stages):
    stage, batch = stages["h"]
    _, history = run_steps(stage, batch, 1, num_steps=120)
    assert history[-1]["settings_mse"] < 0.5 * history[0]["settings_mse"]
    assert history[-1]["mrstft"] < 0.9 * history[0]["mrstft"]


def quadratic(params, frozen, batch, keys, step):
    del keys, step
    loss = jnp.sum((params[None] - batch.unit_params) ** 2, -1) + frozen
    return ObjectiveOutput(loss, batch.valid, {"distance": loss})


def pairs_with(valid, unit_params):
    size = len(valid)
    clip = np.zeros((size, 1, 1), np.float32)
    arrays = (np.zeros(size, np.int32), np.asarray(unit_params, np.float32), np.ones((size, 2), np.float32))
    return PairBatch(clip, clip, clip, *arrays, np.ones(size), np.asarray(valid, np.float32), np.arange(size))


def test_a_failed_example_is_neither_learnt_from_nor_counted():
    optimizer = optax.sgd(0.5)
    devices = parallel.local_devices(1)
    step = parallel.compile_step(make_train_step(quadratic, optimizer, 0, "test"), devices)
    state = parallel.replicate(create_state(jnp.zeros(2), optimizer), devices)
    batch = pairs_with([1, 0, 1, 0], [[1, 1], [50, 50], [3, 3], [9, 9]])
    state, metrics = step(state, parallel.replicate(jnp.zeros(()), devices), parallel.shard(batch, devices))
    np.testing.assert_allclose(state.params[0], [2.0, 2.0])  # half a step of 2 (x - mean) towards the mean of 1 and 3
    assert float(metrics["loss"][0]) == pytest.approx((2 + 18) / 2)
    assert float(metrics["failed"][0]) == 2


def test_evaluation_has_the_loss_and_changes_nothing():
    optimizer = optax.sgd(0.5)
    devices = parallel.local_devices(2)
    step = parallel.compile_step(make_eval_step(quadratic, 0, "test"), devices)
    state = parallel.replicate(create_state(jnp.zeros(2), optimizer), devices)
    batch = pairs_with([1, 1], [[1, 1], [3, 3]])
    metrics = step(state, parallel.replicate(jnp.ones(()), devices), parallel.shard(batch, devices))
    assert float(metrics["loss"][1]) == pytest.approx(11.0)


def test_keys_follow_the_example_not_its_place():
    first = jax.random.key_data(example_keys(0, 1, 7, jnp.asarray([4, 5, 6])))
    second = jax.random.key_data(example_keys(0, 1, 7, jnp.asarray([6, 4])))
    np.testing.assert_array_equal(first[jnp.asarray([2, 0])], second)
    assert not np.array_equal(first[0], first[1])
    later = jax.random.key_data(example_keys(0, 1, 8, jnp.asarray([4, 5, 6])))
    assert not np.array_equal(first[0], later[0])


def test_learning_rate_warms_up_and_ends_at_zero():
    config = tiny_config(f__num_steps=100, f__warmup_steps=10, f__learning_rate=0.1).f
    optimizer = make_optimizer(config)
    params, updates = jnp.zeros(3), []
    state = optimizer.init(params)
    for _ in range(101):
        update, state = optimizer.update(jnp.ones(3), state, params)
        updates.append(float(jnp.abs(update).max()))
    assert updates[0] == 0.0
    assert max(updates) == pytest.approx(0.1, rel=0.05)
    assert updates[-1] < 1e-4


def test_device_and_batch_counts_are_checked():
    with pytest.raises(UserError, match="64"):
        parallel.local_devices(64)
    with pytest.raises(UserError, match="not a multiple"):
        parallel.check_batch_size(6, 4)
    with pytest.raises(UserError, match="8 is not a multiple of the 4 devices, accumulated over 4 parts"):
        parallel.check_batch_size(8, 4, 4)
    with pytest.raises(UserError, match="accumulated over 0 parts"):
        parallel.check_batch_size(8, 4, 0)


def test_failure_log_reaches_the_stage(stages):
    log = FailureLog(max_consecutive=1)
    log.record("Reverb", {"room_size": 0.5}, "made to fail")
    with pytest.raises(Exception, match="Reverb"):
        log.check()


def test_weight_decay_leaves_biases_and_scales_alone():
    config = tiny_config(f__weight_decay=0.5, f__learning_rate=0.1, f__warmup_steps=0).f
    layer = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}
    params = {
        "Dense_0": layer,
        "LayerNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
        "curves": jnp.ones((1, 2, 3)),
    }
    optimizer = make_optimizer(config)
    state = create_state(params, optimizer)
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), state.opt_state, params)
    moved = jax.tree.map(lambda update: bool((update != 0).any()), updates)
    assert moved["Dense_0"] == {"kernel": True, "bias": False}
    assert moved["LayerNorm_0"] == {"scale": False, "bias": False}
    assert not moved["curves"]
