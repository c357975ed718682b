"""The most neutral settings of an effect: the true settings of an unprocessed reference."""

from collections.abc import Callable

import numpy as np

from dafxvae.core.rng import host_rng
from dafxvae.data.pairs.bank import Bank

PROBE_SEC = 0.5
GRID = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = (0.125, 0.06, 0.03, 0.015)  # of the pattern search that follows the grid


def change_db(audio: np.ndarray, rendered: np.ndarray) -> float:
    """Level of what an effect changed relative to its input, in dB (-120 for no change, inf where not finite)."""
    before, after = audio.ravel(), rendered.ravel()
    source, wet = float(np.dot(before, before)), float(np.dot(after, after))
    # |after - before|^2 by products, without a temporary; where they cancel, rounding decides: then by the difference
    power = source + wet - 2.0 * float(np.dot(before, after))
    if power < 1e-3 * source:
        power = float(np.sum(np.square(after - before)))
    return 10.0 * float(np.log10(power / (source + 1e-12) + 1e-12)) if np.isfinite(power) else float("inf")


def probe(sample_rate: int, num_channels: int) -> np.ndarray:
    """Half a second of noise bursts from loud to soft: float32 `[T, C]`."""
    frames = round(PROBE_SEC * sample_rate)
    noise = host_rng(0, "neutral/probe").standard_normal((frames, num_channels)).astype(np.float32)
    envelope = np.repeat(np.geomspace(0.3, 0.003, 5), -(-frames // 5))[:frames].astype(np.float32)
    return noise * envelope[:, None] * np.float32(0.5)


def neutral_table(bank: Bank, sample_rate: int, num_channels: int) -> list[np.ndarray]:
    """The neutral settings `[K]` of every effect of a bank; those of a chain are its members' together."""
    units = [neutral_settings(bank, i, sample_rate, num_channels) for i in range(bank.num_units)]
    return [np.sum([units[i] for i in members], axis=0) for members in bank.members]


def neutral_settings(bank: Bank, effect: int, sample_rate: int, num_channels: int) -> np.ndarray:
    """The settings of one effect of a bank that change a probe least.

    Args:
        bank: the effects.
        effect: index into the bank.
        sample_rate: Hz.
        num_channels: 1 or 2.

    Returns:
        float32 `[K]`, zero outside the effect's columns.
    """
    where, settings = bank.columns(effect), np.zeros(bank.num_params, np.float32)

    def render(audio: np.ndarray, tried: np.ndarray) -> np.ndarray:
        every = np.zeros((len(tried), bank.num_params), np.float32)
        every[:, where] = tried
        batch = np.repeat(audio[None], len(tried), axis=0)
        return bank.render(batch, np.full(len(tried), effect, np.int32), every, sample_rate)

    rng = host_rng(0, "neutral/starts", effect)
    settings[where], _ = search_neutral(render, probe(sample_rate, num_channels), len(where), rng)
    return settings


Render = Callable[[np.ndarray, np.ndarray], np.ndarray]  # audio [T, C], settings [N, K] -> [N, T, C]


def search_neutral(render: Render, audio: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Search the settings that change a sound least, a coordinate at a time.

    Args:
        render: the effect.
        audio: the sound, `[T, C]`.
        count: K.
        rng: of the places where the search begins.

    Returns:
        float32 `[K]` in [0, 1], and what they change (`change_db`).
    """
    # Half-way, both ends, and random draws: the best of them is where the search begins.
    starts = np.concatenate([np.full((1, count), v) for v in (0.0, 0.5, 1.0)] + [rng.random((13, count))])
    best, best_db = _best(render, audio, starts)
    for step in (None, None, *STEPS):
        for k in range(count):
            values = GRID if step is None else (best[k] - step, best[k] + step)
            tried = np.repeat(best[None], len(values), axis=0)
            tried[:, k] = np.clip(values, 0.0, 1.0)
            found, found_db = _best(render, audio, tried)
            if found_db < best_db:
                best, best_db = found, found_db
    return best, best_db


def _best(render: Render, audio: np.ndarray, tried: np.ndarray) -> tuple[np.ndarray, float]:
    changes = [change_db(audio, one) for one in render(audio, np.asarray(tried, np.float32))]
    place = int(np.argmin(changes))
    return tried[place].astype(np.float32), changes[place]
