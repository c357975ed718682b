"""g trained again at another size, on the same pairs, with the same configuration.

f is frozen, so its encodings of the training pairs are computed once and stored; training g on them takes seconds. The
objective, the optimiser, the steps and the choice of the best checkpoint are those of the main job.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dafxvae.core.rng import stream_id
from dafxvae.core.weights import fingerprint
from dafxvae.data.pairs.cache import CachedPairs, encode_pairs
from dafxvae.data.pairs.stream import iterate
from dafxvae.latent.networks import f_feature
from dafxvae.latent.sources import ModelSource, training_corpus
from dafxvae.models.controller_vae import ControllerVAE
from dafxvae.runs import build, stage_pairs
from dafxvae.training import objectives, parallel
from dafxvae.training.clock import Clock
from dafxvae.training.session import Cadence, Session
from dafxvae.training.stage import Stage, run_stage
from dafxvae.training.state import create_state, make_optimizer
from dafxvae.training.steps import make_eval_step, make_train_step
from dafxvae.training.stopping import StopRequest
from dafxvae.types import EncodedBatch

MAX_PAIRS = 20_000  # encoded for training; more steps than that go through them again in another order
VALID_PAIRS = 256
BATCH = 16


class Trained(NamedTuple):
    """One g of the sweep."""

    latent_dim: int
    seed: int
    g: ControllerVAE
    variables: Any


class Data(NamedTuple):
    """What g is trained on."""

    train: EncodedBatch
    valid: EncodedBatch
    membership: np.ndarray  # [effects, U]


def training_data(source: ModelSource, folder: Path, count: int) -> Data:
    """Training and validation pairs of g as encodings; stored, and read back the next time."""
    config = source.config
    corpus, encode = training_corpus(config), f_feature(source.encoders, config.sample_rate)
    recipe = {"f": fingerprint(source.encoders.variables["f"]), "data": config.data.to_dict(), "seed": config.seed}
    recipe |= {"bank": list(config.bank), "chains": config.chains.to_dict(), "clip_samples": config.clip_samples}
    sizes = {"train": count, "valid": min(VALID_PAIRS, count)}
    with build.build_pretraining_bank(config) as bank:
        train, valid = (
            encode_pairs(
                stage_pairs.build_train_pairs(config, "g", corpus, bank, BATCH, split=split), encode, size,
                path=folder / f"encoded_{split}.npz", recipe=recipe,
            )
            for split, size in sizes.items()
        )  # fmt: skip
        return Data(train, valid, bank.membership)


def train_g(
    source: ModelSource, pairs: Data, latent_dim: int, seed: int, folder: Path, beta: float | None = None
) -> Trained:
    """Stage g at another size, and another weight of the KL term; resumes from its checkpoints in `folder`."""
    config, valid = source.config, pairs.valid
    sizes = config.g.copy_and_resolve_references()
    sizes.latent_dim = latent_dim
    sizes.kl.beta = sizes.kl.beta if beta is None else beta
    g = source.encoders.g.clone(latent_dim=latent_dim)
    init = jax.random.fold_in(jax.random.key(seed), stream_id("g/init"))
    params = jax.jit(g.init)(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    constants = source.encoders.variables["g"]["constants"]
    noisy, clean = objectives.make_controller_objectives(g, jnp.asarray(pairs.membership), sizes)
    optimizer = make_optimizer(sizes)
    size = min(sizes.batch_size, len(pairs.train.item), len(valid.item))
    starts = range(0, len(valid.item) - size + 1, size)
    stage = Stage(
        name="g",
        state=create_state(params, optimizer),
        frozen={"g": {"constants": constants}},
        train_step=make_train_step(noisy, optimizer, seed, "g/train"),
        eval_step=make_eval_step(clean, seed, "g/valid"),
        batches=partial(iterate, CachedPairs(EncodedBatch, pairs.train._asdict(), size, seed)),
        valid=[jax.tree.map(lambda leaf, i=i: leaf[i : i + size], valid) for i in starts],
        num_steps=sizes.num_steps,
    )
    every = max(1, sizes.num_steps // 8)
    with StopRequest() as stop:
        session = Session(Cadence(50, every, sizes.num_steps), parallel.local_devices(1), stop=stop)
        state = run_stage(stage, folder, session, Clock())
    return Trained(latent_dim, seed, g, {"params": jax.device_get(state.params), "constants": constants})
