"""Measure the templates of an effect's LFO: what the effect moves in noise, at random settings."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dafxvae.audio.features import HOP_SEC
from dafxvae.core.errors import UserError
from dafxvae.core.progress import progress_bar
from dafxvae.core.rng import host_rng
from dafxvae.core.store import computed_once
from dafxvae.descriptors import lfo
from dafxvae.descriptors.lfo_templates import (
    NUM_COMPONENTS,
    NUM_HARMONICS,
    PERIOD_FRAMES,
    Templates,
    quantise_templates,
)
from dafxvae.effects.host import EffectHost
from dafxvae.types import KnownCurves

BATCH = 16
NUM_PERIODS = 4
SETTLING_FRAMES = 25  # left out: an effect may do something else when it is switched on
NOISE_LEVEL = 0.1  # RMS


def rate_index(host: EffectHost, rate: str) -> int:
    """Which of an effect's parameters is its LFO's rate.

    Args:
        host: of the effect.
        rate: name of the parameter, which is in Hz.

    Raises:
        UserError: there is none of that name, or it cannot have the period of the templates.
    """
    wanted = 1.0 / (PERIOD_FRAMES * HOP_SEC)
    if rate not in host.parameters.names:
        names = ", ".join(host.parameters.names)
        raise UserError(f"h.lfo.rate is {rate!r}: give that of {host.name}'s parameters that is its LFO's: {names}")
    index = host.parameters.names.index(rate)
    parameter = host.parameters[index]
    if parameter.unit != "Hz" or not parameter.minimum < wanted < parameter.maximum:
        has = f"from {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}".rstrip()
        raise UserError(f"h.lfo.rate is {rate!r}, which goes {has}: an LFO's must be in Hz and reach {wanted:.2f}")
    return index


def rate_settings(host: EffectHost, rate: str, rates_hz: np.ndarray) -> np.ndarray:
    """Normalised settings of an LFO's rate in Hz, clipped to its range; `[N] -> [N]`. Otherwise as `rate_index`."""
    index = rate_index(host, rate)
    physical = np.tile(np.array([each.default for each in host.parameters], np.float64), (len(rates_hz), 1))
    physical[:, index] = np.clip(rates_hz, host.parameters[index].minimum, host.parameters[index].maximum)
    return host.parameters.to_unit(physical)[:, index]


def known_curves(host: EffectHost, rate: str, estimates: Sequence[int]) -> KnownCurves:
    """The curve from an estimate of the LFO's rate to its setting, which is the parameter's own scale.

    Args:
        host: of the effect.
        rate: as in `rate_index`; "" where no parameter is known to be one.
        estimates: which of h's direct estimates are the logarithm of a rate in Hz.
    """
    if not rate:
        return {}
    index = rate_index(host, rate)
    return {(j, index): lambda log_rates: rate_settings(host, rate, np.exp(log_rates)) for j in estimates}


def measure_templates(
    host: EffectHost, rate: str, num_templates: int, seed: int, sample_rate: int, progress: bool = True
) -> Templates:
    """What an effect moves in noise at random settings, a pure function of its arguments.

    Args:
        host: of the effect.
        rate: name of the parameter that is its LFO's rate in Hz (`rate_index`).
        num_templates: D; renders of five seconds each.
        seed: of settings and noise.
        sample_rate: Hz.
        progress: show a progress bar on stderr.
    """
    rng = host_rng(seed, "templates")
    settings = rng.random((num_templates, len(host.parameters)), np.float32)
    period = np.array([1.0 / (PERIOD_FRAMES * HOP_SEC)])
    settings[:, rate_index(host, rate)] = rate_settings(host, rate, period)
    hop = round(HOP_SEC * sample_rate)
    num_frames = SETTLING_FRAMES + NUM_PERIODS * PERIOD_FRAMES
    noise = NOISE_LEVEL * rng.standard_normal((num_frames + lfo.WINDOW_HOPS) * hop).astype(np.float32)
    frames = jax.jit(lambda audio: lfo.mel_frames(audio, sample_rate)[:, SETTLING_FRAMES:num_frames])
    untouched = np.asarray(frames(noise[None, :, None]))
    folded = jax.jit(_fold)
    found = []
    with progress_bar("measuring the LFO", num_templates, progress) as advance:
        for start in range(0, num_templates, BATCH):
            batch = settings[start : start + BATCH]
            missing = BATCH - len(batch)  # filled up, so that one compilation serves all
            padded = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
            sounds = host.render(np.repeat(noise[None, :, None], BATCH, axis=0), padded, sample_rate)
            found.append(np.asarray(folded(frames(sounds) - untouched))[: len(batch)])
            for _ in batch:
                advance()
    harmonics = np.concatenate(found)
    good = np.isfinite(harmonics).all((1, 2))
    if not good.any():
        raise UserError(f"{host.name} rendered none of {num_templates} settings: {host.failures.last[-1]}")
    return quantise_templates(settings[good], harmonics[good])


def _fold(moved: jax.Array) -> jax.Array:
    """Complex harmonics of frames that repeat every `PERIOD_FRAMES`; `[B, N, D] -> [B, H, C]`."""
    turns = np.outer(np.arange(1, NUM_HARMONICS + 1), np.arange(moved.shape[1])) / PERIOD_FRAMES
    waves = jnp.asarray(np.exp(-2j * np.pi * turns) / moved.shape[1], jnp.complex64)
    components = lfo.cosine_components(moved)[..., :NUM_COMPONENTS]
    return jnp.einsum("hn,bnc->bhc", waves, components.astype(jnp.complex64))


def stored_templates(
    host: EffectHost, rate: str, num_templates: int, seed: int, sample_rate: int, path: Path
) -> Templates:
    """`measure_templates`, read back from `path` where the same were measured before."""
    recipe = [host.name, rate, num_templates, seed, sample_rate]
    arrays = computed_once(
        path, recipe, lambda: measure_templates(host, rate, num_templates, seed, sample_rate)._asdict()
    )
    return Templates(*(jnp.asarray(arrays[name]) for name in Templates._fields))
