"""Match a recording to a reference without naming an effect: find the chain, then transfer by it."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from dafxvae.audio.io import resample, to_channels
from dafxvae.audio.loudness import at_loudness, loudness_lufs
from dafxvae.controllers.encoders import load_encoders
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.studio.chain_decoder import load_decoder, stored_decoder_path
from dafxvae.studio.chain_renderer import ChainRenderer
from dafxvae.studio.chain_search import ChainSearch
from dafxvae.studio.found_chain import FoundChain, found_chain
from dafxvae.studio.other_effects import add_effects
from dafxvae.studio.palette import EFFECTS, EFFORT, Palette, check_search
from dafxvae.studio.sound import LOUDNESS_LUFS, SAMPLE_RATE, MeasuredSound, measure_sound
from dafxvae.transfer.api import open_effect
from dafxvae.transfer.recordings import ArrayRecording, Recording, check_header, references_of, scan
from dafxvae.transfer.results import Options, Transfer
from dafxvae.transfer.windows import read_excerpt

EXCERPT_SEC = 10.0  # of each recording, where it is most active
OPTIONS = {field.name for field in fields(Options)} - {"locks", "refine", "weights"}
OTHER_RENDERS = 8  # for each of `effort`, where an effect's settings are searched for


def find_chain(
    source: Recording,
    references: Sequence[Recording],
    *,
    palette: Palette | None = None,
    effort: int = EFFORT,
    seed: int = 0,
    weights: Sequence[int] | None = None,
) -> FoundChain:
    """Find the chain of effects that made the difference between a recording and others.

    Args:
        source: the recording to process, at least 1 s.
        references: recordings whose sound is wanted; what is measured of them is averaged.
        palette: effects that the chain may have; None for the eight that the decoder knows. The settings of others are
            searched for by rendering.
        effort: chains to compare by rendering 10 s of the source through each, and eight times as many renders for the
            settings of each effect that the decoder does not know; 1 takes the most probable chain.
        seed: of what is drawn; the same seed gives the same answer.
        weights: how often each reference counts; None for once.

    Raises:
        UserError: a recording cannot be used, a number out of range, or an effect that cannot be opened.
        EffectError: an effect failed.
    """
    check_search(effort, seed)
    allowed = palette or Palette.parse(None)
    encoders = load_encoders(stored_encoders_path(SHIPPED))
    extractor = FeatureExtractor(encoders, encoders.metadata["sample_rate"])
    ours, loudness = _excerpt(source)
    measured = [measure_sound(_excerpt(one)[0], extractor) for one in references]
    wanted = MeasuredSound(*(np.average(part, axis=0, weights=weights) for part in zip(*measured)))
    with ChainRenderer() as renderer:
        decoder = load_decoder(stored_decoder_path())
        search = ChainSearch(decoder, extractor, renderer, ours, wanted, seed=seed, allowed=allowed.known)
        compared = search.find(effort)
        added = add_effects(search, compared[0], allowed.others, OTHER_RENDERS * effort)
    names = [name for name, is_known in zip(EFFECTS, allowed.known, strict=True) if is_known]
    presence = dict(zip(names, search.predicted.presence[allowed.known].tolist(), strict=True))
    return found_chain(compared[0].chain, added, LOUDNESS_LUFS - loudness, presence, len(compared))


def _excerpt(recording: Recording) -> tuple[np.ndarray, float]:
    """The most active part in stereo at the studio's rate and loudness, and the loudness that it had."""
    check_header(recording)
    audio, rate = read_excerpt(recording, scan(recording, with_loudness=False), EXCERPT_SEC)
    audio = resample(to_channels(audio, 2), rate, SAMPLE_RATE)[None]
    loudness = loudness_lufs(audio, SAMPLE_RATE)
    if not np.isfinite(loudness[0]):
        raise UserError(f"{recording.name} is too short or too quiet to be compared: give at least a second of sound")
    return at_loudness(audio, loudness, LOUDNESS_LUFS)[0], float(loudness[0])


def match(
    audio: np.ndarray,
    reference: np.ndarray | Sequence[np.ndarray],
    sample_rate: int,
    *,
    palette: str | Sequence[str] | None = None,
    effort: int = EFFORT,
    seed: int = 0,
    reference_rate: int | None = None,
    weights: Sequence[int] = (),
    **options: Any,
) -> tuple[Transfer, FoundChain]:
    """Makes a recording sound like another, by effects that are found as well.

    Args:
        audio: float `[T, C]` or `[T]` in [-1, 1], mono or stereo, at least 1 s.
        reference: one such array, or several.
        sample_rate: Hz, any.
        palette: short forms of the effects that the chain may have, in one text with commas or a list.
        effort, seed: see `find_chain`.
        reference_rate: Hz of the references; None for `sample_rate`.
        weights: how often each reference counts; none of them for once each.
        options: of `StyleTransfer.transfer`, without `locks` and `refine`; what is asked for of effects that are not
            found is left out, and where nothing is to be changed, level and ceiling are not either.

    Returns:
        The output with the settings that made it (the input itself where nothing is to be changed), and the chain.

    Raises:
        UserError: audio that cannot be used, or an option out of range.
        EffectError: an effect failed.
    """
    for name in ("locks", "refine"):
        if name in options:
            raise UserError(f"{name}: match finds the settings itself; give it to the transfer of a controller instead")
    source = ArrayRecording(audio, sample_rate, "the input")
    rate = sample_rate if reference_rate is None else reference_rate
    references = references_of(reference, rate)
    allowed = Palette.parse(palette)
    allowed.check()
    given = {name: value for name, value in options.items() if name in OPTIONS and (name, value) != ("amount_of", None)}
    asked = Options(weights=weights, **given)
    counted = asked.weights_of(len(references))
    found = find_chain(source, references, palette=allowed, effort=effort, seed=seed, weights=counted)
    found, asked = found.adapted(asked)
    options |= {name: getattr(asked, name) for name in OPTIONS}
    with open_effect(found.chain, found.settings) as style:
        return style.transfer(audio, reference, sample_rate, reference_rate=rate, weights=weights, **options), found
