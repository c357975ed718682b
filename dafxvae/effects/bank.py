"""Several effects or chains behind one interface and one pool, for a model of many effects."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.resource import Closable
from dafxvae.core.rng import host_rng
from dafxvae.effects.chain import Chain, make_jobs, run_jobs
from dafxvae.effects.factory import ChainHost, Effect, checked_arguments, make_chain
from dafxvae.effects.host import FailureLog, empty_variants
from dafxvae.effects.pool import RenderPool
from dafxvae.effects.vst3.presets import with_presets
from dafxvae.effects.vst3.process import Limits


class EffectBank(Closable):
    """Effects side by side, alone and in random chains, behind one axis of parameters.

    An *effect* of the bank is one of its single effects ("units") or one of its chains of them; `effect` indices count
    the units first. The axis K holds the parameters of every unit once: a chain uses the columns of its members, so
    that what is learnt of an effect alone serves it in a chain.
    """

    def __init__(
        self,
        units: Sequence[Chain],
        pool: RenderPool,
        failures: FailureLog,
        chains: Sequence[tuple[int, ...]] = (),
        chain_share: float = 0.0,
    ) -> None:
        self.failures = failures
        self._pool = pool
        self._chain_share = chain_share if chains else 0.0
        self.num_units = len(units)
        self.members: tuple[tuple[int, ...], ...] = (*((i,) for i in range(len(units))), *chains)
        joined = [Chain(tuple(unit for i in members for unit in units[i].units)) for members in self.members]
        self.hosts = tuple(ChainHost(chain, pool, failures, owns_pool=False) for chain in joined)
        self.names = tuple(host.name for host in self.hosts)
        offsets = np.cumsum([0] + [len(unit.parameters) for unit in units])
        own = [np.arange(low, high) for low, high in itertools.pairwise(offsets)]
        self._columns = tuple(np.concatenate([own[i] for i in members]) for members in self.members)
        self._masks = np.zeros((len(self.members), self.num_params), np.float32)
        self.membership = np.zeros((len(self.members), self.num_units), np.float32)  # [effects, units]
        for i, members in enumerate(self.members):
            self._masks[i, self._columns[i]] = 1.0
            self.membership[i, list(members)] = 1.0

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The single effects."""
        return self.names[: self.num_units]

    @property
    def num_params(self) -> int:
        """K of the bank: the sum over its units."""
        return sum(len(host.parameters) for host in self.hosts[: self.num_units])

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the axis K, e.g. `Compressor.ratio`."""
        return tuple(f"{host.name}.{name}" for host in self.hosts[: self.num_units] for name in host.parameters.names)

    def columns(self, index: int) -> np.ndarray:
        """Where effect `index` has its parameters on the axis K, in the order of its host; int `[its K]`."""
        return self._columns[index]

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n draws: a unit, or (in `chain_share` of the draws) a chain, uniformly, and settings of it.

        Returns:
            effect int32 `[n]`; unit_params float32 `[n, K]`, zero outside the effect's columns; mask float32 `[n, K]`,
            one inside them.
        """
        effect = rng.integers(0, self.num_units, n, dtype=np.int32)
        if self._chain_share:
            chain = rng.integers(self.num_units, len(self.members), n, dtype=np.int32)
            effect = np.where(rng.random(n) < self._chain_share, chain, effect)
        # of every unit: the stream of one effect does not depend on the draw of another
        drawn = [host.parameters.sample(rng, n) for host in self.hosts[: self.num_units]]
        mask = self._masks[effect]
        return effect, np.concatenate(drawn, axis=1) * mask, mask

    def render(self, audio: np.ndarray, effect: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """Renders each example through its own effect; all examples in parallel.

        Args:
            audio: float32 `[B, T, C]`; only read.
            effect: int `[B]`, index of the effect.
            unit_params: `[B, K]`, K = `num_params`; only the effect's columns count.
            sample_rate: Hz.

        Returns:
            float32 `[B, T, C]`; a failed render is all NaN and recorded in `failures`.
        """
        return self.render_variants(audio, effect, np.asarray(unit_params)[:, None], sample_rate)[:, 0]

    def render_variants(
        self, audio: np.ndarray, effect: np.ndarray, unit_params: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        """As `render`, with settings `[B, R, K]`: float32 `[B, R, T, C]`."""
        audio, unit_params = checked_arguments(audio, unit_params, self.num_params, sample_rate)
        effect = np.asarray(effect)
        if effect.shape != audio.shape[:1] or (len(effect) and not 0 <= effect.min() <= effect.max() < len(self.hosts)):
            raise ValueError(f"effect {effect}: give [{len(audio)}] indices from 0 to {len(self.hosts) - 1}")
        out = empty_variants(len(audio), unit_params.shape[1], audio.shape[1:])
        jobs = []
        for i, host in enumerate(self.hosts):
            rows = np.flatnonzero(effect == i).tolist()
            if rows:
                own = unit_params[..., self.columns(i)]
                jobs += make_jobs(host.chain, audio, own, out, sample_rate, self.failures, rows)
        run_jobs(self._pool, jobs)
        return out

    @property
    def num_workers(self) -> int:
        """Renders made at once."""
        return self._pool.num_workers

    @property
    def busy_seconds(self) -> float:
        """Seconds that all workers together have spent rendering so far."""
        return self._pool.busy_seconds

    def close(self) -> None:
        self._pool.close()


@dataclass(frozen=True)
class RandomChains:
    """Chains that a bank holds in addition to its single effects: drawn once, of different members in random order."""

    count: int = 0
    max_length: int = 4  # of 2 .. max_length members, uniformly
    share: float = 0.5  # of the draws of a bank that has chains

    def __post_init__(self) -> None:
        if self.count < 0 or self.max_length < 2 or not 0.0 <= self.share <= 1.0:
            raise UserError(f"{self}: give a count >= 0, a max_length >= 2 and a share in [0, 1]")

    def draw(self, num_units: int, seed: int) -> list[tuple[int, ...]]:
        """The members of each chain, no two alike."""
        rng = host_rng(seed, "bank/chains")
        longest = min(self.max_length, num_units)
        possible = sum(math.perm(num_units, length) for length in range(2, longest + 1))
        found: dict[tuple[int, ...], None] = {}
        while len(found) < min(self.count, possible):
            length = int(rng.integers(2, longest + 1))
            found[tuple(rng.permutation(num_units)[:length].tolist())] = None
        return list(found)


def open_bank(
    effects: Sequence[Effect],
    num_workers: int | None = None,
    limits: Limits | None = None,
    chains: RandomChains | None = None,
    seed: int = 0,
    presets: Path | None = None,
) -> EffectBank:
    """Opens several effects, and random chains of them, over one shared pool.

    Args:
        effects: as for `dafxvae.effects.factory.open_host`, at least one.
        num_workers: renders at once; None for one per core.
        limits: how long a plugin may take; None for the defaults.
        chains: how many, how long, how often; None for none.
        seed: of the chains.
        presets: folder of presets around which the settings of plugins are drawn (`vst3.presets`); None for none.

    Raises:
        UserError: as `open_host`; or no effect at all; or one named twice; or a plugin has no preset in the folder.
    """
    if isinstance(effects, str) or not len(effects):
        raise UserError(f"effects = {effects!r}: give a list of at least one effect")
    pool, failures = RenderPool(num_workers, limits), FailureLog()
    try:
        units = [make_chain(effect, pool) for effect in effects]
        names = [unit.name for unit in units]
        if len(set(names)) != len(names):
            raise UserError(f"an effect is named twice in {names}: name each once")
        units = units if presets is None else [with_presets(unit, presets, pool) for unit in units]
        chains = chains or RandomChains()
        return EffectBank(units, pool, failures, chains.draw(len(units), seed), chains.share)
    except BaseException:
        pool.close()
        raise
