"""The palette: the effects that a chain is chosen from, the settings that people use, and the orders they come in.

Effects, ranges, shares and orders are those of the CounterFX protocol (RelFx, ISMIR 2026), so that results compare.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dafxvae.core.arguments import check_number
from dafxvae.core.errors import UserError
from dafxvae.core.rng import check_seed
from dafxvae.effects.chain import join_spaces
from dafxvae.effects.factory import check_controllable, open_host
from dafxvae.effects.parameters import Parameter, ParameterSpace
from dafxvae.effects.spec import parse_list


@dataclass(frozen=True)
class PaletteEffect:
    """One effect of the palette.

    Attributes:
        effect: a Pedalboard class.
        share: of all chains, before at least one and at most `MOST_STAGES` are asked for.
        parameters: those that are set, in the ranges that people use.
        fixed: the others that are not at their defaults, in physical units.
    """

    effect: str
    share: float
    parameters: ParameterSpace
    fixed: tuple[tuple[str, float], ...] = ()


def _stage(
    effect: str, share: float, fixed: dict[str, float] | None = None, **ranges: tuple[float, float, str]
) -> PaletteEffect:
    """A stage by name: (from, to, "log" or "linear") of every parameter, its default in the middle."""
    parameters = [
        Parameter(name, "", low, high, float(np.sqrt(low * high)) if scale == "log" else (low + high) / 2, scale)  # type: ignore[arg-type]
        for name, (low, high, scale) in ranges.items()
    ]
    return PaletteEffect(effect, share, ParameterSpace(tuple(parameters)), tuple((fixed or {}).items()))


LOG, LINEAR = "log", "linear"
STAGES = (
    _stage("HighpassFilter", 0.35, cutoff_frequency_hz=(30.0, 1200.0, LOG)),
    _stage("LowpassFilter", 0.25, cutoff_frequency_hz=(2000.0, 18000.0, LOG)),
    _stage(
        "PeakFilter",
        0.60,
        cutoff_frequency_hz=(80.0, 12000.0, LOG),
        gain_db=(-12.0, 12.0, LINEAR),
        q=(0.3, 6.0, LOG),
    ),
    _stage(
        "Compressor",
        0.55,
        threshold_db=(-40.0, -6.0, LINEAR),
        ratio=(1.5, 12.0, LOG),
        attack_ms=(0.1, 100.0, LOG),
        release_ms=(20.0, 500.0, LOG),
    ),
    _stage("Distortion", 0.15, drive_db=(0.0, 30.0, LINEAR)),
    _stage(
        "Chorus",
        0.30,
        rate_hz=(0.1, 8.0, LOG),
        depth=(0.05, 0.8, LINEAR),
        centre_delay_ms=(3.0, 30.0, LOG),
        feedback=(-0.7, 0.7, LINEAR),
        mix=(0.1, 0.8, LINEAR),
    ),
    _stage(
        "Delay",
        0.15,
        delay_seconds=(0.03, 1.5, LOG),
        feedback=(0.0, 0.7, LINEAR),
        mix=(0.1, 0.7, LINEAR),
    ),
    _stage(
        "Reverb",
        0.35,
        {"dry_level": 0.5},
        room_size=(0.2, 0.9, LINEAR),
        damping=(0.1, 0.9, LINEAR),
        wet_level=(0.1, 0.6, LINEAR),
        width=(0.0, 1.0, LINEAR),
    ),
)
EFFECTS = tuple(stage.effect for stage in STAGES)
ORDERS = (  # of the places in STAGES
    (0, 1, 2, 3, 4, 5, 6, 7),
    (4, 0, 1, 2, 3, 5, 6, 7),
    (3, 4, 0, 1, 2, 5, 6, 7),
    (0, 1, 2, 4, 3, 5, 6, 7),
)
MOST_STAGES = 4
EFFORT, MOST_EFFORT = 16, 4096  # chains to compare
SPACE = join_spaces(EFFECTS, [stage.parameters for stage in STAGES])
OWNER = np.repeat(np.arange(len(STAGES)), [len(stage.parameters) for stage in STAGES])  # stage of each parameter


@dataclass(frozen=True)
class Palette:
    """The effects that a chain may be made of.

    Attributes:
        known: bool `[8]`, those of STAGES.
        others: short forms of those that the decoder does not know: their settings are searched for by rendering.
    """

    known: np.ndarray
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, effects: str | Sequence[str] | None) -> "Palette":
        """The palette that a user names: effects in short form, with commas between them or one by one.

        Raises:
            UserError: an effect that cannot be read, or stands there twice, or none.
        """
        if effects is None:
            return cls(np.ones(len(STAGES), bool))
        if not isinstance(effects, str | list | tuple) or not all(isinstance(each, str) for each in effects):
            raise UserError(f"palette {effects!r}: give the short forms of effects, in one text or a list of texts")
        texts = [effects] if isinstance(effects, str) else effects
        named = [str(spec) for text in texts for spec in parse_list(text)]
        if not named:
            raise UserError("palette []: give at least one effect, or None for all that the decoder knows")
        if len(set(named)) < len(named):
            raise UserError(f"palette {effects!r}: an effect stands there twice; each is at most once in a chain")
        return cls(np.isin(EFFECTS, named), tuple(name for name in named if name not in EFFECTS))

    def check(self) -> None:
        """Opens the others once, so that one that cannot be used is refused before work begins.

        Raises:
            UserError: there is no such effect, it cannot be loaded, or nothing can be set of it.
        """
        for effect in self.others:
            with open_host(effect, num_workers=1) as host:
                check_controllable(host)


@dataclass(frozen=True)
class StudioChain:
    """Some stages of the palette, in one of its orders, with settings.

    Attributes:
        is_on: bool `[8]`.
        order: place in `ORDERS`.
        unit_params: float32 `[K]` in [0, 1] of all stages; those that are off do not count.
    """

    is_on: np.ndarray
    order: int
    unit_params: np.ndarray

    @classmethod
    def empty(cls) -> "StudioChain":
        """No effect at all."""
        return cls(np.zeros(len(STAGES), bool), 0, np.zeros(len(SPACE), np.float32))

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Places in STAGES of what is on, in the order of the chain."""
        return tuple(place for place in ORDERS[self.order] if self.is_on[place])

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of what is on, in the order of the chain."""
        return tuple(EFFECTS[place] for place in self.places)

    def settings(self) -> list[dict[str, float]]:
        """Of each effect, in the order of the chain: parameter name to physical value."""
        physical = SPACE.to_physical(self.unit_params)
        stages = [(place, STAGES[place]) for place in self.places]
        return [
            dict(zip(stage.parameters.names, physical[place == OWNER].tolist(), strict=True)) | dict(stage.fixed)
            for place, stage in stages
        ]

    def fixed_effect(self) -> list[dict[str, Any]]:
        """The chain in the structured form, all settings fixed: those outside a controllable range as well."""
        return [{"name": name, "fixed": values} for name, values in zip(self.effects, self.settings(), strict=True)]

    def without(self, place: int) -> "StudioChain":
        """The same chain with one stage less."""
        is_on = self.is_on.copy()
        is_on[place] = False
        return StudioChain(is_on, self.order, self.unit_params)


def check_search(effort: int, seed: int) -> None:
    """Refuses numbers that a search for a chain cannot have.

    Raises:
        UserError: of chains to compare, or a seed.
    """
    check_seed(seed)
    check_number(effort, "effort", 1, MOST_EFFORT)


def draw_chain(rng: np.random.Generator) -> StudioChain:
    """A random chain of one to four effects by the protocol: on independently, order and settings uniform."""
    shares = np.array([stage.share for stage in STAGES])
    is_on = rng.random(len(STAGES)) < shares
    if not is_on.any():
        is_on[rng.choice(len(STAGES), p=shares / shares.sum())] = True
    if is_on.sum() > MOST_STAGES:
        among = np.flatnonzero(is_on)
        kept = rng.choice(among, MOST_STAGES, replace=False, p=shares[among] / shares[among].sum())
        is_on = np.isin(np.arange(len(STAGES)), kept)
    return StudioChain(is_on, int(rng.integers(len(ORDERS))), SPACE.sample(rng, 1)[0])
