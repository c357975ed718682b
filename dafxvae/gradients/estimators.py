"""Black-box effects as differentiable JAX functions, with an estimated gradient.

A host callable renders every example with several settings in one call. Without a gradient only the forward settings
are rendered; under differentiation the forward and the perturbed settings travel in one call.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dafxvae.gradients.bridge import Bridge, CallbackLog, ends, make_bridge
from dafxvae.gradients.schemes import Estimator, draw_probes
from dafxvae.types import RenderVariants

__all__ = ["EffectLoss", "Estimator", "make_effect", "make_effect_loss"]

AudioGradient = Literal["zero", "straight_through"]
VARIANTS_AT_ONCE = 4  # that a loss scores: bounds the memory of its spectrograms when there are many probes
Effect = Callable[[Array, Array, Array], Array]
LossFn = Callable[[Array, Array], tuple[Array, dict[str, Array]]]


class EffectLoss(NamedTuple):
    """Loss and output of a batch of renders."""

    loss: Array  # [B]; 0 where the render failed
    terms: dict[str, Array]  # each [B]; 0 where the render failed
    output: Array  # [B, T, C]; the target where the render failed
    valid: Array  # [B] float32; 0 where the render failed


def make_effect(
    render: RenderVariants,
    estimator: Estimator,
    *,
    audio_gradient: AudioGradient = "zero",
    log: CallbackLog | None = None,
) -> Effect:
    """A black box as a differentiable function of its settings, with differences taken at the audio level.

    Args:
        render: the host callable, pure; see `dafxvae.types.RenderVariants`.
        estimator: of the gradient with respect to the settings.
        audio_gradient: with respect to the audio: "zero", or "straight_through" (that of the output, unchanged).
        log: collects exceptions of `render`; see `CallbackLog`.

    Returns:
        `(audio [B, T, C], unit_params [B, K], keys [B]) -> audio [B, T, C]`, for jit, grad, scan, vmap and pmap;
        typed PRNG keys. A failed render is NaN and its gradient zero.

    Raises:
        ValueError: the estimator asks for differences of losses (then use `make_effect_loss`).
    """
    check_callables(estimator, render)
    if estimator.level != "audio":
        raise ValueError('an estimator of level "loss" needs make_effect_loss')
    core = effect_core(make_bridge(render, log), checked_settings(audio_gradient))

    def effect(audio: Array, unit_params: Array, keys: Array) -> Array:
        if getattr(audio, "ndim", 0) != 3:
            raise ValueError(f"audio is {np.shape(audio)}: give an array [B, T, C]")
        return core(audio, unit_params, *draw_probes(estimator, unit_params, keys))

    return effect


def make_effect_loss(
    render: RenderVariants,
    loss_fn: LossFn,
    estimator: Estimator,
    *,
    audio_gradient: AudioGradient = "zero",
    log: CallbackLog | None = None,
) -> Callable[[Array, Array, Array, Array], "EffectLoss"]:
    """A black box and the loss of its output, differentiable with respect to the settings at the estimator's level.

    Args:
        render: the host callable, pure; see `dafxvae.types.RenderVariants`.
        loss_fn: `(output, target) [B, T, C] -> (loss [B], terms {name: [B]})`; each example's own, finite for finite
            audio; must not close over values that are being differentiated.
        estimator: of the gradient with respect to the settings.
        audio_gradient: with respect to the audio: "zero" or "straight_through".
        log: collects exceptions of `render`; see `CallbackLog`.

    Returns:
        `(audio [B, T, C], unit_params [B, K], keys [B], target [B, T, C]) -> EffectLoss`. The loss and its terms carry
        the gradient; at the audio level the output does too. The target gets none.
    """
    check_callables(estimator, render, loss_fn)
    bridge = make_bridge(render, log)
    if estimator.level == "loss":
        core = loss_core(bridge, loss_fn, checked_settings(audio_gradient))
    else:
        effect = effect_core(bridge, checked_settings(audio_gradient))

        def core(audio: Array, unit_params: Array, perturbed: Array, weights: Array, target: Array) -> EffectLoss:
            return score_batch(loss_fn, effect(audio, unit_params, perturbed, weights), target)

    def effect_loss(audio: Array, unit_params: Array, keys: Array, target: Array) -> EffectLoss:
        if getattr(audio, "ndim", 0) != 3 or np.shape(target) != audio.shape:
            raise ValueError(f"audio is {np.shape(audio)}, the target {np.shape(target)}: give arrays [B, T, C]")
        return core(audio, unit_params, *draw_probes(estimator, unit_params, keys), jax.lax.stop_gradient(target))

    return effect_loss


def check_callables(estimator: Estimator, *functions: Callable) -> None:
    """Raises ValueError for what is no estimator or cannot be called."""
    if not isinstance(estimator, Estimator) or not all(map(callable, functions)):
        raise ValueError(f"{estimator!r}, {functions}: give an Estimator and functions")


def checked_settings(audio_gradient: AudioGradient) -> AudioGradient:
    """Raises ValueError for an unknown option."""
    if audio_gradient not in get_args(AudioGradient):
        raise ValueError(f"audio_gradient {audio_gradient!r}: choose from {get_args(AudioGradient)}")
    return audio_gradient


def score_batch(loss_fn: LossFn, output: Array, target: Array) -> EffectLoss:
    """Loss of a batch without its failed renders.

    The failed output is replaced before the loss sees it: masking its loss alone would leave 0 * NaN in the gradient.
    """
    valid = rendered(jax.lax.stop_gradient(output))
    output = jnp.where(valid[:, None, None], output, target)
    loss, terms = loss_fn(output, target)
    loss, terms = jax.tree.map(lambda value: jnp.where(valid, value, 0.0), (loss, terms))
    return EffectLoss(loss, terms, output, valid.astype(jnp.float32))


def effect_core(bridge: Bridge, audio_gradient: AudioGradient) -> Callable[..., Array]:
    """`(audio, unit_params, perturbed settings, weights) -> output` with differences of renders as its gradient."""

    @jax.custom_vjp
    def core(audio: Array, unit_params: Array, perturbed: Array, weights: Array) -> Array:
        return bridge(audio, unit_params[:, None])[0]

    def forward(audio: Array, unit_params: Array, perturbed: Array, weights: Array) -> tuple[Array, tuple]:
        rows = jnp.concatenate([unit_params[:, None], perturbed], axis=1)
        moved = bridge(audio, rows, weights.shape[1])
        return moved[0], (moved, weights)

    def backward(residuals: tuple, upstream: Array) -> tuple:
        moved, weights = residuals
        worked = rendered(moved)
        # a dot product of flat audio: on the CPU XLA takes seven times as long for the sum over [..., T, C]
        changes = jnp.einsum(
            "bn,sbn->sb", flatten_batch(upstream, 1), flatten_batch(moved[1:], 2), precision=jax.lax.Precision.HIGHEST
        )
        through = jnp.where(worked[0, :, None, None], upstream, 0.0) if audio_gradient == "straight_through" else None
        return through, combine(weights, changes, worked), None, None

    core.defvjp(forward, backward)
    return core


def loss_core(bridge: Bridge, loss_fn: LossFn, audio_gradient: AudioGradient) -> Callable[..., EffectLoss]:
    """`(audio, unit_params, perturbed settings, weights, target) -> EffectLoss` with differences of losses."""

    @jax.custom_vjp
    def core(audio: Array, unit_params: Array, perturbed: Array, weights: Array, target: Array) -> EffectLoss:
        return score_batch(loss_fn, bridge(audio, unit_params[:, None])[0], target)

    def forward(
        audio: Array, unit_params: Array, perturbed: Array, weights: Array, target: Array
    ) -> tuple[EffectLoss, tuple]:
        variants = bridge(audio, jnp.concatenate([unit_params[:, None], perturbed], axis=1))
        scores = jax.lax.map(lambda output: score_batch(loss_fn, output, target), variants, batch_size=VARIANTS_AT_ONCE)
        here = jax.tree.map(lambda value: value[0], scores)
        kept = (here.output, target) if audio_gradient == "straight_through" else None
        return here, (scores.loss, scores.terms, scores.valid, weights, kept)

    def backward(residuals: tuple, upstream: EffectLoss) -> tuple:
        losses, terms, valid, weights, kept = residuals
        weighted = jax.tree.map(
            lambda cotangent, value: cotangent[None] * estimate_differences(value, weights.shape[1]),
            (upstream.loss, upstream.terms),
            (losses, terms),
        )
        changes = jnp.stack(jax.tree.leaves(weighted)).sum(axis=0)
        worked = valid > 0
        minuend, subtrahend = ends(len(valid), weights.shape[1])
        gradient = combine(weights, changes, jnp.concatenate([worked[:1], worked[minuend] & worked[subtrahend]]))
        if kept is None:
            return None, gradient, None, None, None
        output, target = kept
        _, pull = jax.vjp(lambda y: loss_fn(y, target), output)
        (through,) = pull(jax.tree.map(lambda cotangent: jnp.where(worked[0], cotangent, 0.0), upstream[:2]))
        return jnp.where(worked[0, :, None, None], through, 0.0), gradient, None, None, None

    core.defvjp(forward, backward)
    return core


def flatten_batch(x: Array, leading: int) -> Array:
    """Keeps `leading` axes and joins the rest."""
    return x.reshape(*x.shape[:leading], -1)


def estimate_differences(values: Array, num_probes: int) -> Array:
    """Differences of the probes along the axis of variants; `[R, B] -> [S, B]`, see `dafxvae.gradients.bridge.ends`."""
    minuends, subtrahends = ends(len(values), num_probes)
    return values[minuends] - values[subtrahends]


def rendered(output: Array) -> Array:
    """True where a render (or both of a difference) worked; a failed one is all NaN, so the first sample is enough.

    `[..., T, C] -> [...]`.
    """
    return jnp.isfinite(output[..., 0, 0])


def combine(weights: Array, changes: Array, worked: Array) -> Array:
    """Gradient from differences; zero from a probe with a failed render, and for a failed forward render.

    Args:
        weights: `[B, S, K]`.
        changes: `[S, B]` of the scalar that is differentiated.
        worked: bool `[1 + S, B]`: the forward render, and both renders of each difference.

    Returns:
        `[B, K]`.
    """
    changes = jnp.where(worked[:1] & worked[1:], changes, 0.0)
    return jnp.sum(jnp.where(worked[0, :, None, None], weights, 0.0) * changes.T[..., None], axis=1)
