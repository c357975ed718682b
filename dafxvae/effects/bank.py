"""Several effects or chains behind one interface, over one pool: what a model for many effects is trained on."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from dafxvae.effects.chain import make_jobs, run_jobs
from dafxvae.effects.factory import ChainHost, Effect, checked_arguments, make_chain
from dafxvae.effects.host import FailureLog, empty_variants
from dafxvae.effects.pool import RenderPool
from dafxvae.effects.process import Limits
from dafxvae.errors import UserError


class EffectBank:
    """Effects side by side; the axis K of its `unit_params` is all of their parameters, one slice an effect."""

    def __init__(self, hosts: Sequence[ChainHost], pool: RenderPool, failures: FailureLog) -> None:
        self.hosts = tuple(hosts)
        self.failures = failures
        self._pool = pool
        self._offsets = np.cumsum([0] + [len(host.parameters) for host in hosts])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    @property
    def num_params(self) -> int:
        """K of the bank: the sum over its effects."""
        return int(self._offsets[-1])

    def slice(self, index: int) -> slice:
        """Where effect `index` has its parameters on the axis K."""
        return slice(int(self._offsets[index]), int(self._offsets[index + 1]))

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n draws: an effect, uniformly, and settings of it.

        Returns:
            effect int32 `[n]`; unit_params float32 `[n, K]`, zero outside the effect's slice; mask float32 `[n, K]`,
            one inside it.
        """
        effect = rng.integers(0, len(self.hosts), n, dtype=np.int32)
        unit_params, mask = np.zeros((2, n, self.num_params), np.float32)
        for i, host in enumerate(self.hosts):
            drawn = host.parameters.sample(
                rng, n
            )  # for all: the stream of one effect does not depend on the draw of another
            rows = effect == i
            unit_params[rows, self.slice(i)] = drawn[rows]
            mask[rows, self.slice(i)] = 1.0
        return effect, unit_params, mask

    def render(self, audio: np.ndarray, effect: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """Renders each example through its own effect; all examples in parallel.

        Args:
            audio: float32 `[B, T, C]`; only read.
            effect: int `[B]`, index into `hosts`.
            unit_params: `[B, K]`, K = `num_params`; only the effect's slice counts.
            sample_rate: Hz.

        Returns:
            float32 `[B, T, C]`; a failed render is all NaN and recorded in `failures`.
        """
        return self.render_variants(audio, effect, np.asarray(unit_params)[:, None], sample_rate)[:, 0]

    def render_variants(
        self, audio: np.ndarray, effect: np.ndarray, unit_params: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        """As `render`, with settings `[B, R, K]`: float32 `[B, R, T, C]`."""
        audio, unit_params = checked_arguments(audio, unit_params, self.num_params)
        effect = np.asarray(effect)
        if effect.shape != audio.shape[:1] or (len(effect) and not 0 <= effect.min() <= effect.max() < len(self.hosts)):
            raise ValueError(f"effect {effect}: give [{len(audio)}] indices from 0 to {len(self.hosts) - 1}")
        out = empty_variants(len(audio), unit_params.shape[1], audio.shape[1:])
        jobs = []
        for i, host in enumerate(self.hosts):
            rows = np.flatnonzero(effect == i).tolist()
            own = unit_params[..., self.slice(i)]
            jobs += make_jobs(host.chain, audio, own, out, sample_rate, self.failures, rows)
        run_jobs(self._pool, jobs)
        return out

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bank(effects: Sequence[Effect], num_workers: int | None = None, limits: Limits | None = None) -> EffectBank:
    """Opens several effects or chains over one shared pool.

    Args:
        effects: as for `dafxvae.effects.factory.open_host`, at least one.
        num_workers: renders at once; None for one per core.
        limits: how long a plugin may take; None for the defaults.

    Raises:
        UserError: as `open_host`; or no effect at all; or one named twice.
    """
    if isinstance(effects, str) or not len(effects):
        raise UserError(f"effects = {effects!r}: give a list of at least one effect")
    pool, failures = RenderPool(num_workers, limits), FailureLog()
    try:
        chains = [make_chain(effect, pool) for effect in effects]
        names = [chain.name for chain in chains]
        if len(set(names)) != len(names):
            raise UserError(f"an effect is named twice in {names}: name each once")
        return EffectBank([ChainHost(chain, pool, failures, owns_pool=False) for chain in chains], pool, failures)
    except BaseException:
        pool.close()
        raise
