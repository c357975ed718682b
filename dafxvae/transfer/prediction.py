"""From windows of input and references to settings: prediction, amount, locks, refinement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.core.errors import UserError
from dafxvae.effects.chain import Chain
from dafxvae.effects.factory import ChainHost
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.transfer.amount import AUDIBLE_DB, nearest_neutral, settings_at, strength_of
from dafxvae.transfer.aspects import bound_gains, locked_values, stage_amounts, stage_kinds
from dafxvae.transfer.confidence import UNKNOWN, Confidence, confidence_of
from dafxvae.transfer.fit import listed
from dafxvae.transfer.windows import WindowFormat, clip_windows

if TYPE_CHECKING:
    from dafxvae.transfer.results import Options


@dataclass(frozen=True)
class FoundSettings:
    """Settings, and how they came about; values are those that a user reads."""

    unit_params: np.ndarray  # [K] in [0, 1], those that are rendered
    predicted: dict[str, Any] | None  # by the controller, or given; None without either
    locked: dict[str, Any]
    refined: dict[str, Any] | None  # distances and renders of the search; None without one
    notes: tuple[str, ...] = ()
    confidence: Confidence = UNKNOWN
    amount: float = 1.0
    at_amount: "Callable[[float], FoundSettings] | None" = None  # the same at another amount; None without a prediction


class PairFeatures(NamedTuple):
    """Features of an input and its references, averaged over their windows."""

    combined: np.ndarray  # [Z + S] input features of h
    itself: np.ndarray  # [Z + S] of the input and itself
    encodings: np.ndarray  # [W, E + X] of all windows of the references


class Prediction(NamedTuple):
    """Settings that a controller predicts, of one pair `[K]` or of several `[B, K]`."""

    unit_params: np.ndarray  # float32 in [0, 1]
    is_direct: np.ndarray  # bool: direct estimates from a descriptor
    strength: Any  # float32 `[]` or `[B]`: 0 where the reference is the input itself, 1 for any other


class Refiner(Protocol):
    """The search for better settings by rendering: `dafxvae.transfer.refinement`."""

    make_style_distance: Callable[..., Callable[[np.ndarray], np.ndarray]]
    refine: Callable[..., Any]


def window_format(controller: Controller) -> WindowFormat:
    """Windows as the controller's training clips were."""
    return WindowFormat(controller.clip_samples, controller.sample_rate, controller.config.num_channels)


def pair_features(
    extractor: FeatureExtractor,
    combine: Callable[[np.ndarray], np.ndarray],
    dry: np.ndarray,
    references: Sequence[np.ndarray],
) -> PairFeatures:
    """Encode every window once, and average over all pairs of windows, each reference counting the same.

    Args:
        extractor: f and g.
        combine: input features of several windows to those of all together, `[N, Z + S] -> [Z + S]`.
        dry, references: see `predict`.
    """
    own = extractor.encode(dry, is_reference=False)
    different = {id(reference): reference for reference in references}  # one that counts several times comes as often
    encoded = {key: extractor.encode(reference) for key, reference in different.items()}

    def joined(other: np.ndarray) -> np.ndarray:
        return combine(extractor.join(np.repeat(own, len(other), axis=0), np.tile(other, (len(own), 1))))

    features = {key: joined(other) for key, other in encoded.items()}
    combined = combine(np.stack([features[id(reference)] for reference in references]))
    return PairFeatures(combined, joined(own), np.concatenate([encoded[id(reference)] for reference in references]))


def predict(controller: Controller, dry: np.ndarray, references: Sequence[np.ndarray]) -> Prediction:
    """Predict the settings that give an input the style of references.

    Args:
        controller: what predicts.
        dry: windows of the input, float32 `[W, T, C]` at the controller's rate.
        references: windows of each reference, `[V, T, C]`.

    Returns:
        Of one pair, `[K]`.
    """
    return predict_from(controller, pair_features(controller.extractor, controller.combine, dry, references))


def predict_from(controller: Controller, features: PairFeatures) -> Prediction:
    """As `predict`, from the features of a pair; `[K]`."""
    strength = strength_of(features.combined, features.itself, controller.encoders.g.latent_dim)
    settings, is_direct = controller.settings(features.combined[None].astype(np.float32))
    return Prediction(settings[0], is_direct[0], np.float32(strength))


def _judged(controller: Controller, dry: np.ndarray, references: Sequence[np.ndarray]) -> tuple[Prediction, Confidence]:
    """As `predict`, and the confidence in it."""
    features = pair_features(controller.extractor, controller.combine, dry, references)
    found = predict_from(controller, features)
    return found, confidence_of(controller, found.unit_params, features.encodings)


def _by_aspect(
    controller: Controller,
    chain: Chain,
    dry: np.ndarray,
    references: Mapping[str, Sequence[np.ndarray]],
    kinds_at: Callable[[np.ndarray], Sequence[str]],
) -> tuple[Prediction, Confidence]:
    """A prediction in which effects of a kind are by the references that are given for it; `strength` is `[E]`.

    Args:
        controller: what predicts.
        chain: its E effects.
        dry: windows of the input.
        references: windows of each reference, by the kind that they are given for, "" for all others.
        kinds_at: gives the kind of each effect at some settings `[K]`.
    """
    judged = {aspect: _judged(controller, dry, styles) for aspect, styles in references.items()}
    found, confidence = judged.get("") or next(iter(judged.values()))
    unit_params, is_direct = found.unit_params.copy(), found.is_direct.copy()
    kinds = np.array(kinds_at(unit_params) if any(judged) else [""] * len(chain.units))
    strength = np.full(len(kinds), found.strength, float)
    for aspect, (other, _) in judged.items():
        own = np.repeat(kinds == aspect, np.diff(chain.offsets))
        unit_params[own], is_direct[own] = other.unit_params[own], other.is_direct[own]
        strength[kinds == aspect] = other.strength
    return Prediction(unit_params, is_direct, strength), confidence


def predict_clips(controller: Controller, dry: np.ndarray, reference: np.ndarray) -> Prediction:
    """Predict settings for clips in memory, as a transfer of recordings does: what is evaluated is what users run.

    Args:
        controller: what predicts.
        dry, reference: float32 `[B, T, C]` at the controller's rate, finite; any T.

    Returns:
        Of all pairs, `[B, K]`; an item has the same bits alone and in any batch.
    """
    form = window_format(controller)
    rows = [predict(controller, clip_windows(a, form), [clip_windows(b, form)]) for a, b in zip(dry, reference)]
    return Prediction(*(np.stack(column) for column in zip(*rows)))


def _scaled(
    host: ChainHost,
    unit_params: np.ndarray,
    is_locked: np.ndarray,
    amounts: np.ndarray,
    strength: np.ndarray,
    played: Callable[[], tuple[np.ndarray, int]],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Settings `[K]` at amounts of the given ones, one of each effect, locks held; and what there is to say of it."""
    applied = amounts * strength
    places = np.flatnonzero(applied != 1.0).tolist()
    if not places:
        return unit_params, ()
    neutral, change = nearest_neutral(host, unit_params, is_locked, *played(), places)
    notes = []
    if not strength.any():
        notes.append("the reference is the input itself: nothing is to be changed")
    elif (applied != amounts).any():
        pairs = sorted({*zip(applied, amounts)})
        shares = ", ".join(f"{share:.2f} instead of {amount:g}" for share, amount in pairs if share != amount)
        notes.append(f"the reference is nearly the input itself: the amount is {shares}")
    if change > AUDIBLE_DB:
        all_or_some = "these effects" if len(places) == len(amounts) else listed([host.chain.labels[i] for i in places])
        these = f"with what is locked, {all_or_some}" if is_locked.any() else all_or_some
        notes.append(f"{these} cannot leave sound alone: at an amount of 0 the change is at {change:.0f} dB")
    shares = np.repeat(applied, np.diff(host.chain.offsets))
    return settings_at(shares, neutral, unit_params, host.parameters), tuple(notes)


def _at_amount(
    host: ChainHost,
    whole: FoundSettings,
    is_locked: np.ndarray,
    strength: np.ndarray,
    played: Callable[[], tuple[np.ndarray, int]],
    options: "Options",
    kinds: Sequence[str],
    amount: float,
) -> FoundSettings:
    """What was found at an amount of the whole, gains within their bound."""
    amounts = stage_amounts(host.chain, amount, options.amount_of, options.wanted_kinds, kinds)
    settings, notes = _scaled(host, whole.unit_params, is_locked, amounts, strength, played)
    settings, bounded = bound_gains(host.chain, settings, whole.locked, options.max_eq_db, kinds)
    return replace(whole, unit_params=host.parameters.quantise(settings), notes=(*notes, *bounded), amount=amount)


def _search(refiner: Refiner | None) -> Refiner:
    """The search for better settings."""
    from dafxvae.transfer import refinement  # here: its libraries take .3 s to import

    return refiner or cast(Refiner, refinement)


def _check_without_prediction(options: "Options", is_locked: np.ndarray) -> None:
    """Raises UserError for what only a prediction has, and for settings that nobody gives and nothing finds."""
    if options.asks_for_amounts:
        asked = f"amount {options.first_amount:g}, amount_of {dict(options.amount_of)}, only {list(options.only)}"
        raise UserError(f"{asked}: only a controller's prediction has amounts; leave them out")
    if not is_locked.all() and not options.refine:
        raise UserError("without a controller settings are searched for: give --refine 200, or lock every parameter")


def find_settings(
    host: ChainHost,
    controller: Controller | None,
    dry: np.ndarray,
    references: Sequence[np.ndarray],
    excerpt: Callable[[], np.ndarray],
    played: Callable[[], tuple[np.ndarray, int]],
    sample_rate: int,
    options: "Options",
    refiner: Refiner | None,
    given: Mapping[str, Any] | None = None,
) -> FoundSettings:
    """Find settings for an input: predicted, held where locked or directly estimated, refined elsewhere on request.

    Args:
        host: renders the effect.
        controller: None for a cold start, which refinement alone carries, or for settings that are given.
        dry, references: windows, see `predict`; how each reference counts is said by the options.
        excerpt: gives the part of the input that refinement renders, `[T, C]` at `sample_rate`.
        played: gives a second of the input as the effect will play it, `[T, C]`, and its rate in Hz.
        sample_rate: Hz, of all others.
        options: what is asked for.
        refiner: the search; None for `dafxvae.transfer.refinement`.
        given: without a controller, a value for every parameter, in the place of its prediction.

    Raises:
        UserError: a lock cannot be, or there is no controller, no search, and a parameter without a lock.
    """
    options.check_controller(controller)
    space, grouped = host.parameters, options.grouped(references)
    is_locked, values = locked_values(space, options.locks)
    found = start = predicted = refined = None
    strength, confidence = np.ones(len(host.chain.units)), UNKNOWN
    kinds_at, is_held = partial(stage_kinds, host, sample_rate=sample_rate), is_locked  # by the search
    if controller is not None:
        found, confidence = _by_aspect(controller, host.chain, dry, grouped, kinds_at)
        # the distance of styles depends little on the exact time of an echo
        strength, is_held = found.strength, is_locked | found.is_direct
        predicted = space.describe(found.unit_params)
        start = np.where(is_locked, values, found.unit_params).astype(np.float32)
    elif given is not None:
        unit_params = space.from_values(given)
        start, predicted = np.where(is_locked, values, unit_params).astype(np.float32), space.describe(unit_params)
    else:
        _check_without_prediction(options, is_locked)
        start = values if is_locked.all() else None
    if options.refine:
        search = _search(refiner)
        distance = search.make_style_distance(np.concatenate(grouped[""]), sample_rate)
        fixed, free = values if start is None else start, ~is_held
        searched = search.refine(host, distance, excerpt(), sample_rate, start, options.refine, free=free, fixed=fixed)
        start = np.where(is_locked, values, searched.unit_params).astype(np.float32)
        names = ("distance", "start_distance", "num_renders", "num_failed")
        refined = {name: np.asarray(getattr(searched, name)).item() for name in names}
    assert start is not None
    kinds = kinds_at(start) if options.wanted_kinds or options.max_eq_db is not None else []
    locked = {name: value for name, value in space.describe(values).items() if name in options.locks}
    whole = FoundSettings(start, predicted, locked, refined, confidence=confidence)
    at_amount = partial(_at_amount, host, whole, is_locked, strength, played, options, kinds)
    return replace(at_amount(options.first_amount), at_amount=None if predicted is None else at_amount)
