"""What each parameter of an effect is good for, found by rendering: switches that bypass or mute, and knobs of no use.

Names do not tell: a plugin calls its bypass "in", and its meters automatable. So every parameter is moved over its
range at some random settings of the others, and what comes out is compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dafxvae.effects.factory import ChainHost
from dafxvae.effects.parameters import Parameter, ParameterSpace
from dafxvae.effects.spec import EffectSpec
from dafxvae.effects.vst3.plugin import Vst3Unit

NUM_SETTINGS = 12  # at which each parameter is moved, the defaults among them
MOST_VALUES = 8  # of a switch or choice
SWEEP = 9  # values of a continuous parameter whose level is looked at
SMALL_STEP, LARGE_STEP = 1e-3, 0.1  # of [0, 1]; the first is what a gradient estimate moves by
HEARD = 1e-4  # of the peak: a change of -80 dB, below which a parameter is of no use
USABLE_SHARE = 0.3  # of the settings, in which a value must give a sound that can be used
LEAST_DB, MOST_DB = -50.0, 24.0  # of the output over the input; beyond, a sound is silent or extreme
STEPPED_SHARE = 0.5  # of small moves without any change, above which a continuous parameter counts as stepped
RARELY = 0.6  # of the settings, below which it is asked whether a switch decides


@dataclass(frozen=True)
class Usefulness:
    """What one parameter does, at random settings of the others.

    Attributes:
        parameter: which.
        change: largest |difference| between two of its values, relative to the peak of the output.
        heard_share: of the settings at which such a difference is heard (`HEARD`).
        still_share: of moves by `SMALL_STEP` that change not one bit, where a move by `LARGE_STEP` does.
        bypasses, mutes: its values at which the output is the input, or silence, whatever the others are.
        needs: "mode = a, b" where it acts only with these values of a switch; "" where none decides.
        usable: the part of [0, 1] in which the output is neither silent nor extreme.
    """

    parameter: Parameter
    change: float
    heard_share: float
    still_share: float = 0.0
    bypasses: tuple[float, ...] = ()
    mutes: tuple[float, ...] = ()
    needs: str = ""
    usable: tuple[float, float] = (0.0, 1.0)

    @property
    def does_nothing(self) -> bool:
        return self.heard_share == 0.0

    @property
    def is_stepped(self) -> bool:
        return self.parameter.is_discrete or (not self.does_nothing and self.still_share > STEPPED_SHARE)

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON."""
        numbers = {"change": self.change, "heard_share": self.heard_share, "still_share": self.still_share}
        return {"name": self.parameter.name, "kind": self.parameter.kind, **numbers, "advice": self.advice}

    @property
    def advice(self) -> str:
        """Why it is better held still or narrowed, or when it acts; "" for a parameter that is as it should be."""
        if self.does_nothing:
            return f"changes nothing that is heard (at most {self.change:.1g} of the peak)"
        if self.held is not None:
            return "bypasses the effect" if self.bypasses else "mutes the effect"
        if self.usable != (0.0, 1.0):
            return "narrowed: the output is silent or extreme beyond"
        return f"acts only with {self.needs}" if self.needs else ""

    @property
    def held(self) -> float | None:
        """The value in [0, 1] at which it is better held; None for a parameter to control."""
        if self.does_nothing:
            return _default_unit(self.parameter)
        off = self.bypasses or self.mutes
        if self.parameter.num_values == 2 and len(off) == 1:  # a choice of more values may have an "off" among them
            return 1.0 - off[0]
        return None


def examine_parameters(
    host: ChainHost, audio: np.ndarray, sample_rate: int, residual: float = 0.0
) -> Iterator[Usefulness]:
    """Moves every parameter of an effect over its range at `NUM_SETTINGS` settings.

    Args:
        host: the effect or chain.
        audio: float32 `[T, C]` that it acts on.
        sample_rate: Hz.
        residual: what renders of equal arguments differ by.

    Yields:
        One for each parameter, in order. Renders that fail count as silence.
    """
    space = host.parameters
    random = space.sample(np.random.default_rng(2), NUM_SETTINGS - 1)
    settings = np.concatenate([space.default_unit[None], random]).astype(np.float32)
    for k, parameter in enumerate(space):
        values, moves = _values(parameter), _moves(parameter, settings[:, k])
        rows = np.repeat(settings[:, None], len(values) + moves.shape[1], axis=1)
        rows[:, : len(values), k], rows[:, len(values) :, k] = values, moves
        batch = np.repeat(audio[None], NUM_SETTINGS, axis=0)
        rendered = np.nan_to_num(host.render_variants(batch, rows, sample_rate))
        yield _describe(space, k, settings, rendered, audio, residual)


def _default_unit(parameter: Parameter) -> float:
    return float(ParameterSpace((parameter,)).default_unit[0])


def _physical(parameter: Parameter, unit: float) -> float:
    return float(ParameterSpace((parameter,)).to_physical(np.array([unit]))[0])


def _values(parameter: Parameter) -> np.ndarray:
    """The values that a parameter is moved to, in [0, 1]."""
    count = min(parameter.num_values, MOST_VALUES) if parameter.is_discrete else SWEEP
    places = np.linspace(0, parameter.num_values - 1, count).round() / (parameter.num_values - 1)
    return places if parameter.is_discrete else np.linspace(0.0, 1.0, count)


def _moves(parameter: Parameter, at: np.ndarray) -> np.ndarray:
    """A value of a continuous parameter, and a small and a large step from it, for each setting; `[N, 3]`."""
    if parameter.is_discrete:
        return np.empty((len(at), 0))
    inside = np.clip(at, LARGE_STEP, 1.0 - LARGE_STEP)
    return np.stack([inside, inside + SMALL_STEP, inside + LARGE_STEP], axis=1)


def _describe(
    space: ParameterSpace, k: int, settings: np.ndarray, rendered: np.ndarray, audio: np.ndarray, residual: float
) -> Usefulness:
    """What the renders `[N, V (+ 3), T, C]` of values of parameter `k` show."""
    parameter, values = space[k], _values(space[k])
    swept, moved = rendered[:, : len(values)], rendered[:, len(values) :]
    peak = float(np.abs(rendered).max()) or 1.0
    changes = np.abs(swept - swept[:, :1]).max((1, 2, 3)) / peak
    heard = changes > max(HEARD, 4.0 * residual / peak)
    acting = [rows for rows in moved if not np.array_equal(rows[0], rows[2])] if moved.shape[1] else []
    found = Usefulness(
        parameter,
        float(changes.max()),
        float(heard.mean()),
        float(np.mean([np.array_equal(rows[0], rows[1]) for rows in acting])) if acting else 0.0,
    )
    if found.does_nothing:
        return found
    if not parameter.is_discrete:
        return replace(found, needs=_deciding(space, k, settings, heard), usable=_usable(parameter, swept, audio))
    passes, silent = (
        values[(np.abs(swept - still).max((2, 3)) < HEARD * np.abs(audio).max()).all(0)] for still in (audio, 0.0)
    )
    needs = _deciding(space, k, settings, heard)
    return replace(found, bypasses=tuple(passes.tolist()), mutes=tuple(silent.tolist()), needs=needs)


def _deciding(space: ParameterSpace, k: int, settings: np.ndarray, heard: np.ndarray) -> str:
    """The switch whose values tell at which settings parameter `k` is heard, as "name = values"; "" for none."""
    if heard.mean() >= RARELY or min(heard.sum(), (~heard).sum()) < 2:
        return ""
    for other, parameter in enumerate(space):
        if other == k or not parameter.is_discrete:
            continue
        shown = [parameter.show(_physical(parameter, value)) for value in settings[:, other]]
        on, off = ({value for value, here in zip(shown, heard) if here == wanted} for wanted in (True, False))
        if not on & off:
            return f"{parameter.name} = {', '.join(sorted(map(str, on)))}"
    return ""


def _usable(parameter: Parameter, swept: np.ndarray, audio: np.ndarray) -> tuple[float, float]:
    """The part of [0, 1] around the default where enough settings make the output neither silent nor extreme."""
    level = 10.0 * np.log10(np.square(swept).mean((2, 3)) / np.square(audio).mean() + 1e-12)  # [N, V]
    good = ((level > LEAST_DB) & (level < MOST_DB)).mean(0) >= USABLE_SHARE
    values = np.linspace(0.0, 1.0, SWEEP)
    start = int(np.abs(values - _default_unit(parameter)).argmin())
    if not good[start]:
        return 0.0, 1.0
    low, high = start, start
    while low > 0 and good[low - 1]:
        low -= 1
    while high < SWEEP - 1 and good[high + 1]:
        high += 1
    return float(values[low]), float(values[high])


class AdvisedChain(NamedTuple):
    """A chain as it is better trained: with parameters of no use held, and ranges of use."""

    chain: tuple[EffectSpec, ...]
    notes: tuple[str, ...]  # "name: why", of each parameter that is not as it should be


def advise_chain(host: ChainHost, audio: np.ndarray, sample_rate: int) -> AdvisedChain:
    """Examines every plugin of a chain alone; built-ins, and plugins whose parameters the user chose, stay as they are.

    Args:
        host: the effect or chain.
        audio: float32 `[T, C]` that each plugin acts on.
        sample_rate: Hz.
    """
    chain, notes = list[EffectSpec](), list[str]()
    for place, unit in enumerate(host.chain.units):
        if not isinstance(unit, Vst3Unit) or unit.spec.control is not None or not len(unit.parameters):
            chain.append(unit.spec)
            continue
        found = list(examine_parameters(host.part([place]), audio, sample_rate, unit.residual))
        held = sum(each.held is not None for each in found)
        chain.append(_with_advice(unit.spec, found) if held < len(found) else unit.spec)
        notes += [f"{host.chain.labels[place]}.{each.parameter.name}: {each.advice}" for each in found if each.advice]
    return AdvisedChain(tuple(chain), tuple(notes))


def _with_advice(spec: EffectSpec, found: Sequence[Usefulness]) -> EffectSpec:
    fixed, ranges = list(spec.fixed), list(spec.ranges)
    narrowed = {name for name, _ in ranges}
    for each in found:
        name, parameter = each.parameter.name, each.parameter
        if each.held is not None and name not in narrowed:
            fixed.append((name, parameter.show(_physical(parameter, each.held))))
        elif each.held is None and each.usable != (0.0, 1.0) and name not in narrowed:
            low, high = (float(f"{_physical(parameter, end):.4g}") for end in each.usable)
            ranges.append((name, (low, high)))
    return replace(spec, fixed=tuple(fixed), ranges=tuple(ranges))
