"""PESQ, for speech. See docs/evaluation.md."""

import numpy as np

from dafxvae.audio.io import resample, to_channels
from dafxvae.core import optional

PESQ_RATE = 16000


def is_pesq_installed() -> bool:
    """Whether `pesq` is there: it is compiled on installation, which needs a C compiler."""
    return optional.is_installed("pesq")


def pesq_scores(outputs: np.ndarray, target: np.ndarray, sample_rate: int) -> np.ndarray:
    """Wide-band PESQ (ITU-T P.862.2, MOS-LQO from 1.04 to 4.64) of the channels' mean at 16 kHz.

    The target is the reference signal of the measure.

    Args:
        outputs: float32 `[M, T, C]`.
        target: float32 `[T, C]`.
        sample_rate: Hz.

    Returns:
        float64 `[M]`; nan where no utterance is found, in a silent sound, or in one shorter than .25 s.

    Raises:
        UserError: pesq is not installed.
    """
    pesq = optional.load("pesq", "pesq", "evaluation")
    undefined = (pesq.NoUtterancesError, pesq.BufferTooShortError)
    clips = [resample(to_channels(clip, 1), sample_rate, PESQ_RATE)[:, 0] for clip in (*outputs, target)]
    found = np.full(len(outputs), np.nan)
    for i, clip in enumerate(clips[:-1]):
        if not clip.any() or not clips[-1].any():
            continue  # the library divides by the peak
        try:
            found[i] = pesq.pesq(PESQ_RATE, clips[-1], clip, "wb")
        except undefined:
            continue
    return found
