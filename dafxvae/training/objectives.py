"""What each stage minimises: f and g by their beta-VAEs, h by the sound that its settings make."""

from collections.abc import Callable
from typing import Any, cast

import jax.numpy as jnp
import optax
from jax import Array

from dafxvae.config import Config
from dafxvae.gradients.estimators import EffectLoss
from dafxvae.models.controller import (
    ControllerDecoder,
    ControllerOutput,
    ControllerVAE,
    SettingsHead,
    SettingsPrediction,
)
from dafxvae.models.encoder import EncoderOutput, SpectrogramVAE
from dafxvae.models.vae import gaussian_nll, kl_per_dimension, sum_per_example
from dafxvae.training.steps import Objective, ObjectiveOutput
from dafxvae.types import PairBatch

EffectLossFn = Callable[[Array, Array, Array, Array], EffectLoss]


def joint_encoding(f: SpectrogramVAE, f_variables: Any, dry: Array, reference: Array, sample_rate: int) -> Array:
    """f on both recordings with the same weights, side by side; `[B, 2E]`."""
    clips = jnp.concatenate([dry, reference])
    encodings = cast(Array, f.apply(f_variables, clips, sample_rate, method=SpectrogramVAE.encode))
    return jnp.concatenate(jnp.split(encodings, 2), axis=-1)


def settings_loss(prediction: SettingsPrediction, batch: PairBatch) -> tuple[Array, dict[str, Array]]:
    """Squared error of the settings of the example's own effect plus the cross-entropy of its identity, `[B]`."""
    error = jnp.sum((prediction.unit_params - batch.unit_params) ** 2 * batch.mask, axis=-1)
    identity = optax.softmax_cross_entropy_with_integer_labels(prediction.effect_logits, batch.effect)
    correct = (jnp.argmax(prediction.effect_logits, -1) == batch.effect).astype(jnp.float32)
    mean_square = error / jnp.maximum(batch.mask.sum(-1), 1.0)
    return error + identity, {"settings_mse": mean_square, "effect_accuracy": correct}


def make_encoder_objective(f: SpectrogramVAE, head: SettingsHead, config: Config, sample_rate: int) -> Objective:
    """Stage f: the beta-ELBO of dry, target and reference spectrograms, per spectrogram cell, plus the settings.

    A spectrogram explains most of itself by what was played. Two settings heads, thrown away afterwards, ask that the
    encodings also tell what was done: one sees the same clip before and after, the other another clip after, as g will.
    (On 6144 pairs and 600 steps the first raised a probe's effect accuracy on held-out pieces from .35 to .39 and
    lowered the error of the settings.)
    """

    def objective(params: Any, frozen: Any, batch: PairBatch, keys: Array, step: Array) -> ObjectiveOutput:
        del step
        variables = {"params": params["f"], **frozen["f"]}
        size = batch.dry.shape[0]
        clips = jnp.concatenate([batch.dry, batch.target, batch.reference])
        output = cast(EncoderOutput, f.apply(variables, clips, sample_rate, jnp.concatenate([keys] * 3)))
        cells = output.log_mel.shape[1] * output.log_mel.shape[2]
        nll = gaussian_nll(output.log_mel, output.reconstruction).reshape(3, size).mean(0)
        kl = sum_per_example(kl_per_dimension(output.posterior)).reshape(3, size).mean(0)
        dry, target, reference = jnp.split(output.encoding, 3)

        def read(name: str, wet: Array) -> tuple[Array, dict[str, Array]]:
            prediction = head.apply({"params": params[name]}, jnp.concatenate([dry, wet], axis=-1))
            return settings_loss(cast(SettingsPrediction, prediction), batch)

        (same, _), (other, metrics) = read("same_head", target), read("other_head", reference)
        elbo = (nll + config.beta * kl) / cells
        metrics |= {"nll_per_cell": nll / cells, "kl_nats": kl}
        return ObjectiveOutput(elbo + config.settings_weight * (same + other), batch.valid, metrics)

    return objective


def make_controller_objective(f: SpectrogramVAE, g: ControllerVAE, config: Config, sample_rate: int) -> Objective:
    """Stage g: the beta-ELBO of the standardised joint encoding, per element, plus the settings read off the latent."""

    def objective(params: Any, frozen: Any, batch: PairBatch, keys: Array, step: Array) -> ObjectiveOutput:
        del step
        joint = joint_encoding(f, frozen["f"], batch.dry, batch.reference, sample_rate)
        output = cast(ControllerOutput, g.apply({"params": params, **frozen["g"]}, joint, keys))
        nll, kl = gaussian_nll(output.joint, output.reconstruction), sum_per_example(kl_per_dimension(output.posterior))
        settings, metrics = settings_loss(output.settings, batch)
        elbo = (nll + config.beta * kl) / joint.shape[-1]
        metrics |= {"nll_per_element": nll / joint.shape[-1], "kl_nats": kl}
        return ObjectiveOutput(elbo + config.settings_weight * settings, batch.valid, metrics)

    return objective


def make_decoder_objective(
    f: SpectrogramVAE,
    g: ControllerVAE,
    h: ControllerDecoder,
    effect_loss: EffectLossFn,
    config: Config,
    sample_rate: int,
) -> Objective:
    """Stage h: the audio loss of the effect's output, and the known settings as a warm start that fades.

    A waveform-aligned loss alone is minimal at "dry" while any rough setting is wrong; the settings of the self-made
    pairs are known, so they lead first.
    """
    settings_weight = optax.linear_schedule(
        config.settings_weight, config.settings_weight_end, config.settings_fade_steps
    )

    def objective(params: Any, frozen: Any, batch: PairBatch, keys: Array, step: Array) -> ObjectiveOutput:
        z = g.apply(
            frozen["g"],
            joint_encoding(f, frozen["f"], batch.dry, batch.reference, sample_rate),
            method=ControllerVAE.encode,
        )
        unit_params = cast(Array, h.apply({"params": params}, z))
        audio = effect_loss(batch.dry, unit_params, keys, batch.target)
        settings = jnp.mean((unit_params - batch.unit_params) ** 2, axis=-1)
        metrics = {**audio.terms, "audio_loss": audio.loss, "settings_mse": settings}
        loss = audio.loss + settings_weight(step) * settings
        return ObjectiveOutput(loss, batch.valid * audio.valid, metrics)

    return objective
