"""All metrics of rendered sounds at once."""

from dataclasses import dataclass

import numpy as np

from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.metrics.levels import level_scores
from dafxvae.metrics.spectral import spectral_scores
from dafxvae.metrics.speech import pesq_scores


@dataclass(frozen=True)
class Metric:
    """How a metric is read and shown."""

    unit: str
    digits: int  # after the point, in tables
    higher_is_better: bool = False

    def improved(self, ours: np.ndarray, nothing: np.ndarray) -> np.ndarray:
        """Whether each item is strictly better than it was; bool `[B]`, False where one of the two is nan."""
        return ours > nothing if self.higher_is_better else ours < nothing


MATCHED = "MRSTFT matched"  # of sounds that are each brought to one loudness before
MATCHED_LUFS = -20.0
METRICS = {
    "MRSTFT": Metric("", 3),
    MATCHED: Metric("", 3),
    "MSD": Metric("", 3),
    "SCE": Metric("Hz", 1),
    "CFE": Metric("dB", 2),
    "RMS": Metric("dB", 2),
    "LUFS": Metric("LU", 2),
    "PESQ": Metric("MOS", 3, higher_is_better=True),
}


def score_outputs(
    outputs: np.ndarray, target: np.ndarray, sample_rate: int, *, pesq: bool = False
) -> dict[str, np.ndarray]:
    """Scores several outputs against one target.

    Args:
        outputs: float32 `[M, T, C]`; one that is not finite throughout (a failed render) scores nan.
        target: float32 `[T, C]`, finite.
        sample_rate: Hz.
        pesq: measure PESQ too, which takes longer than all the others together.

    Returns:
        Name of the metric to float64 `[M]`, nan where it is undefined: see `spectral_scores`, `level_scores` and
        `pesq_scores`. "MRSTFT matched" is the MRSTFT after outputs and target are each brought to `MATCHED_LUFS`; a
        sound without a finite loudness keeps its level (where "LUFS" is undefined, one of the two does). "PESQ" is
        there only where it was asked for.

    Raises:
        UserError: pesq is asked for and not installed.
    """
    good = np.asarray(np.isfinite(outputs).all(axis=(1, 2)))
    clips = np.where(good[:, None, None], outputs, np.float32(0.0))
    found = spectral_scores(clips, target, sample_rate)
    sounds = np.concatenate([clips, target[None]])
    lufs = loudness_lufs(sounds, sample_rate)
    matched = at_loudness(sounds, lufs, MATCHED_LUFS)
    found |= {MATCHED: spectral_scores(matched[:-1], matched[-1], sample_rate)["MRSTFT"]} | level_scores(sounds, lufs)
    if pesq:
        found["PESQ"] = pesq_scores(clips, target, sample_rate)
    return {name: np.where(good, values, np.nan) for name, values in found.items()}
