"""Objectives of the stages: f and g by their beta-VAEs, h by the sound that its settings make."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from dafxvae.config import Config
from dafxvae.gradients.estimators import EffectLoss
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.models.controller_vae import ControllerOutput, ControllerVAE, SettingsHead, SettingsPrediction
from dafxvae.models.spectrogram_vae import EncoderOutput, SpectrogramVAE
from dafxvae.models.vae import gaussian_nll, kl_per_dimension, sum_per_example
from dafxvae.training import parallel
from dafxvae.training.kl import make_kl_penalty
from dafxvae.training.steps import Objective, ObjectiveOutput
from dafxvae.types import EncodedBatch, LatentBatch, PairBatch

SETTINGS_DEVIATION = 0.25  # of the Gaussian that scores a setting in [0, 1]: about that of a uniform draw (.29)
TEMPERATURE = 0.1  # of the contrast
EffectLossFn = Callable[[Array, Array, Array, Array], EffectLoss]


def settings_nll(
    prediction: SettingsPrediction, batch: PairBatch | EncodedBatch, membership: Array
) -> tuple[Array, dict[str, Array]]:
    """What a guess of effects and settings costs, in nats, `[B]`.

    Settings count for the effects that were applied, as Gaussians of a fixed deviation; presence is one Bernoulli
    variable for each single effect of the bank. Of an unprocessed reference nothing is present, and the settings are
    the neutral ones.

    Args:
        prediction: of a batch.
        batch: the truth.
        membership: `[effects, U]`, which single effects are in each effect or chain of the bank.
    """
    square = jnp.sum((prediction.unit_params - batch.unit_params) ** 2 * batch.mask, axis=-1)
    applied = membership[batch.effect]
    present = applied * batch.touched[:, None]
    presence = optax.sigmoid_binary_cross_entropy(prediction.presence_logits, present).sum(axis=-1)
    best = jax.nn.one_hot(jnp.argmax(prediction.presence_logits, -1), membership.shape[1])
    metrics = {
        "settings_mse": square / jnp.maximum(batch.mask.sum(-1), 1.0),
        "presence_nats": presence,
        "effect_accuracy": jnp.sum(best * applied, axis=-1),  # is the likeliest effect one of those applied?
    }
    return square / (2.0 * SETTINGS_DEVIATION**2) + presence, metrics


def contrast(first: Array, second: Array) -> Array:
    """InfoNCE of two views of each example's style, in nats, `[B]` (van den Oord et al. 2018, eq. 4; both ways).

    The positive is the same settings on another recording, the negatives are the other examples of the global batch.

    Args:
        first, second: `[B, E]`; compared by their cosine.
    """
    views = [x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-6) for x in (first, second)]
    everywhere = [parallel.gather_over_devices(view) for view in views]
    positive = jnp.sum(views[0] * views[1], axis=-1) / TEMPERATURE
    against = [views[i] @ everywhere[1 - i].T / TEMPERATURE for i in range(2)]
    one, other = (jax.nn.logsumexp(logits, axis=-1) - positive for logits in against)
    return 0.5 * (one + other)


def make_encoder_objective(
    f: SpectrogramVAE, heads: Mapping[str, SettingsHead], membership: Array, config: Config, sample_rate: int
) -> Objective:
    """Stage f: the beta-ELBO of spectrograms, per cell, plus what the encodings tell of the effects.

    A spectrogram explains most of itself by what was played. Heads that are thrown away afterwards ask that the
    encodings also tell what was done: "same" sees a clip before and after, "other" another clip after, as g will, and
    "alone", a linear one, nothing but the clip after. A contrast asks that two recordings through the same settings be
    alike in a linear view ("style"). The ELBO is that of one clip an example, dry, target and reference in turn.
    """
    penalty = make_kl_penalty(config.kl, config.num_steps)

    def objective(params: Any, frozen: Any, batch: PairBatch, keys: Array, step: Array) -> ObjectiveOutput:
        variables = {"params": params["f"], **frozen["f"]}
        size = batch.dry.shape[0]
        clips = jnp.concatenate([batch.dry, batch.target, batch.reference])
        chosen = jnp.arange(size) + size * (batch.item % 3)
        output = cast(EncoderOutput, f.apply(variables, clips, sample_rate, keys, chosen))
        cells = output.log_mel.shape[1] * output.log_mel.shape[2]
        nll = gaussian_nll(output.log_mel, output.reconstruction)
        kl = kl_per_dimension(output.posterior)
        dry, target, reference = jnp.split(output.encoding, 3)

        def read(name: str, *encodings: Array) -> tuple[Array, dict[str, Array]]:
            prediction = heads[name].apply({"params": params[name]}, jnp.concatenate(encodings, axis=-1))
            return settings_nll(cast(SettingsPrediction, prediction), batch, membership)

        (same, _), (other, metrics), (alone, alone_metrics) = (
            read("same", dry, target),
            read("other", dry, reference),
            read("alone", reference),
        )
        style = [encoding @ params["style"] for encoding in (target, reference)]
        metrics |= {
            "nll_per_cell": nll / cells,
            "kl_nats": sum_per_example(kl),
            "kl_per_dimension": kl.mean(axis=1),
            "alone_accuracy": alone_metrics["effect_accuracy"],
            "contrast_nats": contrast(*style),
        }
        elbo = (nll + penalty(kl, step)) / cells
        predicted = config.settings_weight * (same + other + alone) + config.contrast_weight * metrics["contrast_nats"]
        return ObjectiveOutput(elbo + predicted, batch.valid, metrics)

    return objective


def make_controller_objectives(g: ControllerVAE, membership: Array, config: Config) -> tuple[Objective, Objective]:
    """Stage g in training, with noise on what the encoder sees, and in validation, without."""
    noisy, clean = (_controller_objective(g, membership, config, noise) for noise in (config.input_noise, 0.0))
    return noisy, clean


def _controller_objective(g: ControllerVAE, membership: Array, config: Config, input_noise: float) -> Objective:
    """Stage g, on encoded pairs: the beta-ELBO of the standardised joint encoding, and of effects and settings.

    What is decoded is the joint encoding, weighted by `joint_weight`, and what was done; all in nats per example, so
    that beta weighs them against the KL.
    """
    penalty = make_kl_penalty(config.kl, config.num_steps)

    def objective(params: Any, frozen: Any, batch: EncodedBatch, keys: Array, step: Array) -> ObjectiveOutput:
        output = cast(ControllerOutput, g.apply({"params": params, **frozen["g"]}, batch.joint, keys, input_noise))
        nll, kl = gaussian_nll(output.joint, output.reconstruction), kl_per_dimension(output.posterior)
        settings, metrics = settings_nll(output.settings, batch, membership)
        metrics |= {
            "nll_per_element": nll / batch.joint.shape[-1],
            "kl_nats": sum_per_example(kl),
            "kl_per_dimension": kl,
        }
        loss = config.joint_weight * nll + config.settings_weight * settings + penalty(kl, step)
        return ObjectiveOutput(loss, batch.valid, metrics)

    return objective


def make_decoder_objective(h: ControllerDecoder, effect_loss: EffectLossFn, config: Config) -> Objective:
    """Stage h, on latents of frozen f and g: the audio loss of the effect's output, and that of the known settings.

    A waveform-aligned loss alone is minimal at "dry" while any rough setting is wrong; the settings of the self-made
    pairs are known, so they lead first (`training.warm_start`), and keep a share afterwards.
    """

    def objective(params: Any, frozen: Any, batch: LatentBatch, keys: Array, step: Array) -> ObjectiveOutput:
        unit_params = cast(Array, h.apply({"params": params}, batch.z))
        audio = effect_loss(batch.dry, unit_params, keys, batch.target)
        settings = jnp.mean((unit_params - batch.unit_params) ** 2, axis=-1)
        metrics = {**audio.terms, "audio_loss": audio.loss, "settings_mse": settings}
        loss = audio.loss + config.settings_weight * settings
        return ObjectiveOutput(loss, batch.valid * audio.valid, metrics)

    return objective
