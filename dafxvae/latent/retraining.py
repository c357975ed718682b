"""g trained again at another size, on the same pairs, with the same configuration.

f is frozen, so its encodings of the training pairs are computed once and stored; training g on them takes seconds. The
objective, the optimiser, the steps and the choice of the best checkpoint are those of the main job.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import Progress

from dafxvae import build
from dafxvae.data.tracks import Corpus
from dafxvae.effects.bank import EffectBank
from dafxvae.latent.networks import f_feature
from dafxvae.latent.sources import Source, training_corpus
from dafxvae.models.controller import ControllerVAE
from dafxvae.models.encoder import SpectrogramVAE
from dafxvae.rng import host_rng, stream_id
from dafxvae.training import objectives, parallel
from dafxvae.training.clock import Clock
from dafxvae.training.stage import Cadence, Stage, run_stage
from dafxvae.training.state import create_state, make_optimizer
from dafxvae.training.steps import make_eval_step, make_train_step
from dafxvae.types import PairBatch
from dafxvae.weights import fingerprint

MAX_PAIRS = 20_000  # encoded for training; more steps than that go through them again in another order
VALID_PAIRS = 256
BATCH = 16


class EncodedF:
    """Stands for f where a batch holds encodings instead of clips: encoding them again changes nothing."""

    def apply(self, variables: Any, clips: Any, sample_rate: int, method: Any = None) -> Any:
        """The encodings themselves."""
        del variables, sample_rate, method
        return clips


class Trained(NamedTuple):
    """One g of the sweep."""

    latent_dim: int
    seed: int
    g: ControllerVAE
    variables: Any


def _encode(corpus: Corpus, bank: EffectBank, source: Source, stage: str, count: int, advance: Any) -> PairBatch:
    """The first `count` pairs of a stage's stream, with encodings in the place of clips."""
    pairs = build.build_train_pairs(source.config, stage, corpus, bank, BATCH)
    encode = f_feature(source.encoders, source.config.sample_rate)
    found = []
    for step in range(-(-count // BATCH)):
        batch = pairs[step]
        dry, reference = np.split(encode(np.concatenate([batch.dry, batch.reference])), 2)
        empty = np.zeros((len(dry), 1), np.float32)  # no objective of g asks for the target
        found.append(batch._replace(dry=dry, reference=reference, target=empty))
        advance(len(dry))
    return PairBatch(*(np.concatenate(leaves)[:count] for leaves in zip(*found)))


class EncodedPairs(NamedTuple):
    """What g is trained on: encodings in the place of clips."""

    train: PairBatch
    valid: PairBatch
    membership: np.ndarray  # [effects, U]


def encoded_pairs(source: Source, folder: Path, count: int, console: Console) -> EncodedPairs:
    """Training and validation pairs of g with encodings in the place of clips; stored, and read back the next time."""
    config = source.config
    recipe: list[Any] = [fingerprint(source.encoders.variables["f"]), config.data.to_dict(), config.seed]
    recipe += [list(config.bank), config.chains.to_dict()]
    key = hashlib.sha256(json.dumps([*recipe, config.clip_samples, count], sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"encoded_{key}.npz"
    if path.is_file():
        with np.load(path) as stored:
            sets = [PairBatch(*(stored[f"{name}_{leaf}"] for leaf in PairBatch._fields)) for name in ("train", "valid")]
            return EncodedPairs(sets[0], sets[1], stored["membership"])
    corpus = training_corpus(config)
    sizes = {"train": count, "valid": min(VALID_PAIRS, count)}
    with build.build_pretraining_bank(config) as bank, Progress(console=console, transient=True) as progress:
        task = progress.add_task("encoding g's pairs", total=sum(sizes.values()))
        found = {
            name: _encode(corpus.split(name), bank, source, "g", size, lambda done: progress.advance(task, done))
            for name, size in sizes.items()
        }
        membership = bank.membership
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    arrays = {f"{name}_{leaf}": getattr(found[name], leaf) for name in found for leaf in PairBatch._fields}
    np.savez(part, membership=membership, **arrays)
    part.replace(path)
    return EncodedPairs(found["train"], found["valid"], membership)


def _batches(pairs: PairBatch, size: int, seed: int) -> Callable[[int], Iterator[PairBatch]]:
    """Batches from a step on: as g saw them in the first epoch, shuffled in every later one."""
    per_epoch = len(pairs.dry) // size

    def batches(start: int) -> Iterator[PairBatch]:
        step = start
        while True:
            epoch, place = divmod(step, per_epoch)
            order = host_rng(seed, "latent/epoch", epoch).permutation(len(pairs.dry)) if epoch else None
            rows = np.arange(place * size, (place + 1) * size)
            rows = rows if order is None else order[rows]
            yield jax.tree.map(lambda leaf, rows=rows: leaf[rows], pairs)
            step += 1

    return batches


def train_g(source: Source, pairs: EncodedPairs, latent_dim: int, seed: int, folder: Path) -> Trained:
    """Stage g at another size; resumes from its checkpoints in `folder`."""
    config, valid = source.config, pairs.valid
    sizes = config.g.copy_and_resolve_references()
    sizes.latent_dim = latent_dim
    g = source.encoders.g.clone(latent_dim=latent_dim)
    init = jax.random.fold_in(jax.random.key(seed), stream_id("g/init"))
    params = g.init(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    constants = source.encoders.variables["g"]["constants"]
    encoded = cast(SpectrogramVAE, EncodedF())
    membership = jnp.asarray(pairs.membership)
    objective = objectives.make_controller_objective(encoded, g, membership, sizes, config.sample_rate)
    optimizer = make_optimizer(sizes)
    size = min(sizes.batch_size, len(pairs.train.dry), len(valid.dry))
    starts = range(0, len(valid.dry) - size + 1, size)
    stage = Stage(
        name="g",
        state=create_state(params, optimizer),
        frozen={"f": {}, "g": {"constants": constants}},
        train_step=make_train_step(objective, optimizer, seed, "g/train"),
        eval_step=make_eval_step(objective, seed, "g/valid"),
        batches=_batches(pairs.train, size, seed),
        valid=[jax.tree.map(lambda leaf, i=i: leaf[i : i + size], valid) for i in starts],
        num_steps=sizes.num_steps,
    )
    every = max(1, sizes.num_steps // 8)
    state = run_stage(stage, folder, Cadence(50, every, sizes.num_steps), parallel.local_devices(1), Clock())
    return Trained(latent_dim, seed, g, {"params": jax.device_get(state.params), "constants": constants})
