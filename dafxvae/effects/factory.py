"""Open a host by the name of an effect or chain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dafxvae.core.arguments import check_number, check_rate, number_array
from dafxvae.core.errors import UserError
from dafxvae.core.resource import Closable
from dafxvae.effects.chain import Chain, make_jobs, run_jobs
from dafxvae.effects.host import EffectHost, FailureLog, empty_variants
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.pool import RenderPool
from dafxvae.effects.spec import parse_chain
from dafxvae.effects.units import make_builtin
from dafxvae.effects.vst3.discovery import make_vst3
from dafxvae.effects.vst3.process import Limits

MOST_WORKERS = 4096
Effect = str | Mapping[str, Any] | Sequence[Any]


class ChainHost(Closable):
    """Renders a chain on a pool; see `dafxvae.effects.host.EffectHost` for the contract."""

    def __init__(self, chain: Chain, pool: RenderPool, failures: FailureLog, *, owns_pool: bool) -> None:
        self.chain = chain
        self.pool = pool
        self._failures = failures
        self._owns_pool = owns_pool

    @property
    def name(self) -> str:
        return self.chain.name

    @property
    def parameters(self) -> ParameterSpace:
        return self.chain.parameters

    @property
    def failures(self) -> FailureLog:
        return self._failures

    def render(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render`."""
        unit_params = number_array(unit_params, "the settings", "[B, K]")
        return self.render_variants(audio, unit_params[:, None], sample_rate)[:, 0]

    def render_variants(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render_variants`."""
        audio, unit_params = checked_arguments(audio, unit_params, len(self.parameters), sample_rate)
        out = empty_variants(len(audio), unit_params.shape[1], audio.shape[1:])
        rows = range(len(audio))
        run_jobs(self.pool, make_jobs(self.chain, audio, unit_params, out, sample_rate, self._failures, rows))
        return out

    def part(self, places: Sequence[int]) -> "ChainHost":
        """Some effects of the chain as a chain, on the same pool."""
        chain = Chain(tuple(self.chain.units[place] for place in places))
        return ChainHost(chain, self.pool, self._failures, owns_pool=False)

    def close(self) -> None:
        """Ends the pool, if it is this host's own."""
        if self._owns_pool:
            self.pool.close()


def checked_arguments(
    audio: np.ndarray, unit_params: np.ndarray, num_params: int, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """The arguments of a render as numpy arrays (views where they are already), held to the contract's shapes.

    Raises:
        UserError: audio is not `[B, T, C]` with C 1 or 2, unit_params not `[B, R, K]`, or the rate none.
    """
    check_rate(sample_rate)
    audio = np.ascontiguousarray(number_array(audio, "the audio", "[B, T, C]"), np.float32)
    unit_params = number_array(unit_params, "the settings", "[B, R, K]")
    if audio.shape[2] not in (1, 2):
        raise UserError(f"the audio has the shape {audio.shape}: give [B, T, C] with 1 or 2 channels")
    if unit_params.shape[0] != len(audio) or unit_params.shape[2] != num_params:
        raise UserError(f"the settings have the shape {unit_params.shape}: give [{len(audio)}, R, {num_params}]")
    return audio, unit_params


def make_chain(effect: Effect, pool: RenderPool) -> Chain:
    """Finds every effect of a chain and loads what must be loaded.

    Raises:
        UserError: an effect, parameter, value or file that does not exist.
    """
    return Chain(tuple(make_vst3(spec, pool) if spec.is_vst3 else make_builtin(spec) for spec in parse_chain(effect)))


def open_host(effect: Effect, *, num_workers: int | None = None, limits: Limits | None = None) -> ChainHost:
    """Opens an effect or chain for rendering.

    Args:
        effect: the short form (`HighpassFilter | Compressor(threshold_db) | path/plugin.vst3`) or the structured one;
            see `dafxvae.effects.spec`.
        num_workers: renders at once; None for one per core.
        limits: how long a plugin may take; None for the defaults.

    Returns:
        The host; close it, or use it in a `with` statement.

    Raises:
        UserError: an effect, parameter, value or file that does not exist, a plugin that cannot be loaded, or a bad
            number of workers.
    """
    if num_workers is not None:
        check_number(num_workers, "num_workers", 1, MOST_WORKERS)
    pool = RenderPool(num_workers, limits)
    try:
        return ChainHost(make_chain(effect, pool), pool, FailureLog(), owns_pool=True)
    except BaseException:
        pool.close()
        raise


def check_controllable(host: EffectHost) -> None:
    """Refuses an effect of which nothing can be learnt or searched.

    Raises:
        UserError: it has no parameter.
    """
    if not len(host.parameters):
        raise UserError(
            f"{host.name} has no parameter that could be controlled: give an effect that has some "
            "(`dafxvae effects list`), or a chain with one"
        )
