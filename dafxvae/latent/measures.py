"""Measures of f and g on examples: what each dimension does, how many are needed, and the error with fewer."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from dafxvae.audio.mel import full_band_log_mel
from dafxvae.controllers.controller import Controller
from dafxvae.effects.bank import EffectBank
from dafxvae.latent import activity
from dafxvae.latent.examples import Gathered, join_pairs, pair_batches
from dafxvae.latent.probes import ProbeTask
from dafxvae.latent.source import (
    G,
    ModelSource,
    encoding_blocks,
    f_decoder,
    f_frames,
    g_functions,
    h_settings,
    held_out_corpus,
)
from dafxvae.models.networks import Encoders
from dafxvae.types import PairBatch

NUM_ROWS = 128  # examples of g that are moved
RENDER_NODES = 5  # of the quadrature, for rendered audio
NUM_CLIPS = 12  # that f's decoder runs on, several hundred times
RENDERED_CLIPS = 12  # that g∘h's effect renders, several hundred times each


class Dimensions(NamedTuple):
    """The measured dimensions of one latent."""

    per_dimension: activity.PerDimension
    variances: dict[str, np.ndarray]  # output -> [Z]
    recommendation: activity.Recommendation
    errors: dict[str, np.ndarray]  # error -> [Z + 1], mean over examples, with d dimensions kept


def measure_f(encoders: Encoders, clips: np.ndarray, joint: np.ndarray, g: G, sample_rate: int) -> Dimensions:
    """Measure f's latent by its decoder's spectrum and by g's latent.

    A dimension that f's decoder ignores may still matter: its statistics over time are part of the encoding. So g's
    latent is an output too, with each dimension's statistics swapped for those of another example.

    Args:
        encoders, g: f, and the functions of g.
        clips: `[B, T, C]`; the decoder runs several hundred times on them.
        joint: joint encodings `[B', 2E]`.
        sample_rate: in Hz.
    """
    frames = f_frames(encoders, clips, sample_rate)
    decode = f_decoder(encoders, frames.data.shape[1])
    blocks = encoding_blocks(encoders.f)
    scale = np.maximum(g.encode(joint).std(0), 1e-3)  # of a dead dimension
    variances = {
        "reconstruction": activity.output_variance(decode, frames.mean),
        "latent of g": activity.swap_variance(lambda x: g.encode(x) / scale, joint[:NUM_ROWS], blocks),
    }
    recommendation = activity.recommend(variances)

    def error(z: np.ndarray) -> np.ndarray:
        return ((decode(z) - frames.data) ** 2).mean((1, 2))

    curve = activity.kept_curve(error, frames.mean, recommendation.order).mean(1)
    each = activity.per_dimension(frames.mean, frames.log_variance)
    return Dimensions(each, variances, recommendation, {"reconstruction": curve})


def settings_weights(
    task: ProbeTask, parameters: tuple[str, ...], names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Settings and mask `[B, K]` on the axis of g's settings head, zero where g has no such parameter.

    Args:
        task: examples with settings `[B, k]`.
        parameters: the k names.
        names: of g's axis K.
    """
    settings, mask = np.zeros((2, len(task.effect), len(names)), np.float32)
    place = {name: k for k, name in enumerate(names)}
    for column, name in enumerate(parameters):
        if name in place:
            settings[:, place[name]] = task.unit_params[:, column]
            mask[:, place[name]] = task.mask[:, column]
    return settings, mask


def measure_g(
    g: G, joint: np.ndarray, settings: np.ndarray, mask: np.ndarray, extra: Mapping[str, np.ndarray] | None = None
) -> Dimensions:
    """Measure g's latent by its decoder, its heads for settings and presence of effects, and further outputs.

    Args:
        g: functions of g.
        joint: joint encodings `[B, 2E]`.
        settings, mask: of `settings_weights`, `[B, K]`.
        extra: variance of the further outputs, each `[Z]`.
    """
    posterior, data = g.infer(joint), g.standardise(joint)
    mean = np.asarray(posterior.mean)
    rows, own = mean[:NUM_ROWS], mask[:NUM_ROWS]
    variances = {
        "reconstruction": activity.output_variance(g.decode, rows),
        "settings": activity.output_variance(lambda z: g.settings(z).unit_params * own, rows),
        "presence": activity.output_variance(lambda z: expit(g.settings(z).presence_logits), rows),
    } | dict(extra or {})
    recommendation = activity.recommend(variances)
    count = np.maximum(mask.sum(1), 1.0)
    curves = {
        "reconstruction": lambda z: ((g.decode(z) - data) ** 2).mean(1),
        "settings": lambda z: ((g.settings(z).unit_params - settings) ** 2 * mask).sum(1) / count,
    }
    errors = {name: activity.kept_curve(error, mean, recommendation.order).mean(1) for name, error in curves.items()}
    each = activity.per_dimension(mean, np.asarray(posterior.log_variance))
    return Dimensions(each, variances, recommendation, errors)


class HeldOutRenders(NamedTuple):
    """g∘h through the real effect, on pairs of the controller's effect."""

    pairs: PairBatch
    mean: np.ndarray  # [B, Z], g's posterior means
    h: Callable[[np.ndarray], np.ndarray]  # latents [B, Z] to settings [B, K]
    bank: EffectBank  # of the one effect
    sample_rate: int

    def render(self, dry: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One input `[T, C]` through the effect at the settings of latents `[V, Z]`; `[V, T, C]`, settings `[V, K]`."""
        unit_params = self.h(z)
        variants = self.bank.render_variants(dry[None], np.zeros(1, np.int32), unit_params[None], self.sample_rate)
        return variants[0], unit_params


def rendered_variance(rendered: HeldOutRenders) -> np.ndarray:
    """Output variance of g∘h through the real effect: that of the rendered log-mel spectrum, in dB²; `[Z]`."""
    nodes, weights = activity.prior_nodes(RENDER_NODES)
    size, found = rendered.mean.shape[1], []
    for mean, clip in zip(rendered.mean, rendered.pairs.dry):
        z = np.tile(mean, (size, len(nodes), 1))
        z[np.arange(size)[:, None], np.arange(len(nodes))[None], np.arange(size)[:, None]] = nodes
        audio, _ = rendered.render(clip, z.reshape(-1, size))
        parts = (full_band_log_mel(part, rendered.sample_rate) for part in np.split(audio, size))
        level = 10.0 / np.log(10.0) * np.concatenate(list(map(np.asarray, parts))).reshape(size, len(nodes), -1)
        centred = level - np.einsum("n,znc->zc", weights, level)[:, None]
        variance = np.einsum("n,znc->z", weights, centred**2) / level.shape[-1]
        if np.isfinite(variance).all():  # a failed render is NaN: that clip does not count
            found.append(variance)
    return np.mean(found, axis=0) if found else np.zeros(size)


def dimensions_as_json(dimensions: Dimensions) -> dict[str, Any]:
    """Every number of the dimensions, and the recommended size."""
    each, found = dimensions.per_dimension, dimensions.recommendation
    return {
        "latent_dim": len(found.used),
        "recommended": found.size,
        "used": found.used.tolist(),
        "order": found.order.tolist(),
        "kl_nats": each.kl_nats.tolist(),
        "activity": each.activity.tolist(),
        "aggregate_deviation": each.deviation.tolist(),
        "active_units": int(each.active.sum()),
        "active_share_of_used": float(each.active[found.used].mean()) if found.used.any() else 0.0,
        "output_variance": {name: values.tolist() for name, values in dimensions.variances.items()},
        "output_share": {name: activity.shares(values).tolist() for name, values in dimensions.variances.items()},
        "cumulative": {name: curve.tolist() for name, curve in found.curves.items()},
        "error_with_d_kept": {name: curve.tolist() for name, curve in dimensions.errors.items()},
        "share": activity.SHARE,
    }


class Studied(NamedTuple):
    """The measured dimensions."""

    f: Dimensions
    g: Dimensions
    functions: G
    names: tuple[str, ...]  # of the axis K of g's settings head
    rendered: HeldOutRenders | None  # where there is a controller


def render_held_out(
    source: ModelSource, controller: Controller, bank: EffectBank, folder: str | None, seed: int
) -> HeldOutRenders:
    """Held-out pairs of the controller's effect; the descriptors among h's input features are held at their mean."""
    corpus = held_out_corpus(source.config, folder)
    pairs = join_pairs(pair_batches(source.config, corpus, bank, "controller", RENDERED_CLIPS, seed))
    features = controller.features(pairs.dry, pairs.reference)
    mean, descriptors = np.split(features, [source.encoders.g.latent_dim], axis=1)
    return HeldOutRenders(pairs, mean, h_settings(controller, descriptors.mean(0)), bank, source.config.sample_rate)


def study(source: ModelSource, gathered: Gathered, effect: EffectBank | None, folder: str | None, seed: int) -> Studied:
    """Measure every dimension of f and g on held-out examples.

    Args:
        source: f and g, and h where there is one.
        gathered: examples with f's features.
        effect: bank of the controller's effect; None without a controller.
        folder: held-out audio, or None for the run's test split.
        seed: of the pairs of the controller's effect.
    """
    functions = g_functions(source.encoders.g, source.encoders.variables["g"])
    joint = gathered.test.features["f"].joint
    names = tuple(source.encoders.metadata["parameters"])
    settings, mask = settings_weights(gathered.test.task, gathered.parameters, names)
    extra, rendered = {}, None
    if source.controller is not None and effect is not None:
        rendered = render_held_out(source, source.controller, effect, folder, seed)
        extra[f"sound of {effect.names[0]}"] = rendered_variance(rendered)
    g = measure_g(functions, joint, settings, mask, extra)
    clips = np.concatenate([gathered.shown.dry[:NUM_CLIPS], gathered.shown.reference[:NUM_CLIPS]])
    f = measure_f(source.encoders, clips, joint, functions, source.config.sample_rate)
    return Studied(f, g, functions, names, rendered)
