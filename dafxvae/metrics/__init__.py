"""Scores of finished sounds, with their uncertainty."""

from dafxvae.metrics.bootstrap import Interval, bootstrap_interval, bootstrap_ratio
from dafxvae.metrics.scores import MATCHED, MATCHED_LUFS, METRICS, Metric, score_outputs
from dafxvae.metrics.spectral import mrstft

__all__ = [
    "MATCHED", "MATCHED_LUFS", "METRICS", "Interval", "Metric", "bootstrap_interval", "bootstrap_ratio", "mrstft",
    "score_outputs",
]  # fmt: skip
