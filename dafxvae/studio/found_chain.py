"""The chain that was found between two recordings, with its settings as they can be played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dafxvae.effects.chain import number_labels
from dafxvae.effects.factory import open_host
from dafxvae.effects.kinds import LEVEL, unit_kind
from dafxvae.effects.spec import parse_chain
from dafxvae.studio.other_effects import AddedEffect
from dafxvae.studio.palette import StudioChain
from dafxvae.transfer.results import Options

LEVEL_DEPENDENT = ("Compressor", "Distortion")
LEVELLING = "Gain"  # in front of these and of plugins, since chains are learnt and searched for at one loudness


@dataclass(frozen=True)
class FoundChain:
    """The chain that was found, and what speaks for it.

    Attributes:
        effects: short forms in the order of the chain; empty where nothing is to be changed.
        settings: parameter name to physical value (or label), as they are played: within the ranges of the chain's
            parameters.
        presence: probability of each effect that the decoder knows and the palette has, before any was rendered.
        num_compared: chains that were rendered and compared.
        kinds: of each effect (`dafxvae.effects.kinds`); "" where only its response tells.
        left_out: what was asked for of effects that were not found.
    """

    effects: tuple[str, ...]
    settings: dict[str, Any]
    presence: dict[str, float]
    num_compared: int
    kinds: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def chain(self) -> str:
        """The short form of the chain, `Gain | Compressor | Reverb`; a Gain of 0 dB where nothing is to be changed."""
        return " | ".join(self.effects or (LEVELLING,))

    def adapted(self, options: Options) -> "tuple[FoundChain, Options]":
        """The chain, and options for its transfer, without what was asked for of effects that were not found.

        Where nothing is to be changed, for nothing was found of the kinds that are wanted, the level is not either,
        unless it is one of them.
        """
        found, left_out = self, []
        if self.effects and options.only and not {*options.only, ""} & {*self.kinds}:
            left_out.append(f"only {', '.join(options.only)}: no such effect was found, but {', '.join(self.kinds)}")
            found = replace(self, effects=(), settings={"gain_db": 0.0}, kinds=())
        labels = number_labels([spec.label for spec in parse_chain(found.chain)]) if found.effects else ()
        amount_of = {name: amount for name, amount in options.amount_of.items() if name in labels}
        left_out += [f"amount_of {name}: it was not found" for name in options.amount_of if name not in labels]
        asked = replace(options, amount_of=amount_of)
        has_gain = any(name.endswith("gain_db") and name != f"{LEVELLING}.gain_db" for name in found.settings)
        if options.max_eq_db is not None and not (found.effects and (has_gain or "" in found.kinds)):
            left_out.append(f"max_eq {options.max_eq_db:g}: no filter with a gain was found")
            asked = replace(asked, max_eq_db=None)
        if not found.effects:
            kept = {} if LEVEL in options.only else {"match_level": "none", "ceiling_db": None}
            asked = replace(asked, only=(), **kept)
        return replace(found, left_out=tuple(left_out)), asked

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        return (self.sentence, *self.left_out)

    @property
    def sentence(self) -> str:
        """What was found and how sure that is, and what was not, in words."""
        found = [
            parse_chain(effect)[0].label + (f" ({self.presence[effect]:.0%})" if effect in self.presence else "")
            for effect in self.effects
            if effect != LEVELLING
        ]
        absent = [name for name, share in self.presence.items() if share < 0.1 and name not in self.effects]
        return f"found: {', '.join(found) or 'no effect'}" + (f"; unlikely: {', '.join(absent)}" if absent else "")

    def document(self) -> dict[str, Any]:
        """As the settings of a transfer hold it."""
        return {"found": {"effects": list(self.effects), "presence": self.presence, "num_compared": self.num_compared}}


def found_chain(
    chain: StudioChain,
    added: Sequence[AddedEffect],
    gain_db: float,
    presence: Mapping[str, float],
    num_compared: int,
) -> FoundChain:
    """The chain, a gain in front where an effect depends on the level, and its settings as they can be played.

    Args:
        chain: of effects that the decoder knows.
        added: others, behind it.
        gain_db: from the input's loudness to that at which the chain was found.
        presence, num_compared: see `FoundChain`.
    """
    effects = [*chain.effects, *(one.effect for one in added)]
    values: list[dict[str, Any]] = [*chain.settings(), *(one.settings for one in added)]
    if added or set(LEVEL_DEPENDENT) & set(effects):
        effects, values = [LEVELLING, *effects], [{"gain_db": gain_db}, *values]
    found = FoundChain(tuple(effects), {}, dict(presence), num_compared)
    values = values or [{"gain_db": 0.0}]
    with open_host(found.chain, num_workers=1) as host:
        found = replace(found, kinds=tuple(unit_kind(unit) for unit in host.chain.units) if effects else ())
        labels = host.chain.labels
        wanted = {
            name if len(labels) == 1 else f"{label}.{name}": value
            for label, own in zip(labels, values, strict=True)
            for name, value in own.items()
        }
        for parameter in host.parameters:
            value = wanted[parameter.name]
            if isinstance(value, float):  # no label, no switch
                value = min(max(value, parameter.minimum), parameter.maximum)
            found.settings[parameter.name] = value
    return found
