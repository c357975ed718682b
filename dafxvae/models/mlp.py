"""The multi-layer perceptron that all networks here share."""

import flax.linen as nn
from jax import Array


class MLP(nn.Module):
    """Dense layers with GELU between; the last one's weights start at zero when `zero_output`."""

    widths: tuple[int, ...]
    zero_output: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for width in self.widths[:-1]:
            x = nn.gelu(nn.Dense(width)(x))
        init = nn.initializers.zeros if self.zero_output else nn.initializers.lecun_normal()
        return nn.Dense(self.widths[-1], kernel_init=init)(x)
