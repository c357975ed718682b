"""Sounds of one latent dimension that moves while the others stand still, and of interpolations.

f's decoder makes spectra: a traversal filters the recording by what the decoder changed and keeps its phase, and an
interpolation is inverted by Griffin-Lim. Every sound of g∘h is rendered by the real effect.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dafxvae.latent.measures import HeldOutRenders
from dafxvae.latent.sound import MelFrames, filter_mel, from_log_mel
from dafxvae.latent.source import f_decoder, f_frames, f_log_mel
from dafxvae.models.networks import Encoders
from dafxvae.reporting.pictures import frame_panels, spectrogram_panels

VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)  # of the moved latent, in deviations of the prior
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # from the first recording to the second


class Strip(NamedTuple):
    """A row of spectra and their sounds."""

    title: str
    picture: np.ndarray  # uint8 [height, width, 3]
    sounds: dict[str, np.ndarray]  # label -> [T, C]
    note: str = ""


def _decibels(log_power: np.ndarray) -> np.ndarray:
    return 10.0 / np.log(10.0) * log_power


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def f_traversals(encoders: Encoders, clip: np.ndarray, dimensions: Sequence[int], sample_rate: int) -> list[Strip]:
    """Move dimensions of f in all frames of one clip `[T, C]`."""
    axes = MelFrames(*encoders.f.frame_samples(sample_rate), encoders.f.high_hz, sample_rate)
    frames = f_frames(encoders, clip[None], sample_rate)
    decode = f_decoder(encoders, frames.data.shape[1])
    plain = f_log_mel(encoders, decode(frames.mean))[0]
    found = []
    for j in dimensions:
        panels, sounds = {"reconstruction": _decibels(plain)}, {"recording": clip}
        for value in VALUES:
            z = frames.mean.copy()
            z[..., j] = value
            moved = f_log_mel(encoders, decode(z))[0]
            panels[f"z{j} = {value:+g}"] = _decibels(moved)
            sounds[f"z{j} = {value:+g}"] = filter_mel(clip, moved - plain, axes)
        found.append(Strip(f"f, dimension {j}", frame_panels(panels), sounds))
    return found


def g_traversals(rendered: HeldOutRenders, dimensions: Sequence[int]) -> list[Strip]:
    """Move dimensions of g of the first pair and render what h makes of them."""
    mean, dry, sample_rate = rendered.mean[0], rendered.pairs.dry[0], rendered.sample_rate
    space = rendered.bank.hosts[0].parameters
    found = []
    for j in dimensions:
        z = np.tile(mean, (len(VALUES), 1))
        z[:, j] = VALUES
        audio, unit_params = rendered.render(dry, z)
        sounds = {f"z{j} = {value:+g}": clip for value, clip in zip(VALUES, audio)}
        reach = unit_params.max(0) - unit_params.min(0)
        first, last = space.describe(unit_params[0]), space.describe(unit_params[-1])
        moved = [k for k in np.argsort(-reach).tolist() if reach[k] > 0.01][:4]
        names = [space.names[k] for k in moved]
        note = "; ".join(f"{name}: {_shown(first[name])} → {_shown(last[name])}" for name in names)
        picture = spectrogram_panels({label: np.nan_to_num(clip) for label, clip in sounds.items()}, sample_rate)
        found.append(Strip(f"g∘h, dimension {j}", picture, sounds, note or "moves no setting by more than 1 %"))
    return found


def f_interpolation(encoders: Encoders, first: np.ndarray, second: np.ndarray, sample_rate: int) -> Strip:
    """From one clip `[T, C]` to another through f's latent, frame by frame."""
    axes = MelFrames(*encoders.f.frame_samples(sample_rate), encoders.f.high_hz, sample_rate)
    frames = f_frames(encoders, np.stack([first, second]), sample_rate)
    decode = f_decoder(encoders, frames.data.shape[1])
    z = np.stack([(1 - step) * frames.mean[0] + step * frames.mean[1] for step in STEPS])
    spectra = f_log_mel(encoders, decode(z))
    panels = {f"{step:.0%}": _decibels(spectrum) for step, spectrum in zip(STEPS, spectra)}
    sounds = {"first recording": first}
    for label, spectrum in zip(panels, spectra):
        sounds[label] = from_log_mel(spectrum, axes)
    sounds["second recording"] = second
    note = "Sounds are made from the decoder's mel spectra alone (no phase)."
    return Strip("f, from one recording to another", frame_panels(panels), sounds, note)


def g_interpolation(rendered: HeldOutRenders, means: np.ndarray, dry: np.ndarray, references: np.ndarray) -> Strip:
    """One input `[T, C]`, from the style of one reference to that of another.

    Args:
        rendered: h and the effect.
        means: g's posterior means of the input with either reference, `[2, Z]`.
        dry: the input.
        references: `[2, T, C]`.
    """
    audio, _ = rendered.render(dry, np.stack([(1 - step) * means[0] + step * means[1] for step in STEPS]))
    between = {f"{step:.0%}": clip for step, clip in zip(STEPS, audio)}
    picture = spectrogram_panels({name: np.nan_to_num(clip) for name, clip in between.items()}, rendered.sample_rate)
    sounds = {"input": dry, "first reference": references[0]} | between | {"second reference": references[1]}
    return Strip("g∘h, from one reference's style to another's", picture, sounds)
