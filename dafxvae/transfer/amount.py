"""How much of a style: from an effect's neutral settings, which leave the input alone, to the predicted ones."""

from collections.abc import Sequence

import numpy as np

from dafxvae.core.rng import host_rng
from dafxvae.data.pairs.neutral import change_db, search_neutral
from dafxvae.effects.factory import ChainHost
from dafxvae.effects.parameters import ParameterSpace

AMOUNTS = (0.0, 1.5)
EXCERPT_SEC = 1.0  # of the input that must be left alone
NEAR = 0.3  # RMS difference of latents below which a reference is nearly the input itself; others have .35 and more
SLACK_DB = 0.5  # by which neutral settings may differ from the best ones found
MODE_SLACK_DB = 6.0  # and those that keep modes and switches as predicted
AUDIBLE_DB = -60.0  # change above which "neutral" is not quite


def strength_of(features: np.ndarray, itself: np.ndarray, latent_dim: int) -> float:
    """How far a reference is from the input itself: 0 for the input, 1 from `NEAR` on.

    Args:
        features: input features of h for input and reference, `[Z + S]`.
        itself: of the input and itself.
        latent_dim: Z.
    """
    difference = features[:latent_dim] - itself[:latent_dim]
    return float(min(1.0, np.sqrt(np.mean(difference**2)) / NEAR))


def settings_at(
    amount: float | np.ndarray, neutral: np.ndarray, unit_params: np.ndarray, space: ParameterSpace
) -> np.ndarray:
    """Settings on the line from `neutral` (0) to `unit_params` (1) and beyond, within [0, 1]; `[K]`.

    The amount is one of all, or of each parameter.

    There is nothing between two modes: the neutral one holds below an amount of a half, then the wanted one.
    """
    share = np.broadcast_to(np.asarray(amount, np.float32), unit_params.shape)
    between = np.clip(neutral + share * (unit_params - neutral), 0.0, 1.0)
    is_mode = np.array([parameter.kind == "choice" for parameter in space], bool)
    return np.where(is_mode, np.where(share < 0.5, neutral, unit_params), between).astype(np.float32)


def nearest_neutral(
    host: ChainHost,
    unit_params: np.ndarray,
    is_locked: np.ndarray,
    audio: np.ndarray,
    sample_rate: int,
    places: Sequence[int] | None = None,
) -> tuple[np.ndarray, float]:
    """Settings that leave a sound alone and differ from given ones in as few parameters as possible.

    Half of an echo is then a softer one, not one after half the time: its time has no part in silencing it.

    Args:
        host: of the effect or chain.
        unit_params: `[K]`.
        is_locked: bool `[K]`, those that must not differ.
        audio: the sound, float32 `[T, C]`; a second is enough.
        sample_rate: Hz.
        places: of the effects that shall leave it alone; None for all. The others keep the given settings.

    Returns:
        float32 `[K]`, and how much these effects still change the sound, in dB relative to it (-120 for nothing).
    """
    neutral, offsets = np.array(unit_params, np.float32), host.chain.offsets
    every = range(len(host.chain.units)) if places is None else places
    columns = [slice(*offsets[place : place + 2]) for place in every]
    for place, own in zip(every, columns, strict=True):
        if not is_locked[own].all():
            one = host.part([place])
            neutral[own] = _neutral_of_one(one, neutral[own], is_locked[own], audio, sample_rate, place)
    settings = np.concatenate([neutral[own] for own in columns])
    return neutral, change_db(audio, _play(host.part(every), sample_rate, audio, settings[None])[0])


def _neutral_of_one(
    host: ChainHost, wanted: np.ndarray, is_locked: np.ndarray, audio: np.ndarray, sample_rate: int, place: int
) -> np.ndarray:
    """The neutral settings of one effect that share most with the wanted ones.

    Modes and switches stay as wanted where they can: there is nothing between two of them.
    """
    every = np.flatnonzero(~is_locked)
    smooth = np.array([k for k in every if not host.parameters[int(k)].is_discrete], int)

    def search(free: np.ndarray) -> tuple[np.ndarray, float]:
        def render(audio: np.ndarray, tried: np.ndarray) -> np.ndarray:
            rows = np.repeat(wanted[None], len(tried), axis=0)
            rows[:, free] = tried
            return _play(host, sample_rate, audio, rows)

        found = wanted.copy()
        found[free], change = search_neutral(render, audio, len(free), host_rng(0, "amount/starts", place))
        return found, change

    best, best_db = search(every)
    if 0 < len(smooth) < len(every):
        held, held_db = search(smooth)
        if held_db <= max(best_db + MODE_SLACK_DB, AUDIBLE_DB):
            best, best_db = held, held_db
    for k in every:
        tried = best.copy()
        tried[k] = wanted[k]
        if change_db(audio, _play(host, sample_rate, audio, tried[None])[0]) <= best_db + SLACK_DB:
            best = tried
    return best


def _play(host: ChainHost, sample_rate: int, audio: np.ndarray, settings: np.ndarray) -> np.ndarray:
    """`[T, C]`, `[N, K] -> [N, T, C]`."""
    return host.render_variants(audio[None], settings[None], sample_rate)[0]
