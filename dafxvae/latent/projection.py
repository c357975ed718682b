"""Projections to two dimensions: PCA, and UMAP where it is installed."""

import importlib
from typing import NamedTuple

import numpy as np

from dafxvae.core import optional
from dafxvae.latent.probes import standardise


class Projection(NamedTuple):
    """Points of a picture and how they came about."""

    points: np.ndarray  # [B, 2]
    axes: tuple[str, str]


def pca_2d(x: np.ndarray) -> Projection:
    """The two greatest principal components of standardised features; `[B, D]`, B >= 2, D >= 2."""
    pca = optional.load_sklearn("decomposition", "latent").PCA(2)
    points = pca.fit_transform(*standardise(x))
    first, second = (
        f"principal component {i + 1} ({share:.0%} of the variance)"
        for i, share in enumerate(pca.explained_variance_ratio_)
    )
    return Projection(points, (first, second))


def umap_2d(x: np.ndarray, seed: int) -> Projection | None:
    """UMAP (McInnes et al. 2018) of standardised features; None when the package is not installed."""
    if not optional.is_installed("umap"):
        return None
    umap = importlib.import_module("umap")
    points = umap.UMAP(n_components=2, random_state=seed).fit_transform(*standardise(x))
    return Projection(np.asarray(points), ("UMAP 1", "UMAP 2"))
