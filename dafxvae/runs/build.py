"""The composition root: from a configuration to corpora, effects, networks, steps and stages."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.audio.losses import make_audio_loss
from dafxvae.config import Config
from dafxvae.core.errors import UserError
from dafxvae.core.paths import training_folder, user_path
from dafxvae.core.rng import stream_id
from dafxvae.core.version import __version__
from dafxvae.data.corpora.corpus import Corpus, open_corpus
from dafxvae.data.pairs.cache import CachedPairs
from dafxvae.data.pairs.stream import iterate
from dafxvae.descriptors import catalog
from dafxvae.descriptors.lfo_measurement import known_curves, stored_templates
from dafxvae.effects.bank import EffectBank, RandomChains, open_bank
from dafxvae.effects.factory import check_controllable
from dafxvae.gradients.bridge import CallbackLog
from dafxvae.gradients.estimators import Estimator, make_effect_loss
from dafxvae.models import networks
from dafxvae.models.controller_vae import SettingsHead
from dafxvae.models.spectrogram_vae import SpectrogramVAE
from dafxvae.runs.stage_pairs import StagePairs
from dafxvae.training import objectives, parallel
from dafxvae.training.clock import Clock
from dafxvae.training.stage import Stage
from dafxvae.training.state import create_state, lower_rate, make_optimizer
from dafxvae.training.steps import Objective, make_eval_step, make_train_step
from dafxvae.training.warm_start import KnownPairs, WarmStart, fit_settings
from dafxvae.training.writer import open_writer
from dafxvae.types import LatentBatch, PairBatch

STYLE_DIMS = 64  # of the view in which f's encodings are contrasted


def build_corpus(config: Config) -> Corpus:
    """The user's folder, or the embedded corpus; prepared at first use."""
    return open_corpus(
        folder=training_folder(config.data.folder) if config.data.folder else None,
        sample_rate=config.sample_rate,
        num_channels=config.num_channels,
        minutes=config.data.minutes,
        with_embedded=config.data.with_embedded,
        seed=config.seed,
    )


def build_bank(config: Config, effects: Iterable[str]) -> EffectBank:
    """Effects over one pool of workers.

    Raises:
        UserError: one cannot be opened, or has no parameter.
    """
    presets = user_path(config.data.presets) if config.data.presets else None
    return _with_parameters(open_bank(list(effects), num_workers=config.num_workers or None, presets=presets))


def build_pretraining_bank(config: Config) -> EffectBank:
    """The single effects and random chains that f and g are trained on."""
    chains = RandomChains(**config.chains.to_dict())
    return _with_parameters(open_bank(list(config.bank), config.num_workers or None, chains=chains, seed=config.seed))


def _with_parameters(bank: EffectBank) -> EffectBank:
    for host in bank.hosts:
        try:
            check_controllable(host)
        except UserError:
            bank.close()
            raise
    return bank


def describe_encoders(config: Config, bank: EffectBank) -> dict[str, Any]:
    """What is stored with f and g: enough to build them again, and to tell whether they are the ones asked for."""
    return {
        "kind": "encoders",
        "version": __version__,
        "sample_rate": config.sample_rate,
        "bank": list(bank.unit_names),
        "chains": config.chains.to_dict(),
        "calibration_batches": config.calibration_batches,
        "compute_dtype": config.compute_dtype,
        "accumulate": config.accumulate.to_dict(),
        "parameters": list(bank.parameter_names),
        "f": config.f.to_dict(),
        "g": config.g.to_dict(),
        "data": config.data.to_dict(),
        "seed": config.seed,
    }


def _standardising_constants(config: Config, pairs: Any, measure: Callable[[Any], Array]) -> tuple[Array, Array]:
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
        remedy=lower_rate(config, name),
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
    mean, deviation = _standardising_constants(config, pairs.train, lambda batch: log_mel(batch.reference))
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


def build_controller_stage(config: Config, pairs: StagePairs, bank: EffectBank, **hooks: Any) -> tuple[Stage, Any]:
    """Stage g, on pairs that a frozen f has encoded, and the constants that belong to g's variables."""
    f = networks.build_f(config.f)
    g = networks.build_g(config.g, f, bank.num_params, bank.num_units, config.compute_dtype)
    init = _init_key(config, "g")
    params = jax.jit(g.init)(init, jnp.zeros((1, g.joint_size)), init[None])["params"]
    mean, deviation = _standardising_constants(config, pairs.train, lambda batch: batch.joint)
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


def warm_start(config: Config, pairs: StagePairs, bank: EffectBank) -> WarmStart:
    """h's first parameters: the known settings of the training pairs regressed on their input features.

    Raises:
        UserError: the regression ended in NaN.
    """
    h = networks.build_h(config, bank.num_params)
    params = jax.jit(h.init)(_init_key(config, "h"), jnp.asarray(pairs.valid[0].z[:1]))["params"]
    valid = jax.tree.map(lambda *leaves: np.concatenate(leaves), *pairs.valid)
    train, valid = (KnownPairs(source.z, source.unit_params, source.valid) for source in (pairs.train, valid))
    descriptors = networks.input_descriptors(config)
    uncertain = catalog.uncertain_columns(train.features.shape[1], descriptors, bank.num_params)
    known = known_curves(bank.hosts[0], config.h.lfo.rate, catalog.rate_estimates(descriptors))
    key = _init_key(config, "h/warm_start")
    found = fit_settings(h, params, train, valid, config.h.warm_start, key, uncertain, known)
    if not np.isfinite(found.errors).all():
        part = config.h.warm_start
        raise UserError(
            f"the regression of the known settings ended in NaN: lower --config.h.warm_start.learning_rate "
            f"{part.learning_rate:g} or --config.h.warm_start.noise {part.noise:g}, and give another --workdir"
        )
    return found


def build_decoder_stage(
    config: Config, pairs: StagePairs, bank: EffectBank, params: Any, estimator: Estimator, clock: Clock, **hooks: Any
) -> Stage:
    """Stage h from `params` on, on pairs of `stage_pairs.extract_stage_pairs`, through the effect of `bank`."""
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
    columns, size = pairs.train._asdict(), config.h.batch_size
    with_clips = pairs._replace(train=CachedPairs(LatentBatch, columns, size, config.seed, parallel.share()))
    return _make_stage(config, "h", with_clips, params, {}, objective, check=check, **hooks)
