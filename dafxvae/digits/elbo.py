"""The training loss of the digit VAE."""

from typing import Any, cast

from jax import Array

from dafxvae.digits.model import ClipOutput, ClipVAE
from dafxvae.models.vae import gaussian_nll, kl_per_dimension, sum_per_example
from dafxvae.training.steps import Objective, ObjectiveOutput
from dafxvae.types import DigitBatch


def make_digit_objective(vae: ClipVAE, beta: float) -> Objective:
    """The beta-ELBO per spectrogram cell (Higgins et al. 2017).

    Args:
        vae: the network.
        beta: weight of the KL divergence; at 1 it is the ELBO with unit variance of the standardised data.
    """

    def objective(params: Any, frozen: Any, batch: DigitBatch, keys: Array, step: Array) -> ObjectiveOutput:
        del step
        output = cast(ClipOutput, vae.apply({"params": params, **frozen}, batch.audio, keys))
        cells = output.data.shape[1] * output.data.shape[2]
        nll = gaussian_nll(output.data, output.reconstruction)
        kl = sum_per_example(kl_per_dimension(output.posterior))
        metrics = {"nll_per_cell": nll / cells, "kl_nats": kl}
        return ObjectiveOutput((nll + beta * kl) / cells, batch.valid, metrics)

    return objective
