"""A chain of effects, and the schedule of its renders: settings that share a leading part share its renders."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, cast

import numpy as np

from dafxvae.effects.host import FailureLog
from dafxvae.effects.parameters import Parameter, ParameterSpace, PresetBlock
from dafxvae.effects.pool import RenderPool, RenderWorker, Task
from dafxvae.effects.spec import format_chain
from dafxvae.effects.units import BuiltinUnit, RenderError, render_builtins
from dafxvae.effects.vst3.discovery import plugin_process
from dafxvae.effects.vst3.plugin import Vst3Unit

Unit = BuiltinUnit | Vst3Unit


@dataclass(frozen=True)
class Chain:
    """Effects in a row, with the joined space of their controlled parameters."""

    units: tuple[Unit, ...]

    @cached_property
    def name(self) -> str:
        """The canonical short form."""
        return format_chain([unit.spec for unit in self.units])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the effects, as those of their parameters begin."""
        return number_labels([unit.spec.label for unit in self.units])

    @cached_property
    def parameters(self) -> ParameterSpace:
        return join_spaces([unit.spec.label for unit in self.units], [unit.parameters for unit in self.units])

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each unit's parameters begin in the joined space, and K."""
        return tuple(np.cumsum([0] + [len(unit.parameters) for unit in self.units]).tolist())

    def settings(self, physical: np.ndarray, start: int, stop: int) -> list[np.ndarray]:
        """Physical values `[K]` of units start..stop, one array a unit."""
        return [physical[self.offsets[i] : self.offsets[i + 1]] for i in range(start, stop)]


def number_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of the effects of a chain: a repeated one has its number behind."""
    counts = [labels[: i + 1].count(label) for i, label in enumerate(labels)]
    return tuple(label if nth == 1 else f"{label}{nth}" for label, nth in zip(labels, counts))


def join_spaces(labels: Sequence[str], spaces: Sequence[ParameterSpace]) -> ParameterSpace:
    """The space of a chain: one effect keeps its short names, several are prefixed, repeated kinds are numbered.

    Args:
        labels: the kind of each effect (`Compressor`, `PeakFilter`), as long as spaces.
        spaces: of each effect.
    """
    if len(spaces) == 1:
        return spaces[0]
    joined, presets = list[Parameter](), list[PresetBlock]()
    for prefix, space in zip(number_labels(labels), spaces, strict=True):
        presets += [block._replace(first=len(joined) + block.first) for block in space.presets]
        joined += [replace(parameter, name=f"{prefix}.{parameter.name}") for parameter in space]
    return ParameterSpace(tuple(joined), tuple(presets))


@dataclass(slots=True)
class RenderJob:
    """One clip through one chain with R settings."""

    chain: Chain
    audio: np.ndarray  # [T, C], only read
    unit_params: np.ndarray  # [R, K]
    physical: np.ndarray  # [R, K], the same in physical units
    finite: list[bool]  # [R], which settings can be rendered at all
    out: np.ndarray  # [R, T, C], written
    sample_rate: int
    failures: FailureLog
    example: object = field(default_factory=object)  # what its failures count as


def make_jobs(
    chain: Chain,
    audio: np.ndarray,
    unit_params: np.ndarray,
    out: np.ndarray,
    sample_rate: int,
    failures: FailureLog,
    rows: Sequence[int],
) -> list[RenderJob]:
    """Jobs of the examples `rows` of a batch.

    Args:
        chain: what renders them.
        audio: `[B, T, C]`.
        unit_params: `[B, R, K]`, K of this chain.
        out: `[B, R, T, C]`.
        sample_rate: Hz.
        failures: where failed renders are recorded.
        rows: indices into B.
    """
    chosen = unit_params[rows]  # converted all at once: it costs as much for one as for all
    physical = chain.parameters.to_physical(np.nan_to_num(chosen))
    finite: list[list[bool]] = np.all(np.isfinite(chosen), axis=-1).tolist()
    return [
        RenderJob(chain, audio[b], unit_params[b], physical[i], finite[i], out[b], sample_rate, failures)
        for i, b in enumerate(rows)
    ]


def run_jobs(pool: RenderPool, jobs: Sequence[RenderJob]) -> None:
    """Fills every job's `out`; returns when all is rendered."""
    pool.run([partial(_start, job) for job in jobs])


def _start(job: RenderJob, worker: RenderWorker) -> Sequence[Task] | None:
    members = [r for r, finite in enumerate(job.finite) if finite]
    if len(members) < len(job.finite):
        for r in sorted(set(range(len(job.finite))) - set(members)):
            _fail(job, [r], "the settings are not finite")
    return _branch(job, job.audio, 0, members, worker)


def _branch(
    job: RenderJob, audio: np.ndarray, start: int, members: Sequence[int], worker: RenderWorker
) -> Sequence[Task] | None:
    """Renders a single continuation here; several, one for each of the distinct settings, are left to who is free."""
    chain, pieces = job.chain, []
    if len(members) == 1:
        return _render(job, audio, start, len(chain.units), members, worker)
    groups = _group(chain, job.physical, start, members)
    for group in groups:
        stop = start + 1
        while stop < len(chain.units) and len(_group(chain, job.physical, stop, group)) == 1:
            stop += 1
        pieces.append(partial(_render, job, audio, start, stop, group))
    if not pieces:
        return None
    return pieces[0](worker) if len(pieces) == 1 else pieces


def _group(chain: Chain, physical: np.ndarray, depth: int, members: Sequence[int]) -> list[list[int]]:
    """Members by their settings of the unit at `depth`."""
    low, high = chain.offsets[depth], chain.offsets[depth + 1]
    groups: dict[bytes, list[int]] = {}
    for r in members:
        groups.setdefault(physical[r, low:high].tobytes(), []).append(r)
    return list(groups.values())


def _render(
    job: RenderJob, audio: np.ndarray, start: int, stop: int, members: Sequence[int], worker: RenderWorker
) -> Sequence[Task] | None:
    chain = job.chain
    if job.failures.is_tripped(chain.name):
        return _fail(job, members, "not tried: too many in a row had failed")
    try:
        settings = chain.settings(job.physical[members[0]], start, stop)
        rendered = render_units(worker, chain.units[start:stop], settings, audio, job.sample_rate)
    except RenderError as error:
        return _fail(job, members, str(error))
    if stop < len(chain.units):
        if any(unit.is_process for unit in chain.units[start:stop]):
            rendered = rendered.copy()  # out of the shared memory, which is used again
        return _branch(job, rendered, stop, members, worker)
    for r in members:
        job.out[r] = rendered
    job.failures.success(chain.name)
    return None


def _fail(job: RenderJob, members: Sequence[int], reason: str) -> None:
    for r in members:
        job.out[r] = np.nan
    job.failures.record(job.chain.name, _describe(job, members[0]), reason, len(members), job.example)


def _describe(job: RenderJob, r: int) -> dict[str, Any]:
    if np.isfinite(job.unit_params[r]).all():
        return job.chain.parameters.describe(job.unit_params[r])
    return dict(zip(job.chain.parameters.names, job.unit_params[r].tolist(), strict=True))


def render_units(
    worker: RenderWorker, units: Sequence[Unit], settings: Sequence[np.ndarray], audio: np.ndarray, sample_rate: int
) -> np.ndarray:
    """Renders one clip `[T, C]` through units in a row, in this thread or in its plugin process.

    Returns:
        float32 `[T, C]`; from a plugin process, a view that lasts until that process renders again.

    Raises:
        RenderError: it failed.
    """
    if not len(audio):
        return audio
    for unit in units:
        if unit.is_process:
            return plugin_process(worker).render(units, settings, audio, sample_rate)
    return render_builtins(cast(Sequence[BuiltinUnit], units), settings, audio, sample_rate)
