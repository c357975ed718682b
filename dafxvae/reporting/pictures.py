"""Pictures of sound for TensorBoard and the docs, by matplotlib without a display or global state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from dafxvae.audio.io import to_channels
from dafxvae.core.files import whole_file

FLOOR_DB = -140.0
COLOURS = ("#1f5fa8", "#c2410c", "#3f8f4f", "#7b4fa3", "#a8861f", "#2aa0a8")  # of curves in reports
GAP_FRAMES = 4  # between two spectrograms of one row
RANGE_DB = 80.0  # of the colours, below the loudest point of all panels
GRID_RANGE_DB = 60.0  # of those of a grid


def spectrogram_db(audio: np.ndarray, size: int = 1024, hop: int = 256) -> np.ndarray:
    """Power in dB of the channels' mean; `[T, C] -> [N, size // 2 + 1]`, a full-scale sine at about 0."""
    signal = np.pad(to_channels(audio, 1)[:, 0], (0, max(0, size - len(audio))))
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop]
    amplitude = np.abs(np.fft.rfft(frames * window)) * 2.0 / window.sum()
    return 20.0 * np.log10(np.maximum(amplitude, 10.0 ** (FLOOR_DB / 20.0)))


def open_axes(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of a report and its axes `[rows * columns]`, open at the top and to the right."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def figure_pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 `[height, width, 3]`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(path: Path, pixels: np.ndarray) -> None:
    """Writes uint8 `[height, width, 3]`, whole or not at all."""
    with whole_file(path) as temporary:
        imsave(temporary, pixels)


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    """uint8 `[height, width, 3]` as a JPEG file: a sixth of a PNG for spectrograms."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="jpeg", pil_kwargs={"quality": 85})
    return buffer.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def spectrogram_panels(
    clips: Mapping[str, np.ndarray], sample_rate: int, size: int = 1024, hop: int = 256, caption: str = ""
) -> np.ndarray:
    """Spectrograms side by side on one colour scale.

    Args:
        clips: title to sound `[T, C]`.
        sample_rate: in Hz.
        size, hop: of the analysis, in samples.
        caption: above all of them.

    Returns:
        uint8 `[height, width, 3]`.
    """
    figure = Figure(figsize=(3.2 * len(clips), 3.0), dpi=100, layout="constrained")
    if caption:
        figure.suptitle(caption, fontsize="medium")
    axes = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
    spectra = {title: spectrogram_db(clip, size, hop) for title, clip in clips.items()}
    loudest = max(float(spectrum.max()) for spectrum in spectra.values())
    image = None
    for axis, (title, clip) in zip(axes, clips.items()):
        extent = (0.0, len(clip) / sample_rate, 0.0, sample_rate / 2000.0)
        image = axis.imshow(
            spectra[title].T, origin="lower", aspect="auto", extent=extent, vmin=loudest - RANGE_DB, vmax=loudest
        )
        axis.set(title=title, xlabel="s")
    axes[0].set_ylabel("kHz")
    if image is not None:
        figure.colorbar(image, ax=axes, label="dB")
    return figure_pixels(figure)


def spectrogram_grid(rows: Mapping[str, Sequence[np.ndarray]], sample_rate: int, size: int, hop: int) -> np.ndarray:
    """Rows of small spectrograms on one colour scale.

    Args:
        rows: title to sounds `[T, C]`; rows may differ in length.
        sample_rate: in Hz.
        size, hop: of the analysis, in samples.

    Returns:
        uint8 `[height, width, 3]`.
    """
    columns = max(len(clips) for clips in rows.values())
    longest = max(sum(len(clip) for clip in clips) for clips in rows.values()) / sample_rate
    figure = Figure(figsize=(11.0, 1.25 * len(rows)), dpi=90, layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    spectra = {title: [spectrogram_db(clip, size, hop) for clip in clips] for title, clips in rows.items()}
    loudest = max(float(spectrum.max()) for row in spectra.values() for spectrum in row)
    for axis, (title, row) in zip(axes, spectra.items()):
        # One picture a row, with gaps: a hundred axes take matplotlib seconds.
        gap = np.full((GAP_FRAMES, size // 2 + 1), np.nan)
        joined = np.concatenate([part for spectrum in row for part in (spectrum, gap)])
        extent = (0.0, len(joined) * hop / sample_rate, 0.0, sample_rate / 2000.0)
        limits = {"vmin": loudest - GRID_RANGE_DB, "vmax": loudest}
        axis.imshow(joined.T, origin="lower", aspect="auto", extent=extent, **limits)
        axis.tick_params(labelsize=6)
        axis.set_ylabel(f"{title}\nkHz", fontsize=7)
        axis.set_frame_on(False)
        axis.set_xlim(0.0, longest + GAP_FRAMES * hop / sample_rate * columns)
    axes[-1].set_xlabel("s", fontsize=7)
    return figure_pixels(figure)


def frame_panels(panels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Matrices `[N, F]` (data, reconstruction, ...) side by side on the first one's colour scale; uint8 pixels."""
    figure = Figure(figsize=(3.2 * len(panels), 3.0), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    low, high = np.percentile(next(iter(panels.values())), (1, 99))
    for axis, (title, panel) in zip(axes, panels.items()):
        axis.imshow(panel.T, origin="lower", aspect="auto", vmin=low, vmax=high)
        axis.set(title=title, xlabel="frame")
    axes[0].set_ylabel("mel band")
    return figure_pixels(figure)
