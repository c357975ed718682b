"""The response of an effect: what it does to a fixed probe, in units of hearing.

Two settings that sound alike have responses that are alike, whatever the effect; a parameter that is not heard does not
move the response. Every column is relative to the probe itself: an effect that does nothing has a response of zero.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dafxvae.audio.bands import mel_centres_hz, mel_filterbank, sum_into_bands
from dafxvae.core.arguments import HIGHEST_RATE, check_number, number_array
from dafxvae.core.errors import UserError
from dafxvae.effects import probe_signal as probe
from dafxvae.effects.host import EffectHost

LOW_HZ, HIGH_HZ = 60.0, 11000.0  # of the bands
NUM_BANDS, WINDOW_SEC = 24, 0.05
FLOOR_DB = -90.0  # added in power before logarithms, re a full-scale band
SETTLE_SEC = 0.1  # of each level of noise, not counted in its spectrum
DECAY_FRAME_SEC, DECAY_BANDS = 0.005, 3
DECAY_EDGES = np.unique(np.round(np.geomspace(1.0, probe.DECAY_SEC / DECAY_FRAME_SEC, 21)).astype(int) - 1)  # frames
BLOCK_EDGES_SEC = (0.0, 0.005, 0.012, 0.025, 0.05, 0.1, 0.2, 0.35)
NUM_HARMONICS = 6
MODULATION_HZ = 0.35 * 2.0 ** (np.arange(16) / 3.0)  # to 11 Hz in third octaves
MOVING_BANDS = 6
LIMIT_DB = 60.0  # of any column
UNIT_DB = (10.0, 10.0, 20.0, 20.0, 2.0)  # of each part, that count alike in a vector
HEARD_DB = 0.2  # a parameter whose whole range moves the response by less is not heard
SWEEP = (0.0, 0.25, 0.5, 0.75, 1.0)  # of one parameter


def band_centres_hz() -> np.ndarray:
    """Centre of each band of the spectrum; `[NUM_BANDS]`."""
    return mel_centres_hz(NUM_BANDS, LOW_HZ, HIGH_HZ)


class Response(NamedTuple):
    """What B settings of an effect do to the probe; dB relative to the probe unless another unit is given."""

    spectrum: np.ndarray  # [B, levels, bands] gain of noise at each level, by mel band
    dynamics: np.ndarray  # [B, levels + 1, blocks] gain after each step of level, in blocks that grow with time
    decay: np.ndarray  # [B, bands, windows] energy after a click, in windows that grow with time
    harmonics: np.ndarray  # [B, tones, harmonics + 1] of tones, and the rest of their spectrum
    movement: np.ndarray  # [B, bands, rates] deviation of a band's gain over time, by rate

    def vector(self) -> np.ndarray:
        """All columns side by side, weighted so that the squared length is the mean over parts of (dB / `UNIT_DB`)²."""
        parts = [part.reshape(len(part), -1) / unit for part, unit in zip(self, UNIT_DB, strict=True)]
        return np.concatenate([part / np.sqrt(len(self) * part.shape[1]) for part in parts], axis=1)

    def level_db(self) -> np.ndarray:
        """The level part: mean gain of the middle level of noise over all bands; `[B]`."""
        return self.spectrum[:, self.spectrum.shape[1] // 2].mean(-1)


def measure_response(host: EffectHost, unit_params: np.ndarray, sample_rate: int) -> Response:
    """Responses of an effect or chain at some settings: one render of the probe (8 s) each.

    Args:
        host: the effect; built-in, VST3 or chain.
        unit_params: `[B, K]` in [0, 1].
        sample_rate: Hz, above 22 kHz.

    Returns:
        B responses; those of a failed render are all NaN.

    Raises:
        UserError: settings of another shape, or a rate that the probe does not fit.
    """
    check_number(sample_rate, "the sample rate of the probe", 2 * HIGH_HZ, HIGHEST_RATE, whole=False)
    audio = probe.probe_signal(sample_rate)[None, :, None]
    settings = number_array(unit_params, "the settings", "[B, K]")[None]
    return describe_probe(host.render_variants(audio, settings, sample_rate)[0], sample_rate)


def response_distance_db(first: Response, second: Response) -> np.ndarray:
    """How far apart responses sound: root mean square over the parts of (dB / `UNIT_DB`), times 10; `[B]`.

    About the deviation in dB for spectrum and dynamics.
    """
    return 10.0 * np.linalg.norm(first.vector() - second.vector(), axis=-1)


def audibility(
    host: EffectHost, unit_params: np.ndarray, sample_rate: int, sweep: Sequence[float] = SWEEP
) -> np.ndarray:
    """How much the response changes while one parameter alone moves over its range; dB, `[K]`.

    Zero for a parameter that cannot be heard at these settings: the attack of a compressor at a ratio of 1.

    Args:
        host: the effect.
        unit_params: the settings, `[K]` in [0, 1].
        sample_rate: Hz, above 22 kHz.
        sweep: the values that each takes in turn.
    """
    count, size = len(host.parameters), len(sweep)
    settings = number_array(unit_params, "the settings", "[K]").astype(np.float32)
    if len(settings) != count:
        raise UserError(f"the settings have the shape {settings.shape}: give [{count}]")
    rows = np.repeat(settings[None], 1 + count * size, axis=0)
    for k in range(count):
        rows[1 + k * size : 1 + (k + 1) * size, k] = sweep
    response = measure_response(host, rows, sample_rate)
    base = Response(*(part[:1] for part in response))
    return response_distance_db(response, base)[1:].reshape(count, size).max(-1)


def describe_probe(rendered: np.ndarray, sample_rate: int) -> Response:
    """The response that renders of the probe show; `[B, T, C]`."""
    own = _reference(sample_rate)
    parts = [
        np.clip(part - reference, -LIMIT_DB, LIMIT_DB)
        for part, reference in zip(_measure(rendered, sample_rate), own, strict=True)
    ]
    movement = _movement(_segment(rendered, "moving", sample_rate), sample_rate)
    return Response(*(part.astype(np.float32) for part in (*parts, movement)))


@lru_cache(maxsize=8)
def _reference(sample_rate: int) -> tuple[np.ndarray, ...]:
    return tuple(_measure(probe.probe_signal(sample_rate)[None, :, None], sample_rate))


def _measure(rendered: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    """The parts of a response that are levels, in dB re full scale."""
    yield from _noise(_segment(rendered, "noise", sample_rate), sample_rate)
    yield _decay(_segment(rendered, "click", sample_rate), sample_rate)
    yield np.stack(
        [
            _harmonics(_segment(rendered, f"tone{i}", sample_rate), hz, sample_rate)
            for i, hz in enumerate(probe.TONES_HZ)
        ],
        1,
    )


def _segment(rendered: np.ndarray, name: str, sample_rate: int) -> np.ndarray:
    """One segment, channels first; `[B, T, C] -> [B, C, T']`."""
    place, _ = probe.probe_segments(sample_rate)[name]
    return np.swapaxes(rendered[:, place], 1, 2)


def _db(power: np.ndarray, floor_db: float = FLOOR_DB) -> np.ndarray:
    return 10.0 * np.log10(power + 10.0 ** (floor_db / 10.0))


def _band_power(audio: np.ndarray, sample_rate: int, hop: int) -> np.ndarray:
    """Power in mel bands, mean over channels; `[B, C, T] -> [B, N, bands]`."""
    size = _window(sample_rate)
    taper = np.hanning(size + 1)[:-1].astype(np.float32) * np.float32(2.0 / size)
    filters = mel_filterbank(sample_rate, size, NUM_BANDS, LOW_HZ, HIGH_HZ)
    frames = np.lib.stride_tricks.sliding_window_view(audio, size, axis=-1)[..., ::hop, :]
    found = []
    for one in frames:  # the spectra of one fit into the cache
        spectrum = np.fft.rfft(one * taper)
        found.append(sum_into_bands((spectrum.real**2 + spectrum.imag**2).mean(0), filters))
    return np.stack(found)


def _window(sample_rate: int) -> int:
    return 2 * round(WINDOW_SEC * sample_rate / 2)


def _noise(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum by level, and level in blocks after each step."""
    length = round(probe.NOISE_SEC * sample_rate)
    steps = audio.reshape(*audio.shape[:2], -1, length)  # [B, C, steps, T']
    levels, settle = len(probe.NOISE_DBFS), round(SETTLE_SEC * sample_rate)
    spectra = [
        _db(_band_power(steps[:, :, i, settle:], sample_rate, _window(sample_rate) // 2).mean(1)) for i in range(levels)
    ]
    edges = [round(edge * sample_rate) for edge in BLOCK_EDGES_SEC]
    power = (steps**2).mean(1)
    blocks = [power[..., low:high].mean(-1) for low, high in itertools.pairwise(edges)]
    return np.stack(spectra, 1), _db(np.stack(blocks, -1))


def _decay(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Energy of the click and of what follows it, by band and time; dB re the click's own energy."""
    size = 2 * round(DECAY_FRAME_SEC * sample_rate / 2)
    spectrum = np.fft.rfft(audio[..., : audio.shape[-1] // size * size].reshape(*audio.shape[:2], -1, size))
    power = (spectrum.real**2 + spectrum.imag**2).mean(1)[..., 1:]  # [B, N, F]
    energy = np.stack([part.sum(-1) for part in np.array_split(power, DECAY_BANDS, axis=-1)], 1)  # [B, bands, N]
    own = float(np.sum(probe.probe_segments(sample_rate)["click"][1] ** 2)) * size / 6.0
    windows = [energy[..., low:high].sum(-1) / own for low, high in itertools.pairwise(DECAY_EDGES)]
    return _db(np.stack(windows, -1), floor_db=-50.0)


def _harmonics(audio: np.ndarray, tone_hz: float, sample_rate: int) -> np.ndarray:
    """Level of a tone's harmonics, and of all that lies between them; `[B, NUM_HARMONICS + 1]`."""
    length = audio.shape[-1]
    middle = audio[..., length // 5 : length - length // 10]
    size = middle.shape[-1]
    spectrum = np.fft.rfft(middle * np.blackman(size).astype(np.float32))
    power = (spectrum.real**2 + spectrum.imag**2).mean(1) * (1.0 / (0.42 * size)) ** 2
    bins_hz = np.arange(power.shape[-1]) * sample_rate / size
    nearest = np.round(bins_hz / tone_hz)
    is_near = np.abs(bins_hz - nearest * tone_hz) <= 3.0 * sample_rate / size
    levels = [power[:, is_near & (nearest == i + 1)].sum(-1) for i in range(NUM_HARMONICS)]
    return _db(np.stack([*levels, power[:, ~(is_near & (nearest >= 1))].sum(-1)], -1), floor_db=-70.0)


@lru_cache(maxsize=8)
def _moving_reference(sample_rate: int) -> np.ndarray:
    """Levels of the long noise itself, dB; `[1, N, bands]`."""
    own = probe.probe_segments(sample_rate)["moving"][1][None, None]
    return _db(_band_power(own, sample_rate, _window(sample_rate) // 2))


def _movement(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """How far the gain of broad bands swings, by rate; dB, `[B, MOVING_BANDS, rates]`."""
    hop = _window(sample_rate) // 2
    gain = _db(_band_power(audio, sample_rate, hop)) - _moving_reference(sample_rate)
    gain -= gain.mean(1, keepdims=True)
    window = np.hanning(gain.shape[1] + 2)[1:-1, None]
    power = np.abs(np.fft.rfft(gain * window, axis=1)) ** 2 * (2.0 / window.sum()) ** 2  # [B, rates, bands]
    bins_hz = np.arange(power.shape[1]) * sample_rate / hop / gain.shape[1]
    width = np.maximum(MODULATION_HZ * 0.26, bins_hz[1])
    filters = np.maximum(0.0, 1.0 - np.abs(bins_hz[:, None] - MODULATION_HZ) / width)
    filters[0] = 0.0
    swing = np.sqrt(np.einsum("bnf,nr->bfr", power, filters))
    return swing.reshape(len(swing), MOVING_BANDS, -1, len(MODULATION_HZ)).mean(2)
