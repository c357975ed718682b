"""A model without its idle dimensions computes what the whole model computes with them standing still."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from tiny import tiny_config

from dafxvae.controllers.controller import Controller
from dafxvae.descriptors import amplitudes, echoes
from dafxvae.latent.measures import Studied, measure_f, measure_g
from dafxvae.latent.pruning import (
    fold_inputs,
    joint_columns,
    keep_used,
    prune_controller,
    prune_encoders,
    prune_g_inputs,
)
from dafxvae.latent.source import encoding_blocks, f_decoder, f_feature, f_frames, g_functions
from dafxvae.models import networks
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.models.spectrogram_vae import SpectrogramVAE

RATE = 24000
DEAD_G, DEAD_F = (1, 4), (2,)
CONFIG = tiny_config(f__latent_dim=3, g__latent_dim=6, h__descriptors=("echoes", "amplitudes"))


def kill_reader(dense, rows):
    """Nothing is read from these inputs."""
    kernel = np.array(dense["kernel"])
    kernel[list(rows)] = 0.0
    return {"kernel": kernel, "bias": np.asarray(dense["bias"])}


@pytest.fixture(scope="module")
def encoders():
    """Random f and g in which some dimensions are written but read by nobody."""
    metadata = {
        "f": CONFIG.f.to_dict(), "g": CONFIG.g.to_dict(), "bank": ["A", "B"], "parameters": ["A.x", "A.y", "B.x"],
        "sample_rate": RATE,
    }  # fmt: skip
    f = networks.build_f(CONFIG.f)
    g = networks.build_g(CONFIG.g, f, 3, 2)
    key = jax.random.key(0)
    clip = 0.1 * jax.random.normal(key, (1, 8192, 1))
    f_variables = jax.device_get(jax.jit(f.init, static_argnums=2)(key, clip, RATE, key[None]))
    g_variables = jax.device_get(jax.jit(g.init)(key, np.zeros((1, g.joint_size)), key[None]))
    f_params, params = f_variables["params"], g_variables["params"]
    f_params["decoder_input"] = kill_reader(f_params["decoder_input"], DEAD_F)
    dead = np.concatenate([encoding_blocks(f)[j] for j in DEAD_F])
    params["encoder"]["Dense_0"] = kill_reader(params["encoder"]["Dense_0"], dead)
    params["encoder_skip"]["kernel"] = np.array(params["encoder_skip"]["kernel"])
    params["encoder_skip"]["kernel"][dead] = 0.0
    for reader in (params["decoder"], params["settings_head"]["MLP_0"]):
        reader["Dense_0"] = kill_reader(reader["Dense_0"], DEAD_G)
    rng = np.random.default_rng(0)
    g_variables["constants"] = {
        "joint_mean": rng.standard_normal(g.joint_size).astype(np.float32),
        "joint_deviation": rng.uniform(0.5, 2.0, g.joint_size).astype(np.float32),
    }
    return networks.encoders_from({"f": f_variables, "g": g_variables}, metadata)


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(1)
    levels = rng.uniform(0.01, 0.3, (8, 1, 1))
    return (levels * rng.standard_normal((8, 8192, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def joint(encoders, clips):
    encode = f_feature(encoders, RATE)
    return np.concatenate([encode(clips), encode(clips[::-1])], axis=1)


@pytest.fixture(scope="module")
def studied(encoders, clips, joint):
    functions = g_functions(encoders.g, encoders.variables["g"])
    g = measure_g(functions, joint, np.full((8, 3), 0.5, np.float32), np.ones((8, 3), np.float32))
    return Studied(measure_f(encoders, clips, joint, functions, RATE), g, functions, (), None)


def test_dead_dimensions_have_no_output_variance(studied):
    for values in studied.g.variances.values():
        assert (values[list(DEAD_G)] == 0.0).all()
        assert (np.delete(values, DEAD_G) > 0.0).all()
    for values in studied.f.variances.values():
        assert (values[list(DEAD_F)] == 0.0).all()
    assert np.flatnonzero(~studied.g.recommendation.used).tolist() == list(DEAD_G)
    assert np.flatnonzero(~studied.f.recommendation.used).tolist() == list(DEAD_F)


def test_pruned_encoders_agree_with_the_whole_ones(encoders, studied, clips, joint):
    functions = studied.functions
    z = np.asarray(functions.infer(joint).mean)
    keep_g = keep_used(studied.g.recommendation.used, z.mean(0))
    keep_f = keep_used(studied.f.recommendation.used, studied.f.per_dimension.mean)
    pruned = prune_encoders(encoders, keep_g, keep_f, joint.mean(0))
    assert (pruned.f.latent_dim, pruned.g.latent_dim) == (2, 4)
    assert (pruned.metadata["f"]["latent_dim"], pruned.metadata["g"]["latent_dim"]) == (2, 4)
    encode = f_feature(pruned, RATE)
    short = np.concatenate([encode(clips), encode(clips[::-1])], axis=1)
    columns = joint_columns(encoders.f, keep_f)
    np.testing.assert_allclose(short, joint[:, columns], atol=1e-5)
    after = g_functions(pruned.g, pruned.variables["g"])
    new_z = np.asarray(after.infer(short).mean)
    np.testing.assert_allclose(new_z, z[:, keep_g.rows], atol=1e-5)
    np.testing.assert_allclose(after.decode(new_z), functions.decode(z)[:, columns], atol=1e-5)
    for before, now in zip(functions.settings(z), after.settings(new_z)):
        np.testing.assert_allclose(now, before, atol=1e-5)
    frames, new_frames = f_frames(encoders, clips, RATE), f_frames(pruned, clips, RATE)
    decode, new_decode = (f_decoder(each, frames.data.shape[1]) for each in (encoders, pruned))
    np.testing.assert_allclose(new_decode(new_frames.mean), decode(frames.mean), atol=1e-5)


def test_the_shapes_are_those_of_a_model_built_small(encoders, studied, joint):
    """What is written can be trained further and loaded by anything that builds f and g from their metadata."""
    keep_g = keep_used(studied.g.recommendation.used, np.zeros(6))
    keep_f = keep_used(studied.f.recommendation.used, np.zeros(3))
    pruned = prune_encoders(encoders, keep_g, keep_f, joint.mean(0))
    key = jax.random.key(0)
    fresh_f: SpectrogramVAE = networks.build_f(ConfigDict(CONFIG.f.to_dict() | {"latent_dim": 2}))
    fresh_g: ControllerVAE = networks.build_g(ConfigDict(CONFIG.g.to_dict() | {"latent_dim": 4}), fresh_f, 3, 2)
    clip = np.zeros((1, 8192, 1), np.float32)
    fresh = {
        "f": jax.eval_shape(lambda: fresh_f.init(key, clip, RATE, key[None])),
        "g": jax.eval_shape(lambda: fresh_g.init(key, np.zeros((1, fresh_g.joint_size)), key[None])),
    }
    shapes = [jax.tree.map(np.shape, tree) for tree in (fresh, pruned.variables)]
    assert shapes[0] == shapes[1]


def test_idle_dimensions_that_are_read_stand_still_at_their_mean():
    rng = np.random.default_rng(2)
    dense = {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3)}
    x, constant = rng.standard_normal((5, 4)), rng.standard_normal(4)
    used = np.asarray([True, False, True, False])
    folded = fold_inputs(dense, used, constant)
    still = np.where(used, x, constant)
    np.testing.assert_allclose(
        x[:, used] @ folded["kernel"] + folded["bias"], still @ dense["kernel"] + dense["bias"], atol=1e-5
    )


def test_a_pruned_controller_agrees_with_the_whole_one(encoders, studied, clips, joint):
    z = np.asarray(studied.functions.infer(joint).mean)
    keep_g = keep_used(studied.g.recommendation.used, z.mean(0))
    keep_f = keep_used(studied.f.recommendation.used, studied.f.per_dimension.mean)
    h = networks.build_h(CONFIG, 2)
    heard = 6 + echoes.NUM_COLUMNS + amplitudes.NUM_COLUMNS
    params = jax.device_get(jax.jit(h.init)(jax.random.key(3), np.zeros((1, heard))))["params"]
    params["MLP_0"]["Dense_0"] = kill_reader(params["MLP_0"]["Dense_0"], DEAD_G)
    rng = np.random.default_rng(4)
    params["MLP_0"]["Dense_1"]["kernel"] = rng.standard_normal((16, 2 * 4)).astype(np.float32)  # guess, 3 readings
    params["curves"] = rng.random(params["curves"].shape).astype(np.float32)
    whole = Controller("A", ("x", "y"), RATE, encoders, params, CONFIG)
    pruned = prune_encoders(encoders, keep_g, keep_f, joint.mean(0))
    small, config = prune_controller(whole, pruned, keep_g)
    assert (config.f.latent_dim, config.g.latent_dim) == (2, 4)
    assert CONFIG.g.latent_dim == 6
    after = Controller("A", ("x", "y"), RATE, pruned, small, config)
    np.testing.assert_allclose(after.predict(clips, clips[::-1]), whole.predict(clips, clips[::-1]), atol=1e-5)


def test_something_always_stays():
    assert keep_used(np.zeros(3, bool), np.zeros(3)).rows.tolist() == [0]


def test_a_joint_whose_idle_columns_stand_still_is_encoded_as_before(encoders):
    rng = np.random.default_rng(5)
    g, variables = encoders.g, encoders.variables["g"]
    columns = np.arange(g.joint_size) % 3 != 0
    still = rng.standard_normal(g.joint_size)
    joint = np.where(columns, rng.standard_normal((4, g.joint_size)), still).astype(np.float32)
    pruned = prune_g_inputs(variables, columns, still)
    small = networks.build_g(CONFIG.g, encoders.f, 3, 2).clone(joint_size=int(columns.sum()))
    before = g.apply(variables, joint, method="encode")
    after = small.apply(pruned, joint[:, columns], method="encode")
    np.testing.assert_allclose(after, before, atol=1e-5)
