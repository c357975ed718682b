"""Data of the player and charts of a page: samples, loudness, curves."""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dafxvae.audio.io import encode_flac, resample
from dafxvae.audio.loudness import DUAL_MONO_LU, loudness_lufs
from dafxvae.reporting import curves

RATES = (8000, 96000)  # Hz that every browser plays
USUAL_RATE = 48000


class PlayerClip(NamedTuple):
    """A recording of the player."""

    role: str  # "take", "reference", "output" or "target"
    label: str
    audio: np.ndarray  # float32 [T, C], one or two channels
    sample_rate: int  # Hz


def clip_loudness(clip: PlayerClip) -> float | None:
    """Integrated, in LUFS as played: mono comes from both loudspeakers; None where there is none."""
    found = float(loudness_lufs(clip.audio[None], clip.sample_rate)[0])
    return found + DUAL_MONO_LU * (clip.audio.shape[1] == 1) if np.isfinite(found) else None


def clip_data(clip: PlayerClip) -> dict[str, Any]:
    """Label, role, loudness, and the samples: a FLAC file at full scale and the gain that undoes that."""
    rate = clip.sample_rate if RATES[0] <= clip.sample_rate <= RATES[1] else USUAL_RATE
    audio = resample(np.nan_to_num(clip.audio), clip.sample_rate, rate)
    peak = float(np.abs(audio).max(initial=0.0)) or 1.0
    content = base64.b64encode(encode_flac(audio / peak, rate)).decode()
    return {"role": clip.role, "label": clip.label, "lufs": clip_loudness(clip), "gain": peak, "audio": content}


class ClipCurves(NamedTuple):
    """What the charts show of a recording; each curve is x and y, `[N]` both, or None."""

    role: str
    label: str
    spectrum: tuple[np.ndarray, np.ndarray]  # Hz, dB at a loudness of 0 LUFS
    level: tuple[np.ndarray, np.ndarray]  # s, LUFS
    width: tuple[np.ndarray, np.ndarray] | None  # Hz, dB; None for mono


def clip_curves(clip: PlayerClip) -> ClipCurves:
    """Measures a recording for the charts."""
    centres, levels = curves.average_spectrum([clip.audio], clip.sample_rate)
    return ClipCurves(
        clip.role,
        clip.label,
        (centres, levels - (clip_loudness(clip) or 0.0)),
        curves.momentary_loudness(clip.audio, clip.sample_rate),
        curves.stereo_width(clip.audio, clip.sample_rate) if clip.audio.shape[1] == 2 else None,
    )


def _line(clip: ClipCurves, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    shown = [round(float(value), 2) if np.isfinite(value) else None for value in y]
    return {"role": clip.role, "label": clip.label, "x": [float(f"{value:.5g}") for value in x], "y": shown}


def chart_data(clips: Sequence[ClipCurves]) -> list[dict[str, Any]]:
    """The charts: spectra and their difference from the take's, loudness over time, stereo width where there is any."""
    frequency = {"unit": "Hz", "isLog": True}
    charts = [
        {
            "title": "Spectrum",
            "note": "At equal loudness, smoothed to sixths of an octave.",
            "x": frequency,
            "y": {"unit": "dB", "low": -80.0, "span": 20.0},
            "lines": [_line(clip, *clip.spectrum) for clip in clips],
        }
    ]
    take = next((clip for clip in clips if clip.role == "take"), None)
    if take is not None:
        centres, own = take.spectrum
        note = f"From {take.label} to each of the others, at equal loudness."
        lines = [
            _line(clip, centres, np.interp(centres, *clip.spectrum, right=np.nan) - own)
            for clip in clips
            if clip is not take
        ]
        y_axis = {"unit": "dB", "low": -30.0, "span": 6.0}
        charts.append({"title": "Difference", "note": note, "x": frequency, "y": y_axis, "lines": lines})
    levels = [_line(clip, *clip.level) for clip in clips if len(clip.level[0]) > 1]
    note = "Momentary loudness (400 ms, BS.1770), as recorded."
    axes = {"x": {"unit": "s", "isLog": False}, "y": {"unit": "LUFS", "low": -60.0, "span": 6.0}}
    charts.append({"title": "Level", "note": note, "lines": levels, **axes})
    width = [_line(clip, *clip.width) for clip in clips if clip.width is not None]
    note = "Side over mid: 0 dB is as much side as mid, below -20 dB is nearly mono."
    y_axis = {"unit": "dB", "span": 10.0}
    charts.append({"title": "Stereo width", "note": note, "x": frequency, "y": y_axis, "lines": width})
    return [one for one in charts if any(value is not None for line in one["lines"] for value in line["y"])]


def player_data(clips: Sequence[PlayerClip], measured: Sequence[ClipCurves] | None = None) -> dict[str, Any]:
    """All that a player and its charts need; their curves where they are measured already."""
    rate = clips[0].sample_rate
    return {
        "rate": rate if RATES[0] <= rate <= RATES[1] else USUAL_RATE,
        "clips": [clip_data(clip) for clip in clips],
        "charts": chart_data(measured or [clip_curves(clip) for clip in clips]),
    }
