"""The chain that was found between two recordings, with its settings as they can be played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dafxvae.effects.factory import open_host
from dafxvae.effects.spec import parse_chain
from dafxvae.studio.other_effects import AddedEffect
from dafxvae.studio.palette import StudioChain

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
    """

    effects: tuple[str, ...]
    settings: dict[str, Any]
    presence: dict[str, float]
    num_compared: int

    @property
    def chain(self) -> str:
        """The short form of the chain, `Gain | Compressor | Reverb`; a Gain of 0 dB where nothing is to be changed."""
        return " | ".join(self.effects or (LEVELLING,))

    @property
    def options(self) -> dict[str, Any]:
        """Of the transfer: where nothing is to be changed, the level is not either."""
        return {} if self.effects else {"match_level": "none", "ceiling_db": None}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        return (self.sentence,)

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
