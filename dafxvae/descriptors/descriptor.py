"""What a descriptor is: a hand-made measure of a recording, and what the networks may do with its columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jax import Array


class Recordings(NamedTuple):
    """A batch of recordings as descriptors see it."""

    audio: Array  # [B, T, C]
    sample_rate: int  # Hz
    power: Any = None  # [B, N, F] spectrogram of f, mean over channels; only for descriptors in the encoding
    log_mel: Any = None  # [B, N, M] of the same frames
    hop_sec: float = 0.0  # distance of two frames
    templates: Any = None  # lfo_templates.Templates of the effect, where one was measured


@dataclass(frozen=True)
class Descriptor:
    """A measure of a recording; each column is within about [-2, 2], finite at silence and for any length.

    Attributes:
        name: as `h.descriptors` of a configuration names it.
        size: number of its columns, given K, the number of the effect's parameters.
        compute: `Recordings -> [B, size]`, pure jnp.
        in_encoding: whether it is a part of f's encoding, which g standardises; otherwise it is computed for the
            reference alone, and h takes it as it is.
        needs_templates: whether `Recordings.templates` must be there.
        direct: columns that may equal one parameter up to a curve (`descriptors.curves`): its direct estimates.
        direct_is_rate: whether these are the natural logarithm of an LFO's rate in Hz.
        confidence: column that grows with how far the measure stands out. Of several windows of a recording the one
            where it is greatest counts; None where windows are averaged.
        uncertain: first column of those that are as uncertain as the latent, and get noise in h's warm start.
        estimates: first of K columns that estimate every parameter, in the unit of `lfo_templates.SPREAD`.
    """

    name: str
    size: Callable[[int], int]
    compute: Callable[[Recordings], Array]
    in_encoding: bool = False
    needs_templates: bool = False
    direct: tuple[int, ...] = ()
    direct_is_rate: bool = False
    confidence: int | None = None
    uncertain: int | None = None
    estimates: int | None = None
