"""The multi-layer perceptron that all networks here share."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array


class MLP(nn.Module):
    """Dense layers with GELU between; the last one's weights start at zero when `zero_output`.

    Attributes:
        widths: of the layers.
        zero_output: start at the biases.
        dtype: in which the layers compute; None for the input's. Parameters and what comes out stay as they are.
    """

    widths: tuple[int, ...]
    zero_output: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dtype = jnp.asarray(x).dtype
        for width in self.widths[:-1]:
            x = nn.gelu(nn.Dense(width, dtype=self.dtype)(x))
        init = nn.initializers.zeros if self.zero_output else nn.initializers.lecun_normal()
        return nn.Dense(self.widths[-1], kernel_init=init, dtype=self.dtype)(x).astype(dtype)
