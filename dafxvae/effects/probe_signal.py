"""The probe: one fixed recording of noise, clicks and tones that shows what an effect does to sound.

Each segment shows something that the others hide: a click the echoes and the decay, noise at rising levels the spectrum
and its dependence on the level, steps of level the attack and release, tones the distortion, and long noise slow
movement. The level falls to silence between segments, so that the tail of one hardly reaches the next.
"""

from functools import lru_cache

import numpy as np

from dafxvae.core.rng import host_rng

CLICK_SEC, CLICK_PEAK = 0.004, 0.9
DECAY_SEC = 1.0  # of silence after the click
NOISE_DBFS = (-48.0, -36.0, -24.0, -14.0, -6.0)  # RMS, rising
RELEASE_DBFS = -36.0  # the step back down
NOISE_SEC = 0.35  # of each level
TONES_HZ = (110.0, 440.0, 1760.0)
TONE_SEC, TONE_DBFS = 0.2, -12.0
MOVING_SEC, MOVING_DBFS = 3.2, -20.0
GAP_SEC = 0.15


def _noise(length_sec: float, dbfs: float, stream: str, sample_rate: int) -> np.ndarray:
    samples = host_rng(0, f"effects/probe/{stream}").standard_normal(round(length_sec * sample_rate))
    return np.clip(samples * 10.0 ** (dbfs / 20.0), -1.0, 1.0)


@lru_cache(maxsize=8)
def probe_segments(sample_rate: int) -> dict[str, tuple[slice, np.ndarray]]:
    """Where each segment stands in the probe, and its samples `[T']`.

    "click" goes on through the silence in which it decays; "noise" is all levels and the step back down.
    """
    click = np.zeros(round(DECAY_SEC * sample_rate))
    burst = _noise(CLICK_SEC, 0.0, "click", sample_rate)
    click[: len(burst)] = CLICK_PEAK * burst / np.abs(burst).max()
    one = _noise(NOISE_SEC, 0.0, "noise", sample_rate) / 3.5  # no sample beyond 1; the same noise at each level
    one *= 1.0 / np.sqrt(np.mean(one**2))
    levels = [np.clip(one * 10.0 ** (dbfs / 20.0), -1.0, 1.0) for dbfs in (*NOISE_DBFS, RELEASE_DBFS)]
    time_sec = np.arange(round(TONE_SEC * sample_rate)) / sample_rate
    amplitude = np.sqrt(2.0) * 10.0 ** (TONE_DBFS / 20.0)
    fade = np.minimum(1.0, np.minimum(time_sec, time_sec[-1] - time_sec) / 0.01)
    tones = {f"tone{i}": amplitude * fade * np.sin(2.0 * np.pi * hz * time_sec) for i, hz in enumerate(TONES_HZ)}
    moving = _noise(MOVING_SEC, MOVING_DBFS, "moving", sample_rate)
    segments, start = dict[str, tuple[slice, np.ndarray]](), 0
    for name, samples in {"click": click, "noise": np.concatenate(levels), **tones, "moving": moving}.items():
        segments[name] = slice(start, start + len(samples)), samples.astype(np.float32)
        start += len(samples) + round(GAP_SEC * sample_rate)
    return segments


@lru_cache(maxsize=8)
def probe_signal(sample_rate: int) -> np.ndarray:
    """The whole probe, float32 `[T]`; the same samples every time. Do not write to it."""
    segments = probe_segments(sample_rate)
    signal = np.zeros(max(place.stop for place, _ in segments.values()), np.float32)
    for place, samples in segments.values():
        signal[place] = samples
    signal.setflags(write=False)
    return signal
