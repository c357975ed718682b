"""Match a recording to a reference without naming an effect: find the chain, then transfer by it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dafxvae.audio.io import resample, to_channels
from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.arguments import check_number
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.rng import check_seed
from dafxvae.effects.factory import open_host
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_decoder import load_decoder, stored_decoder_path
from dafxvae.studio.chain_search import ChainSearch
from dafxvae.studio.palette import EFFECTS, StudioChain
from dafxvae.studio.rendering import ChainRenderer
from dafxvae.studio.sound import LOUDNESS_LUFS, SAMPLE_RATE
from dafxvae.transfer.api import open_effect
from dafxvae.transfer.recordings import ArrayRecording, Recording, check_header, scan
from dafxvae.transfer.results import Transfer
from dafxvae.transfer.windows import read_excerpt

EXCERPT_SEC = 10.0  # of each recording, where it is most active
LEVEL_DEPENDENT = ("Compressor", "Distortion")
LEVELLING = "Gain"  # in front of these, since chains were learnt at one loudness
EFFORT, MOST_EFFORT = 16, 4096


@dataclass(frozen=True)
class FoundChain:
    """The chain that was found, and what speaks for it.

    Attributes:
        effects: names in the order of the chain; empty where nothing is to be changed.
        settings: parameter name to physical value, as they are played: within the ranges of the chain's parameters.
        presence: probability of each effect of the palette, before any chain was rendered.
        num_compared: chains that were rendered and compared.
    """

    effects: tuple[str, ...]
    settings: dict[str, float]
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
    def sentence(self) -> str:
        """What was found and what was not, in words."""
        found = ", ".join(name for name in self.effects if name != LEVELLING) or "no effect"
        absent = [name for name, share in self.presence.items() if share < 0.1 and name not in self.effects]
        return f"found: {found}" + (f"; unlikely: {', '.join(absent)}" if absent else "")


def find_chain(source: Recording, reference: Recording, *, effort: int = EFFORT, seed: int = 0) -> FoundChain:
    """Find the chain of effects that made the difference between two recordings.

    Args:
        source: the recording to process, at least 1 s.
        reference: the recording whose sound is wanted.
        effort: chains to compare by rendering 10 s of the source through each; 1 takes the most probable one.
        seed: of the chains that are drawn; the same seed gives the same answer.

    Raises:
        UserError: a recording cannot be used, or a number out of range.
    """
    check_seed(seed)
    check_number(effort, "effort", 1, MOST_EFFORT)
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    extractor = FeatureExtractor(encoders, encoders.metadata["sample_rate"])
    (ours, loudness), (theirs, _) = (_excerpt(one) for one in (source, reference))
    with ChainRenderer() as renderer:
        search = ChainSearch(load_decoder(stored_decoder_path()), extractor, renderer, ours, theirs, seed=seed)
        compared = search.find(effort)
    presence = dict(zip(EFFECTS, search.predicted.presence.tolist(), strict=True))
    return _described(compared[0].chain, LOUDNESS_LUFS - loudness, presence, len(compared))


def _excerpt(recording: Recording) -> tuple[np.ndarray, float]:
    """The most active part in stereo at the studio's rate and loudness, and the loudness that it had."""
    check_header(recording)
    audio, rate = read_excerpt(recording, scan(recording, with_loudness=False), EXCERPT_SEC)
    audio = resample(to_channels(audio, 2), rate, SAMPLE_RATE)[None]
    loudness = loudness_lufs(audio, SAMPLE_RATE)
    if not np.isfinite(loudness[0]):
        raise UserError(f"{recording.name} is too short or too quiet to be compared: give at least a second of sound")
    return at_loudness(audio, loudness, LOUDNESS_LUFS)[0], float(loudness[0])


def _described(chain: StudioChain, gain_db: float, presence: dict[str, float], num_compared: int) -> FoundChain:
    """The chain with a gain in front where an effect depends on the level, and its settings as they can be played."""
    effects, values = list(chain.effects), chain.settings()
    if set(LEVEL_DEPENDENT) & set(effects):
        effects, values = [LEVELLING, *effects], [{"gain_db": gain_db}, *values]
    found = FoundChain(tuple(effects), {}, presence, num_compared)
    wanted = {"gain_db": 0.0} if not effects else {}
    for effect, each in zip(effects, values, strict=True):
        prefix = "" if len(effects) == 1 else f"{effect}."
        wanted |= {f"{prefix}{name}": value for name, value in each.items()}
    with open_host(found.chain, num_workers=1) as host:
        for parameter in host.parameters:
            value = np.clip(wanted[parameter.name], parameter.minimum, parameter.maximum)
            found.settings[parameter.name] = float(value)
    return found


def match(
    audio: np.ndarray,
    reference: np.ndarray,
    sample_rate: int,
    *,
    effort: int = EFFORT,
    seed: int = 0,
    reference_rate: int | None = None,
    **options: Any,
) -> tuple[Transfer, FoundChain]:
    """Makes a recording sound like another by effects that nobody names.

    Args:
        audio, reference: float `[T, C]` or `[T]` in [-1, 1], mono or stereo, at least 1 s.
        sample_rate: Hz, any.
        effort, seed: see `find_chain`.
        reference_rate: Hz of the reference; None for `sample_rate`.
        options: of `StyleTransfer.transfer`, without `amount`, `locks` and `refine`; where nothing is to be changed,
            level and ceiling are not either.

    Returns:
        The output with the settings that made it (the input itself where nothing is to be changed), and the chain.

    Raises:
        UserError: audio that cannot be used, or an option out of range.
        EffectError: an effect failed.
    """
    for name in ("amount", "locks", "refine"):
        if name in options:
            raise UserError(f"{name}: match finds the settings itself; give it to the transfer of a controller instead")
    source = ArrayRecording(audio, sample_rate, "the input")
    rate = sample_rate if reference_rate is None else reference_rate
    found = find_chain(source, ArrayRecording(reference, rate, "the reference"), effort=effort, seed=seed)
    with open_effect(found.chain) as style:
        asked: dict[str, Any] = {"locks": found.settings} | options | found.options
        return style.transfer(audio, reference, sample_rate, reference_rate=rate, **asked), found
