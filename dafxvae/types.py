"""The axis glossary and the contracts between the levels.

Axes, as docstrings and trailing comments name them:

| letter | axis |
| --- | --- |
| B | examples of a batch |
| T | audio samples |
| C | audio channels (1 or 2) |
| N | spectrogram frames |
| F | frequency bins or mel bands |
| Z | latent dimensions |
| K | effect parameters under control (knobs) |
| U | single effects of a bank |
| R | variants of one example's settings that are rendered together (the forward one, then the perturbed ones) |
| S | probes of a gradient estimate |
| D | devices |

Audio is float32 `[B, T, C]`, nominally in [-1, 1]. `unit_params` are settings normalised to [0, 1]; `params` are the
same settings in physical units.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

# (direct estimate j of h, parameter k) -> the normalised settings at values of that estimate, `[N] -> [N]`
KnownCurves = Mapping[tuple[int, int], Callable[[np.ndarray], np.ndarray]]


class RenderVariants(Protocol):
    """What a gradient estimator needs of the host: any callable of this form, Pedalboard or not."""

    def __call__(self, audio: np.ndarray, unit_params: np.ndarray) -> np.ndarray:
        """Renders every variant of every example; a pure function of its arguments.

        Args:
            audio: float32 `[B, T, C]`.
            unit_params: float32 `[B, R, K]` in [0, 1].

        Returns:
            float32 `[B, R, T, C]`, a new array that the caller may overwrite; a render that failed is all NaN (and is
            recorded by the host, never raised).
        """
        ...


class Batch(Protocol):
    """What the training loop and its steps ask of a batch; the objective knows the rest."""

    @property
    def valid(self) -> Any: ...  # [B] float32, 0 where the example does not count

    @property
    def item(self) -> Any: ...  # [B] int64, global index of the example: seeds its random key


class PairBatch(NamedTuple):
    """Training pairs: numpy arrays on the host, jax arrays in a step. Target and reference share their settings."""

    dry: Any  # [B, T, C] the input recording
    target: Any  # [B, T, C] the input through the settings: what the output should be
    reference: Any  # [B, T, C] another recording through the same settings
    effect: Any  # [B] int32, index in the bank of the effect or chain
    unit_params: Any  # [B, K] true settings; K counts the parameters of the whole bank
    mask: Any  # [B, K] float32, 1 where the parameter belongs to the example's effect
    touched: Any  # [B] float32, 0 where the reference is as recorded, and the settings the effect's most neutral ones
    valid: Any  # [B] float32, 0 where a render failed
    item: Any  # [B] int64, global index of the example: seeds its random key


class EncodedBatch(NamedTuple):
    """Pairs as f's encodings; what g is trained on."""

    joint: Any  # [B, 2E] encodings of the input and of the reference, side by side
    effect: Any  # this and the rest as in PairBatch
    unit_params: Any
    mask: Any
    touched: Any
    valid: Any
    item: Any


class LatentBatch(NamedTuple):
    """Pairs as g's latents, with the audio that the effect is to change; what h is trained on."""

    z: Any  # [B, Z] posterior means
    dry: Any  # [B, T, C] as in PairBatch
    target: Any  # [B, T, C]
    unit_params: Any  # [B, K]
    valid: Any  # [B]
    item: Any  # [B]


class DigitBatch(NamedTuple):
    """Clips of one spoken digit each: numpy arrays on the host, jax arrays in a step."""

    audio: Any  # [B, T, C]
    digit: Any  # [B] int32, 0 to 9
    valid: Any  # [B] float32, 0 where the example only fills the batch
    item: Any  # [B] int64, global index of the example: seeds its random key
