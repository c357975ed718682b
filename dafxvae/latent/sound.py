"""Sounds from mel spectra, to listen to; no measure uses them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dafxvae.audio import dsp
from dafxvae.audio.bands import mel_centres_hz
from dafxvae.audio.griffin_lim import griffin_lim
from dafxvae.audio.io import to_channels

GAIN_RANGE = (-60.0, 24.0)  # dB: a decoder's wildest output must not deafen
NUM_ITERATIONS = 24  # of Griffin-Lim


class MelFrames(NamedTuple):
    """The axes of a mel spectrogram `[N, F]`: of a centred STFT, bands from 20 Hz."""

    size: int  # of the window in samples
    hop: int  # in samples
    high_hz: float  # upper edge of the last band
    sample_rate: int

    def to_bins(self, bands: np.ndarray) -> np.ndarray:
        """Values of mel bands `[N, F]` at the bins of the FFT, by linear interpolation over frequency."""
        bins_hz = np.arange(self.size // 2 + 1) * self.sample_rate / self.size
        centres = mel_centres_hz(bands.shape[1], 20.0, self.high_hz)
        return np.stack([np.interp(bins_hz, centres, row) for row in bands])


def filter_mel(audio: np.ndarray, log_gain: np.ndarray, frames: MelFrames) -> np.ndarray:
    """Change the mel bands of a recording over time and keep its phase.

    Args:
        audio: `[T, C]`.
        log_gain: natural log of the power gain, `[N, F]`, N = 1 + T // hop.
        frames: its axes.

    Returns:
        float32 `[T, 1]`.
    """
    gain_db = np.clip(10.0 / np.log(10.0) * frames.to_bins(log_gain), *GAIN_RANGE)
    spectrum = dsp.stft(jnp.asarray(to_channels(audio, 1)[:, 0]), frames.size, frames.hop)
    changed = spectrum * jnp.asarray(10.0 ** (gain_db / 20.0), jnp.float32)
    return np.asarray(dsp.istft(changed, frames.hop, len(audio)))[:, None]


def from_log_mel(log_mel: np.ndarray, frames: MelFrames) -> np.ndarray:
    """A sound with about this natural log mel power `[N, F]` (a full-scale sine at 0), by Griffin-Lim from a fixed
    random phase; float32 `[T, 1]`, T = (N - 1) * hop."""
    magnitude = np.exp(0.5 * frames.to_bins(log_mel)) * frames.size / 4.0
    length = (len(log_mel) - 1) * frames.hop
    signal = griffin_lim(
        jnp.asarray(magnitude[None], jnp.float32), jax.random.key(0)[None],
        hop=frames.hop, num_samples=length, num_iterations=NUM_ITERATIONS,
    )  # fmt: skip
    return np.asarray(signal)[0, :, None]
