"""Parts of a style: amounts of single effects, effects of one kind, a bound on the gains of filters."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.effects.chain import Chain
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.kinds import LEVEL, SPECTRUM, measured_kind, unit_kind
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.response import audibility
from dafxvae.effects.units import BuiltinUnit


def locked_values(space: ParameterSpace, locks: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What locks mean: (bool `[K]`, which are locked; float32 `[K]`, their normalised values).

    Raises:
        UserError: an unknown name (with the nearest), an unreadable value, or one outside the parameter's range.
    """
    for name in locks:
        if name not in space.names:
            raise unknown_name("parameter to lock", str(name), space.names)
    return np.array([name in locks for name in space.names], bool), space.from_values(locks)


def stage_kinds(host: ChainHost, unit_params: np.ndarray, sample_rate: int) -> list[str]:
    """The kind of each effect of a chain; of a plugin whose category does not say it, by its response at its settings.

    Args:
        host: the chain.
        unit_params: its settings `[K]`.
        sample_rate: Hz, above 22 kHz.
    """
    found = []
    for i, unit in enumerate(host.chain.units):
        own = slice(*host.chain.offsets[i : i + 2])
        found.append(unit_kind(unit) or measured_kind(host.part([i]), unit_params[own], sample_rate))
    return found


def effect_place(chain: Chain, name: str | int) -> int:
    """Where in a chain an effect is, by its name (`Compressor`, the second one `Compressor2`) or its number from 1 on.

    Raises:
        UserError: there is none.
    """
    if isinstance(name, int) or re.fullmatch(r"\d+", str(name)):
        if not 1 <= int(name) <= len(chain.units):
            raise UserError(f"effect {name}: {chain.name} has 1 to {len(chain.units)}")
        return int(name) - 1
    if name not in chain.labels:
        raise unknown_name(f"effect of {chain.name}", str(name), chain.labels)
    return chain.labels.index(name)


def measure_moves(host: ChainHost, unit_params: np.ndarray, sample_rate: int) -> np.ndarray | None:
    """How much each parameter can move the sound from some settings, dB `[K]`; None for plugins, which are slow."""
    if not all(isinstance(unit, BuiltinUnit) for unit in host.chain.units):
        return None
    return audibility(host, unit_params, sample_rate, sweep=(0.0, 0.5, 1.0))


def missing_kinds(kinds: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Wanted kinds of which a chain has no effect; the level is matched behind it, and "" may be any kind."""
    return [kind for kind in wanted if "" not in kinds and kind not in (LEVEL, *kinds)]


def check_aspects(chain: Chain, amount_of: Mapping[str | int, float], only: Sequence[str]) -> None:
    """Refuses what the chain does not have, before anything that takes time.

    Raises:
        UserError: an effect that it does not have, or is named twice; a kind of which it has none.
    """
    places = [effect_place(chain, name) for name in amount_of]
    if len(set(places)) < len(places):
        raise UserError(f"amount_of {', '.join(map(str, amount_of))}: one effect is named twice")
    kinds = [unit_kind(unit) for unit in chain.units]
    for kind in missing_kinds(kinds, only):
        raise UserError(f"only {kind}: {chain.name} has no effect of this kind, but {', '.join(kinds)}")


def stage_amounts(
    chain: Chain, amount: float, amount_of: Mapping[str | int, float], only: Sequence[str], kinds: Sequence[str]
) -> np.ndarray:
    """The amount of each effect: its own, else that of all; 0 for those of other kinds than wanted.

    Args:
        chain: the effects.
        amount: of those that `amount_of` does not name.
        amount_of: by name or number, see `effect_place`.
        only: kinds; none of them for all. The level is matched behind the effects: it needs none of its kind.
        kinds: of each effect; not read where `only` is empty.

    Raises:
        UserError: no effect is of a wanted kind.
    """
    amounts = np.full(len(chain.units), amount)
    for name, own in amount_of.items():
        amounts[effect_place(chain, name)] = own
    if only:
        is_wanted = np.isin(kinds, list(only))
        if not is_wanted.any() and LEVEL not in only:
            raise UserError(f"only {', '.join(only)}: the effects of {chain.name} are {', '.join(kinds)}")
        amounts[~is_wanted] = 0.0
    return amounts


def bound_gains(
    chain: Chain, unit_params: np.ndarray, locked: Mapping[str, Any], max_eq_db: float | None, kinds: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Settings whose filters raise and lower by no more than a bound, and what was held to it.

    Args:
        chain: the effects.
        unit_params: `[K]`.
        locked: parameters that the user holds.
        max_eq_db: the bound, dB; None for none.
        kinds: of each effect (not read without a bound); what is in dB of those that change the spectrum is a gain.

    Raises:
        UserError: no filter has a gain, or a lock lies beyond the bound.
    """
    if max_eq_db is None:
        return unit_params, ()
    space = chain.parameters
    is_filter = np.repeat([kind == SPECTRUM for kind in kinds], np.diff(chain.offsets))
    gains = [k for k, parameter in enumerate(space) if is_filter[k] and parameter.unit == "dB"]
    if not gains:
        raise UserError(f"max_eq {max_eq_db:g}: {chain.name} has no filter with a gain; leave it out")
    physical = space.to_physical(unit_params)
    notes = []
    for k in gains:
        name, value = space.names[k], float(physical[k])
        if abs(value) <= max_eq_db:
            continue
        if name in locked:
            raise UserError(f"{name} is locked at {value:g} dB, beyond max_eq {max_eq_db:g}: change one of them")
        physical[k] = np.clip(np.clip(value, -max_eq_db, max_eq_db), space[k].minimum, space[k].maximum)
        notes.append(f"{name} is held to {physical[k]:+g} dB (it would be {value:+.1f} dB)")
    return (space.to_unit(physical), tuple(notes)) if notes else (unit_params, ())
