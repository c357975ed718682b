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
from dafxvae.transfer.windows import WindowFormat, clip_windows

AMOUNTS = (0.0, 1.5)


@dataclass(frozen=True)
class FoundSettings:
    """Settings, and how they came about; values are those that a user reads."""

    unit_params: np.ndarray  # [K] in [0, 1], those that are rendered
    predicted: dict[str, Any] | None  # by the controller; None without one
    locked: dict[str, Any]
    refined: dict[str, Any] | None  # distances and renders of the search; None without one


class Prediction(NamedTuple):
    """Settings that a controller predicts, of one pair `[K]` or of several `[B, K]`."""

    unit_params: np.ndarray  # float32 in [0, 1]
    is_direct: np.ndarray  # bool: direct estimates from a descriptor


class Refiner(Protocol):
    """The search for better settings by rendering: `dafxvae.transfer.refinement`."""

    make_style_distance: Callable[..., Callable[[np.ndarray], np.ndarray]]
    refine: Callable[..., Any]


def check_amount(amount: float) -> float:
    """The amount, if it can be used.

    Raises:
        UserError: it is not within `AMOUNTS`.
    """
    if not AMOUNTS[0] <= amount <= AMOUNTS[1]:
        raise UserError(f"amount {amount:g}: give {AMOUNTS[0]:g} (leave alone) to {AMOUNTS[1]:g}; 1 is the reference")
    return float(amount)


def parse_locks(items: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` as the command line gives them.

    Raises:
        UserError: no name, no value, or a name given twice.
    """
    locks: dict[str, str] = {}
    for item in items:
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or not value:
            raise UserError(f"--lock {item}: give NAME=VALUE, for example --lock room_size=0.4")
        if name in locks:
            raise UserError(f"--lock {item}: {name} is already locked at {locks[name]}; lock it once")
        locks[name] = value
    return locks


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


def predict(
    controller: Controller, dry: np.ndarray, references: Sequence[np.ndarray], amount: float = 1.0
) -> Prediction:
    """Predict the settings that give an input the style of references.

    Every window is encoded once; the latents of all pairs of windows are averaged, each reference counting the same.

    Args:
        controller: what predicts.
        dry: windows of the input, float32 `[W, T, C]` at the controller's rate.
        references: windows of each reference, `[V, T, C]`.
        amount: 0 is the latent of the input against itself, 1 that of the reference; straight on beyond.

    Returns:
        Of one pair, `[K]`.
    """
    extractor = controller.extractor
    own = extractor.encode(dry, is_reference=amount != 1.0)  # for other amounts it is its own reference, too
    features = []
    for reference in references:
        other = extractor.encode(reference)
        pairs = np.repeat(own, len(other), axis=0), np.tile(other, (len(own), 1))
        features.append(controller.combine(extractor.join(*pairs)))
    combined = controller.combine(np.stack(features))
    if amount != 1.0:
        neutral = controller.combine(extractor.join(own, own))
        combined = controller.interpolate(neutral, combined, amount)
    settings, is_direct = controller.settings(combined[None].astype(np.float32))
    return Prediction(settings[0], is_direct[0])


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


def find_settings(
    host: ChainHost,
    controller: Controller | None,
    dry: np.ndarray,
    references: Sequence[np.ndarray],
    excerpt: Callable[[], np.ndarray],
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
        sample_rate: Hz, of all of these.
        amount: see `predict`.
        locks: name to value in physical units.
        num_refinements: renders that the search may cost; 0 for none.
        refiner: the search; None for `dafxvae.transfer.refinement`.

    Raises:
        UserError: a lock cannot be, or there is neither a controller nor a search.
    """
    space = host.parameters
    is_locked, values = locked_values(space, locks)
    start = predicted = refined = None
    is_held = is_locked  # by the search
    if controller is not None:
        start, is_direct = predict(controller, dry, references, amount)
        is_held = is_locked | is_direct  # the distance of styles depends little on the exact time of an echo
        predicted = space.describe(start)
        start = np.where(is_locked, values, start).astype(np.float32)
    elif not num_refinements:
        raise UserError("without a controller settings are searched for: give a number of renders, e.g. --refine 200")
    elif amount != 1.0:
        raise UserError(f"amount {amount:g}: only the latent of a controller has one; leave it out")
    if num_refinements:
        from dafxvae.transfer import refinement  # here: its libraries take .3 s to import

        search = refiner or cast(Refiner, refinement)
        distance = search.make_style_distance(np.concatenate(references), sample_rate)
        fixed = values if start is None else start
        found = search.refine(
            host, distance, excerpt(), sample_rate, start, num_refinements, free=~is_held, fixed=fixed
        )
        start = np.where(is_locked, values, found.unit_params).astype(np.float32)
        refined = {
            "distance": float(found.distance),
            "start_distance": float(found.start_distance),
            "num_renders": int(found.num_renders),
            "num_failed": int(found.num_failed),
        }
    assert start is not None
    locked = {name: value for name, value in space.describe(values).items() if name in locks}
    return FoundSettings(space.quantise(start), predicted, locked, refined)
