"""An impulse response (wav) of a chain that is linear and does not change with time, which is measured.

Convolved with the take it gives the output, the final gain included.
"""

from pathlib import Path

import numpy as np

from dafxvae.audio.io import AudioReader, write_audio
from dafxvae.core.errors import EffectError, UserError
from dafxvae.effects.factory import ChainHost
from dafxvae.transfer.exports.material import Exported, Material

TEST_SEC = 1.0
LEAD = 8192  # samples of silence, in which what glides to its settings comes to rest
LEVELS_DB = (-20.0, -40.0, -60.0)  # at which noise must come out as at full scale, but softer
SHIFTS = (1, 777, 10007)  # samples
EXACT_DB = -70.0  # rounding stays below it: of the linear built-ins LowShelfFilter errs most, by -77 dB
LONGEST_SEC = 10.0
END_DB = -120.0  # of its energy is left where a response has ended: music may have it all at the lowest frequencies
CUT_DB = -60.0  # and a response that is cut above it is said to be


def error_db(found: np.ndarray, wanted: np.ndarray) -> float:
    """Level of a difference relative to what is wanted, dB."""
    return float(10.0 * np.log10((np.sum((found - wanted) ** 2) + 1e-30) / (np.sum(wanted**2) + 1e-30)))


def _play(host: ChainHost, unit_params: np.ndarray, audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[T, C] -> [T, C]` in double precision; T after `LEAD` samples of silence."""
    led = np.concatenate([np.zeros((LEAD, audio.shape[1])), audio])[None]
    rendered = host.render(led.astype(np.float32), unit_params[None], sample_rate)[0, LEAD:].astype(float)
    if not np.isfinite(rendered).all():
        raise EffectError(f"the impulse response cannot be measured: {host.failures.last[-1]}")
    return rendered


def linearity(host: ChainHost, unit_params: np.ndarray, sample_rate: int, num_channels: int) -> str:
    """In what a chain is not linear or changes with time; "" where it does neither.

    Noise at four levels must come out alike but for its level, a sum of two noises as the sum of what each becomes, and
    noise that comes later the same but later.

    Args:
        host: the chain.
        unit_params: its settings `[K]`.
        sample_rate: Hz.
        num_channels: 1 or 2.

    Raises:
        EffectError: the chain failed.
    """
    rng = np.random.default_rng(0)
    length = round(TEST_SEC * sample_rate)
    first, second = rng.uniform(-1.0, 1.0, (2, length, num_channels))
    loud = _play(host, unit_params, first, sample_rate)
    for level_db in LEVELS_DB:
        factor = 10.0 ** (level_db / 20.0)
        error = error_db(_play(host, unit_params, first * factor, sample_rate), loud * factor)
        if error > EXACT_DB:
            return f"it is not linear: at {level_db:g} dBFS it differs by {error:.0f} dB from what it does at 0 dBFS"
    half = _play(host, unit_params, (first + second) / 2.0, sample_rate)
    error = error_db(half, (loud + _play(host, unit_params, second, sample_rate)) / 2.0)
    if error > EXACT_DB:
        return f"it is not linear: a sum differs by {error:.0f} dB from the sum of what its parts become"
    for shift in SHIFTS:
        later = np.concatenate([np.zeros((shift, num_channels)), first])[:length]
        error = error_db(_play(host, unit_params, later, sample_rate)[shift:], loud[: length - shift])
        if error > EXACT_DB:
            return f"it changes with time: {shift} samples later it differs by {error:.0f} dB"
    return ""


def measure_impulse_response(
    host: ChainHost, unit_params: np.ndarray, sample_rate: int, num_channels: int
) -> np.ndarray:
    """What each channel of the output is for an impulse in each of the input: `[T, C in, C out]`, ended where it has.

    Raises:
        EffectError: the chain failed.
    """
    silence = np.zeros((round(LONGEST_SEC * sample_rate), num_channels))
    responses = []
    for channel in range(num_channels):
        impulse = silence.copy()
        impulse[0, channel] = 1.0
        responses.append(_play(host, unit_params, impulse, sample_rate))
    response = np.stack(responses, axis=1)
    left = np.cumsum(np.square(response).sum((1, 2))[::-1])[::-1]
    return response[: max(1, int(np.count_nonzero(left > left[0] * 10.0 ** (END_DB / 10.0))))]


def convolve_response(audio: np.ndarray, response: np.ndarray) -> np.ndarray:
    """`[T, C]` through a response `[T', C, C]`, as long as the audio."""
    from scipy.signal import oaconvolve  # slow to import, and needed here alone

    channels = range(audio.shape[1])
    wet = [sum(oaconvolve(audio[:, i], response[:, i, o])[: len(audio)] for i in channels) for o in channels]
    return np.stack(wet, axis=1)


def write_impulse_response(material: Material, target: Path) -> Exported:
    """Writes the response as 32-bit float wav: mono, left and right, or LL LR RL RR where channels mix ("true stereo").

    Raises:
        UserError: the chain is not linear, or changes with time; with the effects at fault and what was measured.
        EffectError: the chain failed.
    """
    host, rate, channels = material.host, material.sample_rate, material.num_channels
    unit_params = material.stored.unit_params
    reason = linearity(host, unit_params, rate, channels)
    if reason:
        raise UserError(
            f"{_culprits(material) or host.name}: {reason}. An impulse response holds what is linear and fixed alone; "
            "export dawproject or reascript"
        )
    response = measure_impulse_response(host, unit_params, rate, channels)
    notes = [f"reproduces the render of the take within {_error_on_take(material, response):.0f} dB"]
    peak, last = np.abs(response).max(), np.abs(response[-rate // 100 :]).max()
    if len(response) >= LONGEST_SEC * rate - 1 and last > peak * 10.0 ** (CUT_DB / 20.0):
        notes.append(f"approximate: cut after {LONGEST_SEC:g} s, where it still rings")
    mixes = channels == 2 and bool(np.any(response[:, (0, 1), (1, 0)]))
    columns = response.reshape(len(response), -1) if mixes or channels == 1 else response[:, (0, 1), (0, 1)]
    if mixes:
        notes.append("its channels are LL LR RL RR, as convolution reverbs take for true stereo")
    notes.append(f"holds the final gain of {20.0 * np.log10(material.stored.factor):+.2f} dB: switch normalising off")
    write_audio(target, (columns * float(material.stored.factor)).astype(np.float32), rate, "FLOAT")
    return Exported([target], [*notes, *material.channel_notes])


def _culprits(material: Material) -> str:
    """The effects that are not linear and fixed by themselves, named."""
    found = []
    for i, unit in enumerate(material.host.chain.units):
        own = slice(*material.host.chain.offsets[i : i + 2])
        if linearity(
            material.host.part([i]), material.stored.unit_params[own], material.sample_rate, material.num_channels
        ):
            found.append(unit.label)
    return ", ".join(found)


def _error_on_take(material: Material, response: np.ndarray) -> float:
    """How far convolution is from the render of the middle of the take, dB."""
    with AudioReader(material.take) as take:
        count = min(take.frames, round(LONGEST_SEC * take.sample_rate))
        audio = take.read((take.frames - count) // 2, count).astype(float)
    rendered = _play(material.host, material.stored.unit_params, audio, material.sample_rate)
    return error_db(convolve_response(audio, response), rendered)
