"""Projections to two dimensions: PCA, and UMAP where it is installed."""

import importlib
from typing import NamedTuple

import numpy as np

from dafxvae.latent.probes import fit_scaler


class Projection(NamedTuple):
    """Points of a picture and how they came about."""

    points: np.ndarray  # [B, 2]
    axes: tuple[str, str]


def pca_2d(x: np.ndarray) -> Projection:
    """The two greatest principal components of standardised features; `[B, D]`, B >= 2, D >= 2."""
    scaled = fit_scaler(x)(x)
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    share = singular**2 / max(float((singular**2).sum()), 1e-12)
    names = [f"principal component {i + 1} ({share[i]:.0%} of the variance)" for i in range(2)]
    return Projection(left[:, :2] * singular[:2], (names[0], names[1]))


def umap_2d(x: np.ndarray, seed: int) -> Projection | None:
    """UMAP (McInnes et al. 2018) of standardised features; None when the package is not installed."""
    try:
        umap = importlib.import_module("umap")
    except ImportError:
        return None
    points = umap.UMAP(n_components=2, random_state=seed).fit_transform(fit_scaler(x)(x))
    return Projection(np.asarray(points), ("UMAP 1", "UMAP 2"))
