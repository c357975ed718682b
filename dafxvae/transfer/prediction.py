"""From windows of input and references to settings: prediction, amount, locks, refinement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.core.errors import UserError
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.spec import unknown_name
from dafxvae.models.extractor import FeatureExtractor
from dafxvae.transfer.amount import AUDIBLE_DB, nearest_neutral, settings_at, strength_of
from dafxvae.transfer.trust import UNKNOWN, Trust, trust_of
from dafxvae.transfer.windows import WindowFormat, clip_windows


@dataclass(frozen=True)
class FoundSettings:
    """Settings, and how they came about; values are those that a user reads."""

    unit_params: np.ndarray  # [K] in [0, 1], those that are rendered
    predicted: dict[str, Any] | None  # by the controller; None without one
    locked: dict[str, Any]
    refined: dict[str, Any] | None  # distances and renders of the search; None without one
    notes: tuple[str, ...] = ()
    trust: Trust = UNKNOWN


class PairFeatures(NamedTuple):
    """What f and g hear of an input and its references."""

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


def locked_values(space: ParameterSpace, locks: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What locks mean: (bool `[K]`, which are locked; float32 `[K]`, their normalised values).

    Raises:
        UserError: an unknown name (with the nearest), an unreadable value, or one outside the parameter's range.
    """
    for name in locks:
        if name not in space.names:
            raise unknown_name("parameter to lock", str(name), space.names)
    return np.array([name in locks for name in space.names], bool), space.from_values(locks)


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
    others = [extractor.encode(reference) for reference in references]

    def joined(other: np.ndarray) -> np.ndarray:
        return combine(extractor.join(np.repeat(own, len(other), axis=0), np.tile(other, (len(own), 1))))

    combined = combine(np.stack([joined(other) for other in others]))
    return PairFeatures(combined, joined(own), np.concatenate(others))


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


def predict_from(controller: Controller, heard: PairFeatures) -> Prediction:
    """The settings of `predict` for what f and g hear of a pair, `[K]`."""
    strength = strength_of(heard.combined, heard.itself, controller.encoders.g.latent_dim)
    settings, is_direct = controller.settings(heard.combined[None].astype(np.float32))
    return Prediction(settings[0], is_direct[0], np.float32(strength))


def _judged(controller: Controller, dry: np.ndarray, references: Sequence[np.ndarray]) -> tuple[Prediction, Trust]:
    """As `predict`, and how far that can be trusted."""
    heard = pair_features(controller.extractor, controller.combine, dry, references)
    found = predict_from(controller, heard)
    return found, trust_of(controller, found.unit_params, heard.encodings)


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


def _at_amount(
    host: ChainHost,
    unit_params: np.ndarray,
    is_locked: np.ndarray,
    amount: float,
    strength: float,
    played: Callable[[], tuple[np.ndarray, int]],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Settings `[K]` at an amount of the given ones, locks held, and what there is to say of it."""
    applied = amount * strength
    if applied == 1.0:
        return unit_params, ()
    neutral, change = nearest_neutral(host, unit_params, is_locked, *played())
    notes = []
    if strength == 0.0:
        notes.append("the reference is the input itself: nothing is to be changed")
    elif strength < 1.0:
        notes.append(f"the reference is nearly the input itself: the amount is {applied:.2f} instead of {amount:g}")
    if change > AUDIBLE_DB:
        these = "with what is locked, these effects" if is_locked.any() else "these effects"
        notes.append(f"{these} cannot leave sound alone: at an amount of 0 the change is at {change:.0f} dB")
    return settings_at(applied, neutral, unit_params, host.parameters), tuple(notes)


def _search(refiner: Refiner | None) -> Refiner:
    """The search for better settings."""
    from dafxvae.transfer import refinement  # here: its libraries take .3 s to import

    return refiner or cast(Refiner, refinement)


def find_settings(
    host: ChainHost,
    controller: Controller | None,
    dry: np.ndarray,
    references: Sequence[np.ndarray],
    excerpt: Callable[[], np.ndarray],
    played: Callable[[], tuple[np.ndarray, int]],
    sample_rate: int,
    amount: float,
    locks: Mapping[str, Any],
    num_refinements: int,
    refiner: Refiner | None,
) -> FoundSettings:
    """Find settings for an input: predicted, held where locked or directly estimated, refined elsewhere on request.

    Args:
        host: renders the effect.
        controller: None for a cold start, which refinement alone carries.
        dry, references: windows, see `predict`.
        excerpt: gives the part of the input that refinement renders, `[T, C]` at `sample_rate`.
        played: gives a second of the input as the effect will play it, `[T, C]`, and its rate in Hz.
        sample_rate: Hz, of all others.
        amount: 0 for settings that leave the input alone, 1 for those of the reference; see `transfer.amount`.
        locks: name to value in physical units.
        num_refinements: renders that the search may cost; 0 for none.
        refiner: the search; None for `dafxvae.transfer.refinement`.

    Raises:
        UserError: a lock cannot be, or there is no controller, no search, and a parameter without a lock.
    """
    space = host.parameters
    is_locked, values = locked_values(space, locks)
    found = start = predicted = refined = None
    notes, trust = tuple[str, ...](), UNKNOWN
    is_held = is_locked  # by the search
    if controller is not None:
        found, trust = _judged(controller, dry, references)
        is_held = is_locked | found.is_direct  # the distance of styles depends little on the exact time of an echo
        predicted = space.describe(found.unit_params)
        start = np.where(is_locked, values, found.unit_params).astype(np.float32)
    elif amount != 1.0:
        raise UserError(f"amount {amount:g}: only a controller's prediction has one; leave it out")
    elif is_locked.all():
        start = values
    elif not num_refinements:
        raise UserError("without a controller settings are searched for: give --refine 200, or lock every parameter")
    if num_refinements:
        search = _search(refiner)
        distance = search.make_style_distance(np.concatenate(references), sample_rate)
        fixed, free = values if start is None else start, ~is_held
        searched = search.refine(host, distance, excerpt(), sample_rate, start, num_refinements, free=free, fixed=fixed)
        start = np.where(is_locked, values, searched.unit_params).astype(np.float32)
        names = ("distance", "start_distance", "num_renders", "num_failed")
        refined = {name: np.asarray(getattr(searched, name)).item() for name in names}
    assert start is not None
    if found is not None:
        start, notes = _at_amount(host, start, is_locked, amount, float(found.strength), played)
    locked = {name: value for name, value in space.describe(values).items() if name in locks}
    return FoundSettings(space.quantise(start), predicted, locked, refined, notes, trust)
