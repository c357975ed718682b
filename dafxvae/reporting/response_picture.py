"""A picture of the response of an effect."""

import numpy as np
from matplotlib.figure import Figure

from dafxvae.effects import probe_signal as probe
from dafxvae.effects.response import (
    BLOCK_EDGES_SEC,
    DECAY_EDGES,
    DECAY_FRAME_SEC,
    MODULATION_HZ,
    Response,
    band_centres_hz,
)
from dafxvae.reporting.pictures import figure_pixels


def draw_response(response: Response, title: str) -> np.ndarray:
    """Five panels: spectrum by level, steps of level, decay of a click, harmonics, movement.

    Args:
        response: of one setting.
        title: over the picture.

    Returns:
        uint8 `[height, width, 3]`.
    """
    figure = Figure(figsize=(16.0, 3.4), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10)
    spectrum, dynamics, decay, harmonics, movement = figure.subplots(1, 5)
    for dbfs, gains in zip(probe.NOISE_DBFS, response.spectrum[0]):
        spectrum.semilogx(band_centres_hz(), gains, label=f"{dbfs:.0f} dBFS")
    spectrum.set(title="gain of noise", xlabel="Hz", ylabel="dB")
    times_ms = 1000.0 * np.sqrt(np.maximum(BLOCK_EDGES_SEC[:-1], 0.001) * np.asarray(BLOCK_EDGES_SEC[1:]))
    for dbfs, gains in zip((*probe.NOISE_DBFS, probe.RELEASE_DBFS), response.dynamics[0]):
        dynamics.semilogx(times_ms, gains, label=f"to {dbfs:.0f} dBFS")
    dynamics.set(title="gain after a step of level", xlabel="ms")
    ends_ms = 1000.0 * DECAY_FRAME_SEC * DECAY_EDGES[1:]
    for name, energy in zip(("low", "mid", "high"), response.decay[0]):
        decay.semilogx(ends_ms, energy, label=name)
    decay.set(title="energy after a click, re none", xlabel="ms")
    orders = np.arange(1, response.harmonics.shape[-1] + 1)
    for i, (hz, levels) in enumerate(zip(probe.TONES_HZ, response.harmonics[0])):
        harmonics.bar(orders + 0.25 * (i - 1), levels, 0.25, label=f"{hz:.0f} Hz")
    harmonics.set(title="tones", xlabel="harmonic")
    harmonics.set_xticks(orders, [*map(str, orders[:-1]), "rest"])
    for i, swing in enumerate(response.movement[0]):
        movement.semilogx(MODULATION_HZ, swing, label=f"band {i + 1}")
    movement.set(title="swing of the gain", xlabel="Hz", ylabel="dB")
    for axis in (spectrum, dynamics, decay, harmonics, movement):
        axis.legend(fontsize=6)
        axis.grid(alpha=0.3)
    return figure_pixels(figure)
