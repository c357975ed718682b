"""The composition root: from a configuration to corpora, effects, networks, steps and stages."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae import __version__
from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.core.rng import stream_id
from dafxvae.core.weights import fingerprint
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.pairs.encoded import EncodedPairs, Exchange, encode_batch, encode_pairs
from dafxvae.data.pairs.latents import HeardPairs, encode_latents, latent_batch
from dafxvae.data.pairs.prerendered import open_prerendered
from dafxvae.data.pairs.stream import PairOptions, fixed_pairs, iterate, make_pairs
from dafxvae.data.pairs.stream import PairStream as RenderedPairs
from dafxvae.descriptors import catalog
from dafxvae.descriptors.lfo_measurement import known_curves, stored_templates
from dafxvae.effects.bank import EffectBank, RandomChains, open_bank
from dafxvae.effects.host import EffectHost
from dafxvae.gradients.bridge import CallbackLog
from dafxvae.gradients.estimators import Estimator, make_effect_loss
from dafxvae.gradients.measure.calibration import Calibration, estimator_for
from dafxvae.models import networks
from dafxvae.models.controller_vae import SettingsHead
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.training import objectives, parallel
from dafxvae.training.clock import Clock
from dafxvae.training.stage import Stage
from dafxvae.training.state import create_state, make_optimizer
from dafxvae.training.steps import Objective, make_eval_step, make_train_step
from dafxvae.training.warm_start import KnownPairs, WarmStart, fit_settings
from dafxvae.training.writer import open_writer
from dafxvae.types import PairBatch

EVAL_BATCH = 16
EXCHANGE = Exchange(parallel.gather_over_processes, parallel.all_have)
STYLE_DIMS = 64  # of the view in which f's encodings are contrasted


class StagePairs(NamedTuple):
    """Training pairs without end, and the fixed ones."""

    train: Any  # dataset; element i is the batch of step i (for h, first, all its `LatentPairs`)
    valid: list[Any]  # of PairBatch; of EncodedBatch for g, of LatentBatch for h
    test: PairBatch | None


def build_corpus(config: Config) -> Corpus:
    """The user's folder, or the embedded corpus; prepared at first use."""
    return open_corpus(
        folder=config.data.folder or None,
        sample_rate=config.sample_rate,
        num_channels=config.num_channels,
        minutes=config.data.minutes,
        with_embedded=config.data.with_embedded,
        seed=config.seed,
    )


def build_bank(config: Config, effects: Iterable[str]) -> EffectBank:
    """Effects over one pool of workers."""
    return open_bank(list(effects), num_workers=config.num_workers or None)


def build_pretraining_bank(config: Config) -> EffectBank:
    """The single effects and random chains that f and g are trained on."""
    chains = RandomChains(**config.chains.to_dict())
    return open_bank(list(config.bank), config.num_workers or None, chains=chains, seed=config.seed)


def describe_encoders(config: Config, bank: EffectBank) -> dict[str, Any]:
    """What is stored with f and g: enough to build them again, and to tell whether they are the ones asked for."""
    return {
        "kind": "encoders",
        "version": __version__,
        "sample_rate": config.sample_rate,
        "bank": list(bank.unit_names),
        "chains": config.chains.to_dict(),
        "parameters": list(bank.parameter_names),
        "f": config.f.to_dict(),
        "g": config.g.to_dict(),
        "data": config.data.to_dict(),
        "seed": config.seed,
    }


def _pair_arguments(config: Config) -> dict[str, Any]:
    options = PairOptions(**config.data.options.to_dict())
    return {"clip_samples": config.clip_samples, "seed": config.seed, "mode": config.data.mode, "options": options}


def build_train_pairs(
    config: Config, stage: str, corpus: Corpus, bank: EffectBank, batch_size: int, split: str = "train"
) -> RenderedPairs:
    """The pairs that a stage trains on, rendered as they are asked for; item i is the same whatever the batch size."""
    part = corpus.split(split)
    where: dict[str, Any] = {"stream": f"{stage}/train", "share": parallel.share()}
    return make_pairs(part, bank, batch_size=batch_size, **where, **_pair_arguments(config))


def build_pairs(
    config: Config, stage: str, corpus: Corpus, bank: EffectBank, workdir: Path, num_test_pairs: int = 0
) -> StagePairs:
    """The pairs of a stage. Training, validation and test pairs come from different recordings, never the same clip.

    The fixed ones are stored in the workdir (settings, offsets, hashes of the audio) and read back by a resumed run.
    """

    def fixed(split: str, num_pairs: int) -> PairBatch:
        path = workdir / "pairs" / f"{stage}_{split}.json"
        return fixed_pairs(corpus.split(split), bank, num_pairs=num_pairs, path=path, **_pair_arguments(config))

    folder = config.data.prerendered[stage]
    if folder:
        train: Any = open_prerendered(
            folder,
            batch_size=config[stage].batch_size,
            seed=config.seed,
            clip_samples=config.clip_samples,
            sample_rate=config.sample_rate,
            effects=bank.names,
            share=parallel.share(),
        )
    else:
        train = build_train_pairs(config, stage, corpus, bank, config[stage].batch_size)
    valid = fixed("valid", config.eval.num_pairs)
    test = fixed("test", num_test_pairs) if num_test_pairs else None
    devices = parallel.num_shards(parallel.local_devices(config.num_devices))
    size = max(min(EVAL_BATCH, config.eval.num_pairs) // devices, 1) * devices
    if size > config.eval.num_pairs:
        raise UserError(f"eval.num_pairs is {config.eval.num_pairs}: give at least one pair for each of {size} devices")
    chunks = range(0, config.eval.num_pairs - size + 1, size)
    return StagePairs(train, [jax.tree.map(lambda leaf, i=i: leaf[i : i + size], valid) for i in chunks], test)


def _calibrate(config: Config, pairs: Any, measure: Callable[[Any], Array]) -> tuple[Array, Array]:
    """Mean and deviation of the last axis of `measure` over the first training batches: fixed from then on."""
    values = np.concatenate(
        [
            measured.reshape(-1, measured.shape[-1])
            for measured in (
                parallel.gather_over_processes(np.asarray(measure(pairs[i]))) for i in range(config.calibration_batches)
            )
        ]
    )
    return jnp.asarray(values.mean(0)), jnp.asarray(values.std(0) + 1e-3)


def _make_stage(
    config: Config,
    name: str,
    pairs: StagePairs,
    params: Any,
    frozen: Any,
    objective: Objective,
    *,
    valid_objective: Objective | None = None,
    **hooks: Any,
) -> Stage:
    optimizer = make_optimizer(config[name])

    def batches(start: int) -> Iterator[PairBatch]:
        yield from iterate(pairs.train, start, config.data.prefetch_batches)

    return Stage(
        name=name,
        state=create_state(params, optimizer),
        frozen=frozen,
        train_step=make_train_step(objective, optimizer, config.seed, f"{name}/train", config.accumulate[name]),
        eval_step=make_eval_step(valid_objective or objective, config.seed, f"{name}/valid"),
        batches=batches,
        valid=pairs.valid,
        num_steps=config[name].num_steps,
        config_text=f"```\n{config}\n```",
        renders_per_example=2,  # target and reference
        open_writer=partial(open_writer, config=config),
        **hooks,
    )


def _init_key(config: Config, name: str) -> Array:
    return jax.random.fold_in(jax.random.key(config.seed), stream_id(f"{name}/init"))


def build_encoder_stage(config: Config, pairs: StagePairs, bank: EffectBank, **hooks: Any) -> tuple[Stage, Any]:
    """Stage f, and the constants that belong to f's variables."""
    f = networks.build_f(config.f, config.compute_dtype)
    widths = {"same": (config.f.head_width,), "other": (config.f.head_width,), "alone": ()}
    heads = {name: SettingsHead(width, bank.num_params, bank.num_units) for name, width in widths.items()}
    init, audio = _init_key(config, "f"), jnp.asarray(pairs.valid[0].dry[:1])
    variables = jax.jit(f.init, static_argnums=2)(init, audio, config.sample_rate, init[None])
    log_mel = jax.jit(lambda clip: f.apply(variables, clip, config.sample_rate, method=SpectrogramVAE.log_mel))
    mean, deviation = _calibrate(config, pairs.train, lambda batch: log_mel(batch.reference))
    constants = {"mel_mean": mean, "mel_deviation": deviation}
    size = f.encoding_size
    params = {"f": variables["params"]}
    for name, head in heads.items():
        embedding = jnp.zeros((1, size if name == "alone" else 2 * size))
        params[name] = jax.jit(head.init)(_init_key(config, name), embedding)["params"]
    params["style"] = jax.random.normal(_init_key(config, "style"), (size, STYLE_DIMS)) / size**0.5
    frozen = {"f": {"constants": constants}}
    membership = jnp.asarray(bank.membership)
    objective = objectives.make_encoder_objective(f, heads, membership, config.f, config.sample_rate)
    return _make_stage(config, "f", pairs, params, frozen, objective, **hooks), constants


def encode_stage_pairs(config: Config, pairs: StagePairs, bank: EffectBank, f_variables: Any, path: Path) -> StagePairs:
    """The pairs of stage g as encodings of f, computed once; the training pairs are stored at `path`."""
    f = networks.build_f(config.f)
    encode = jax.jit(lambda clips: f.apply(f_variables, clips, config.sample_rate, method=SpectrogramVAE.encode))
    data = {"data": config.data.to_dict(), "seed": config.seed, "clip_samples": config.clip_samples}
    recipe = data | {"effects": list(bank.names), "f": fingerprint(f_variables)}
    train = encode_pairs(pairs.train, encode, config.g.num_pairs, path=path, recipe=recipe, exchange=EXCHANGE)
    source = EncodedPairs(train, config.g.batch_size, config.seed, parallel.share())
    return StagePairs(source, [encode_batch(batch, encode) for batch in pairs.valid], None)


def build_controller_stage(config: Config, pairs: StagePairs, bank: EffectBank, **hooks: Any) -> tuple[Stage, Any]:
    """Stage g, on pairs that a frozen f has encoded, and the constants that belong to g's variables."""
    f = networks.build_f(config.f)
    g = networks.build_g(config.g, f, bank.num_params, bank.num_units, config.compute_dtype)
    init = _init_key(config, "g")
    params = jax.jit(g.init)(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    mean, deviation = _calibrate(config, pairs.train, lambda batch: batch.joint)
    constants = {"joint_mean": mean, "joint_deviation": deviation}
    frozen = {"g": {"constants": constants}}
    noisy, clean = objectives.make_controller_objectives(g, jnp.asarray(bank.membership), config.g)
    return _make_stage(config, "g", pairs, params, frozen, noisy, valid_objective=clean, **hooks), constants


def measure_effect(config: Config, bank: EffectBank, encoders: networks.Encoders, folder: Path) -> networks.Encoders:
    """f and g with the templates of the effect's LFO, where a descriptor of h needs them; stored in `folder`."""
    if not any(descriptor.needs_templates for descriptor in networks.input_descriptors(config)):
        return encoders
    recipe = config.h.lfo.rate, config.h.lfo.num_templates, config.seed, config.sample_rate
    return encoders._replace(templates=stored_templates(bank.hosts[0], *recipe, path=folder / "templates.npz"))


def latent_stage_pairs(
    config: Config, pairs: StagePairs, bank: EffectBank, encoders: networks.Encoders, folder: Path
) -> StagePairs:
    """The pairs of stage h as latents of f and g, computed once; the training pairs are stored in `folder`."""
    descriptors = networks.input_descriptors(config)
    latent = FeatureExtractor(encoders, config.sample_rate, descriptors).features
    data = {"data": config.data.to_dict(), "seed": config.seed, "clip_samples": config.clip_samples}
    recipe = data | {"effects": list(bank.names), "encoders": fingerprint(encoders.variables)}
    recipe["descriptors"] = [descriptor.name for descriptor in descriptors]
    if encoders.templates is not None:
        recipe["templates"] = fingerprint(encoders.templates._asdict())
    counts = config.h.num_pairs, min(config.h.num_audio_pairs, config.h.num_pairs)
    train = encode_latents(pairs.train, latent, *counts, folder=folder, recipe=recipe, exchange=EXCHANGE)
    return StagePairs(train, [latent_batch(batch, latent) for batch in pairs.valid], pairs.test)


def warm_start(config: Config, pairs: StagePairs, bank: EffectBank) -> WarmStart:
    """h's first parameters: the known settings of the training pairs regressed on their input features."""
    h = networks.build_h(config, bank.num_params)
    params = jax.jit(h.init)(_init_key(config, "h"), jnp.asarray(pairs.valid[0].z[:1]))["params"]
    valid = jax.tree.map(lambda *leaves: np.concatenate(leaves), *pairs.valid)
    train, valid = (KnownPairs(source.z, source.unit_params, source.valid) for source in (pairs.train, valid))
    descriptors = networks.input_descriptors(config)
    uncertain = catalog.uncertain_columns(train.features.shape[1], descriptors, bank.num_params)
    known = known_curves(bank.hosts[0], config.h.lfo.rate, catalog.rate_estimates(descriptors))
    key = _init_key(config, "h/warm_start")
    return fit_settings(h, params, train, valid, config.h.warm_start, key, uncertain, known)


def build_decoder_stage(
    config: Config, pairs: StagePairs, bank: EffectBank, params: Any, estimator: Estimator, clock: Clock, **hooks: Any
) -> Stage:
    """Stage h from `params` on, on latents of frozen f and g (`latent_stage_pairs`), through the effect of `bank`."""
    host = bank.hosts[0]
    h = networks.build_h(config, bank.num_params)
    audio_loss = make_audio_loss(config.h.loss_weights.to_dict(), config.h.stft_sizes, config.sample_rate)
    render = clock.timed(partial(host.render_variants, sample_rate=config.sample_rate))
    log = CallbackLog()
    effect_loss = make_effect_loss(render, audio_loss, estimator, log=log)

    def check() -> None:
        log.check()
        bank.failures.check()

    objective = objectives.make_decoder_objective(h, effect_loss, config.h)
    heard = pairs._replace(train=HeardPairs(pairs.train, config.h.batch_size, config.seed, parallel.share()))
    return _make_stage(config, "h", heard, params, {}, objective, check=check, **hooks)


def build_estimator(config: Config, host: EffectHost, calibration: Calibration | None) -> Estimator:
    """The gradient estimator of the configuration, with an effect's measured step sizes where there are some."""
    return estimator_for(host, Estimator(**config.estimator.to_dict()), calibration)
