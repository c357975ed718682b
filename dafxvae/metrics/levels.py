"""Differences in level, in true decibels: RMS, CFE and LUFS. See docs/evaluation.md for sources and differences."""

import numpy as np


# Metrics need -inf and nan for silence, to leave it out; `audio.dsp` has a floor instead, for safe gradients.
def unfloored_rms_db(audio: np.ndarray) -> np.ndarray:
    """Root mean square over time and channels in dB re full scale; `[M, T, C] -> [M]`, -inf for silence."""
    power = np.mean(audio.astype(np.float64) ** 2, axis=(1, 2))
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(power)


def unfloored_crest_db(audio: np.ndarray) -> np.ndarray:
    """Crest factor, peak over RMS, in dB; `[M, T, C] -> [M]`, nan for silence."""
    peak = np.abs(audio).max(axis=(1, 2)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 20.0 * np.log10(peak) - unfloored_rms_db(audio)


def _difference(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """|output - target| `[M]`; nan where one of them is not finite."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(outputs - target)
    return np.where(np.isfinite(difference), difference, np.nan)


def level_scores(clips: np.ndarray, lufs: np.ndarray) -> dict[str, np.ndarray]:
    """Absolute differences in level of several outputs to one target.

    Args:
        clips: `[M + 1, T, C]`, the target last.
        lufs: their loudness `[M + 1]`, of `loudness_lufs`.

    Returns:
        "RMS" (dB), "CFE" (crest factor, dB) and "LUFS" (loudness, LU), each float64 `[M]`; nan where one of the two
        sounds is silent, or (LUFS) shorter than .4 s or all of it below the gate of -70 LUFS.
    """
    measures = {"RMS": unfloored_rms_db(clips), "CFE": unfloored_crest_db(clips), "LUFS": lufs}
    return {name: _difference(values[:-1], values[-1]) for name, values in measures.items()}
