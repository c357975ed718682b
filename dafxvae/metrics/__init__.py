"""Scores of finished sounds, with their uncertainty."""

from dafxvae.metrics.bootstrap import Interval, bootstrap_interval, bootstrap_ratio
from dafxvae.metrics.scoring import METRICS, Metric, score_outputs
from dafxvae.metrics.spectral import mrstft

__all__ = ["METRICS", "Interval", "Metric", "bootstrap_interval", "bootstrap_ratio", "mrstft", "score_outputs"]
