"""The picture of a transfer; a module of its own, as matplotlib takes a second to import."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from dafxvae.reporting.pictures import png_bytes
from dafxvae.transfer.recordings import Recording
from dafxvae.transfer.windows import MAX_WINDOWS

SPECTRUM_SIZE = 8192
ENVELOPE_POINTS = 800
FLOOR_DB = -100.0
SMOOTHING_OCTAVES = 1 / 6
COLOURS = {"input": "#8a94a3", "reference": "#d97706", "output": "#1f5fa8"}


def average_spectrum(source: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Mean power spectrum of windows spread over a recording, smoothed to sixths of an octave.

    Returns:
        (frequencies in Hz `[F]`, dB `[F]`).
    """
    starts = np.linspace(0, max(0, source.frames - 4 * SPECTRUM_SIZE), MAX_WINDOWS).astype(int)
    power = np.zeros(SPECTRUM_SIZE // 2 + 1)
    window = np.hanning(SPECTRUM_SIZE)
    for start in starts:
        audio = source.read(int(start), 4 * SPECTRUM_SIZE)
        audio = np.pad(audio, ((0, -len(audio) % SPECTRUM_SIZE), (0, 0)))
        frames = audio.T.reshape(audio.shape[1], -1, SPECTRUM_SIZE) * window
        power += (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=(0, 1)) / len(starts)
    bins = np.fft.rfftfreq(SPECTRUM_SIZE, 1.0 / source.sample_rate)
    centres = np.geomspace(30.0, min(20000.0, 0.49 * source.sample_rate), 160)
    total = np.concatenate([[0.0], np.cumsum(power)])
    half = 2.0 ** (SMOOTHING_OCTAVES / 2)
    low = np.searchsorted(bins, centres / half)
    high = np.maximum(np.searchsorted(bins, centres * half), low + 1).clip(max=len(power))
    low = np.minimum(low, high - 1)
    mean = (total[high] - total[low]) / (high - low)
    return centres, 10.0 * np.log10(mean * (2.0 / window.sum()) ** 2 + 10.0 ** (FLOOR_DB / 10.0))


def level_envelope(source: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Level over time: (seconds, dBFS), at most `ENVELOPE_POINTS` of each; long recordings are sampled."""
    count = min(ENVELOPE_POINTS, max(1, source.frames * 20 // source.sample_rate))
    size = min(round(0.05 * source.sample_rate), source.frames)
    starts = np.linspace(0, source.frames - size, count).astype(int)
    powers = [float(np.square(source.read(int(start), size)).sum()) / size / source.num_channels for start in starts]
    return starts / source.sample_rate, 10.0 * np.log10(np.array(powers) + 10.0 ** (FLOOR_DB / 10.0))


def picture(recordings: Mapping[str, Recording]) -> bytes:
    """Average spectra and level envelopes of input, reference and output, as a PNG."""
    figure = Figure(figsize=(11.0, 3.6), dpi=110, layout="constrained")
    spectra, levels = figure.subplots(1, 2)
    for label, source in recordings.items():
        style = {"color": COLOURS[label], "label": label, "linewidth": 1.3}
        spectra.semilogx(*average_spectrum(source), **style)
        levels.plot(*level_envelope(source), **style)
    spectra.set(title="average spectrum", xlabel="Hz", ylabel="dBFS")
    levels.set(title="level", xlabel="s", ylabel="dBFS", ylim=(-80.0, 0.0))
    for axis in (spectra, levels):
        axis.grid(alpha=0.25)
    spectra.legend()
    return png_bytes(figure)
