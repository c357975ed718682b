"""The picture of a transfer; a module of its own, as matplotlib takes a second to import."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from dafxvae.reporting.curves import FLOOR_DB, average_spectrum
from dafxvae.reporting.pictures import png_bytes
from dafxvae.transfer.recordings import Recording
from dafxvae.transfer.windows import MAX_WINDOWS

PART = 32768  # samples read at a time
ENVELOPE_POINTS = 800
COLOURS = {"input": "#8a94a3", "reference": "#d97706", "output": "#1f5fa8"}


def _spread(source: Recording) -> Iterator[np.ndarray]:
    """Parts of a recording, evenly spread over it."""
    for start in np.linspace(0, max(0, source.frames - PART), MAX_WINDOWS).astype(int):
        yield source.read(int(start), PART)


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
        spectra.semilogx(*average_spectrum(_spread(source), source.sample_rate), **style)
        levels.plot(*level_envelope(source), **style)
    spectra.set(title="average spectrum", xlabel="Hz", ylabel="dBFS")
    levels.set(title="level", xlabel="s", ylabel="dBFS", ylim=(-80.0, 0.0))
    for axis in (spectra, levels):
        axis.grid(alpha=0.25)
    spectra.legend()
    return png_bytes(figure)
