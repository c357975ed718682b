"""Does the recommended size hold? g trained again at several sizes, on the same pairs, with the same configuration.

f is frozen, so its encodings of the training pairs are computed once and stored; training g on them takes seconds. The
objective, the optimiser, the steps and the choice of the best checkpoint are those of the main job.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
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
from dafxvae.errors import UserError
from dafxvae.latent import measures, probes
from dafxvae.latent.gather import Gathered
from dafxvae.latent.networks import G, f_feature, g_functions
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
METRICS = {
    "reconstruction": "squared error of the joint encoding",
    "settings": "squared error of g's own settings",
    "unexplained": "1 - R² of a linear probe's settings",
    "misnamed": "linear probe: effects misnamed",
}


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


def encoded_pairs(source: Source, folder: Path, count: int, console: Console) -> tuple[PairBatch, PairBatch]:
    """Training and validation pairs of g with encodings in the place of clips; stored, and read back the next time."""
    config = source.config
    recipe: list[Any] = [fingerprint(source.encoders.variables["f"]), config.data.to_dict(), config.seed]
    recipe += [list(config.bank), config.chains.to_dict()]
    key = hashlib.sha256(json.dumps([*recipe, config.clip_samples, count], sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"encoded_{key}.npz"
    if path.is_file():
        with np.load(path) as stored:
            sets = [PairBatch(*(stored[f"{name}_{leaf}"] for leaf in PairBatch._fields)) for name in ("train", "valid")]
        return sets[0], sets[1]
    corpus = training_corpus(config)
    sizes = {"train": count, "valid": min(VALID_PAIRS, count)}
    with build.build_pretraining_bank(config) as bank, Progress(console=console, transient=True) as progress:
        task = progress.add_task("encoding g's pairs", total=sum(sizes.values()))
        found = {
            name: _encode(corpus.split(name), bank, source, "g", size, lambda done: progress.advance(task, done))
            for name, size in sizes.items()
        }
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **{f"{name}_{leaf}": getattr(found[name], leaf) for name in found for leaf in PairBatch._fields})
    part.replace(path)
    return found["train"], found["valid"]


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


def train_g(source: Source, train: PairBatch, valid: PairBatch, latent_dim: int, seed: int, folder: Path) -> Trained:
    """Stage g at another size; resumes from its checkpoints in `folder`."""
    config, metadata = source.config, source.encoders.metadata
    sizes = config.g.copy_and_resolve_references()
    sizes.latent_dim = latent_dim
    g = source.encoders.g.clone(latent_dim=latent_dim)
    init = jax.random.fold_in(jax.random.key(seed), stream_id("g/init"))
    params = g.init(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    constants = source.encoders.variables["g"]["constants"]
    encoded = cast(SpectrogramVAE, EncodedF())
    objective = objectives.make_controller_objective(encoded, g, sizes, metadata["sample_rate"])
    optimizer = make_optimizer(sizes)
    size = min(sizes.batch_size, len(train.dry))
    stage = Stage(
        name=f"g, {latent_dim} dimensions, seed {seed}",
        state=create_state(params, optimizer),
        frozen={"f": {}, "g": {"constants": constants}},
        train_step=make_train_step(objective, optimizer, seed, "g/train"),
        eval_step=make_eval_step(objective, seed, "g/valid"),
        batches=_batches(train, size, seed),
        valid=[
            jax.tree.map(lambda leaf, i=i: leaf[i : i + size], valid) for i in range(0, len(valid.dry) - size + 1, size)
        ],
        num_steps=sizes.num_steps,
    )
    every = max(1, sizes.num_steps // 8)
    state = run_stage(stage, folder, Cadence(50, every, sizes.num_steps), parallel.local_devices(1), Clock())
    return Trained(latent_dim, seed, g, {"params": jax.device_get(state.params), "constants": constants})


def score(g: G, gathered: Gathered, settings: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of `METRICS` on the held-out examples, the lower the better; each `[B]`.

    Args:
        g: functions of a g.
        gathered: examples with f's features.
        settings, mask: of the test examples on the axis K of g, `[B, K]`.
    """
    joint = gathered.joint()
    z = probes.Parts(*(np.asarray(g.infer(rows).mean) for rows in joint))
    tasks = probes.Tasks(*(examples.task for examples in gathered.sets))
    predicted = probes.probe_settings(z, tasks, "linear")
    test = tasks.test
    spread = np.nanvar(np.where(test.mask > 0, test.unit_params, np.nan), axis=0)
    known = (test.mask > 0) & np.isfinite(predicted) & (spread > 1e-9)
    ratio = np.where(known, (predicted - test.unit_params) ** 2 / np.where(spread > 1e-9, spread, 1.0), 0.0)
    return {
        "reconstruction": ((g.decode(z.test) - g.standardise(joint[2])) ** 2).mean(1),
        "settings": ((g.settings(z.test).unit_params - settings) ** 2 * mask).sum(1) / np.maximum(mask.sum(1), 1.0),
        "unexplained": ratio.sum(1) / np.maximum(known.sum(1), 1),
        "misnamed": 1.0 - probes.probe_effect(z, tasks, "linear"),
    }  # type: ignore[return-value]


def compare(values: np.ndarray, full: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """The difference of a size to the full one, over the same pairs, with the errors of pairs and of seeds.

    Args:
        values, full: `[seeds, B]`, the lower the better.
        rng: of the bootstrap.

    Returns:
        JSON: mean difference, its standard error, and "unchanged" where it is within twice that, else "better" or
        "worse".
    """
    difference = (values.mean(0) - full.mean(0)).astype(np.float64)
    rows = rng.integers(0, len(difference), (1000, len(difference)))
    variance = difference[rows].mean(1).var()
    if len(values) > 1:
        variance += sum(part.mean(1).var(ddof=1) / len(part) for part in (values, full))
    error, mean = float(np.sqrt(variance)), float(difference.mean())
    verdict = "unchanged" if abs(mean) <= 2.0 * error else "better" if mean < 0 else "worse"
    return {"difference": mean, "standard_error": error, "verdict": verdict}


def default_sizes(recommended: int, full: int) -> list[int]:
    """Half, once and twice the recommended size, and the size that the run has."""
    return sorted({max(1, recommended // 2), recommended, 2 * recommended, full})


def sweep(
    source: Source,
    gathered: Gathered,
    names: tuple[str, ...],
    recommended: int,
    sizes: Sequence[int],
    seeds: int,
    folder: Path,
    console: Console,
) -> dict[str, Any]:
    """Trains and scores g at every size.

    Args:
        source: f and g of a run.
        gathered: held-out examples with f's features.
        names: of the axis K of g's settings head.
        recommended: the size that the report recommends.
        sizes: to train; the run's own is always among them.
        seeds: how often each is trained.
        folder: checkpoints and encoded pairs.
        console: for the progress.

    Returns:
        JSON, a row for each size.
    """
    config, full = source.config, source.encoders.g.latent_dim
    if seeds < 1 or min(sizes, default=1) < 1:
        raise UserError(f"--seeds {seeds}, --sizes {list(sizes)}: give positive numbers")
    count = min(config.g.num_steps * config.g.batch_size, MAX_PAIRS)
    train, valid = encoded_pairs(source, folder, count, console)
    settings, mask = measures.settings_weights(gathered.test.task, gathered.parameters, names)
    key, scores, used = fingerprint(source.encoders.variables)[:8], {}, {}
    for size in sorted({*sizes, full}):
        for seed in range(config.seed, config.seed + seeds):
            trained = train_g(source, train, valid, size, seed, folder / f"{key}_z{size}_s{seed}")
            g = g_functions(trained.g, trained.variables)
            found = score(g, gathered, settings, mask)
            scores.setdefault(size, []).append(found)
            dimensions = measures.measure_g(g, gathered.test.features["f"].joint, settings, mask)
            used.setdefault(size, []).append(dimensions.recommendation.size)
    return _summary(scores, used, recommended, full, count)


def _summary(
    scores: dict[int, list[dict[str, np.ndarray]]], used: dict[int, list[int]], recommended: int, full: int, count: int
) -> dict[str, Any]:
    rows = []
    for size, runs in scores.items():
        row: dict[str, Any] = {
            "latent_dim": size,
            "in_use": used[size],
            "scores": {},
            "by_seed": {},
            "against_full": {},
        }
        for name in METRICS:
            values = np.stack([run[name] for run in runs])
            whole = np.stack([run[name] for run in scores[full]])
            mean = probes.paired_difference(values.mean(0), np.zeros(values.shape[1]), host_rng(0, "latent/sweep"))
            row["scores"][name] = probes.as_json(mean)
            row["by_seed"][name] = values.mean(1).tolist()
            row["against_full"][name] = compare(values, whole, host_rng(0, "latent/compare"))
        rows.append(row)
    return {
        "recommended": recommended,
        "full": full,
        "num_training_pairs": count,
        "metrics": METRICS,
        "rows": rows,
    }
