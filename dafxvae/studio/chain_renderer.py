"""Chains of the palette on recordings, through the real effects."""

import numpy as np

from dafxvae.core.errors import EffectError
from dafxvae.core.resource import Closable
from dafxvae.effects.factory import ChainHost, make_chain
from dafxvae.effects.host import FailureLog
from dafxvae.effects.pool import RenderPool
from dafxvae.studio.palette import StudioChain


class ChainRenderer(Closable):
    """Renders chains on one pool; safe to call from several threads."""

    def __init__(self, num_workers: int | None = None) -> None:
        self.pool = RenderPool(num_workers)

    def render(self, chain: StudioChain, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """A recording through a chain; float32 `[T, C]`, as long as it was.

        Raises:
            EffectError: the chain failed.
        """
        if not chain.places:
            return audio
        host = ChainHost(make_chain(chain.fixed_effect(), self.pool), self.pool, FailureLog(), owns_pool=False)
        rendered = host.render(audio[None], np.zeros((1, 0), np.float32), sample_rate)[0]
        if not np.isfinite(rendered).all():
            raise EffectError(f"{host.name}: {'; '.join(map(str, host.failures.last))}")
        return rendered

    def close(self) -> None:
        """Ends the pool."""
        self.pool.close()
