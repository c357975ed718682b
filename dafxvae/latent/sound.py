"""From mel spectra back to sound, for the ear alone: nothing here is measured."""

import numpy as np

from dafxvae.audio import mel

GAIN_RANGE = (-60.0, 24.0)  # dB: a decoder's wildest guess must not deafen


def _stft(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    padded = np.pad(signal, size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * np.hanning(size + 1)[:-1])


def _istft(spectrum: np.ndarray, size: int, hop: int, length: int) -> np.ndarray:
    window = np.hanning(size + 1)[:-1]
    frames = np.fft.irfft(spectrum, size) * window
    out, weight = np.zeros((2, (len(frames) - 1) * hop + size))
    for i, frame in enumerate(frames):
        out[i * hop : i * hop + size] += frame
        weight[i * hop : i * hop + size] += window**2
    return (out / np.maximum(weight, 1e-3))[size // 2 :][:length]


def mel_centres_hz(num_mels: int, high_hz: float) -> np.ndarray:
    """Centres of the bands of `mel.mel_filterbank` from 20 Hz; `[num_mels]`."""
    edges_mel = np.linspace(mel.hz_to_mel(20.0), mel.hz_to_mel(high_hz), num_mels + 2)
    return (700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0))[1:-1]


def _to_bins(bands: np.ndarray, high_hz: float, size: int, sample_rate: int) -> np.ndarray:
    """Values of mel bands `[N, F]` at the bins of an FFT, by linear interpolation over frequency."""
    bins_hz = np.arange(size // 2 + 1) * sample_rate / size
    centres = mel_centres_hz(bands.shape[1], high_hz)
    return np.stack([np.interp(bins_hz, centres, row) for row in bands])


def filtered(
    audio: np.ndarray, log_gain: np.ndarray, size: int, hop: int, high_hz: float, sample_rate: int
) -> np.ndarray:
    """A recording whose mel bands are changed over time by what a decoder changed; keeps the recording's phase.

    Args:
        audio: `[T, C]`.
        log_gain: natural log of the power gain, `[N, F]`, a row for each frame of a centred STFT.
        size, hop: of that STFT in samples.
        high_hz: upper edge of the last band.
        sample_rate: in Hz.

    Returns:
        float32 `[T, 1]`.
    """
    gain_db = np.clip(10.0 / np.log(10.0) * _to_bins(log_gain, high_hz, size, sample_rate), *GAIN_RANGE)
    spectrum = _stft(audio.mean(-1), size, hop)
    count = min(len(spectrum), len(gain_db))
    out = _istft(spectrum[:count] * 10.0 ** (gain_db[:count] / 20.0), size, hop, len(audio))
    return np.pad(out, (0, len(audio) - len(out))).astype(np.float32)[:, None]


def from_log_mel(
    log_mel: np.ndarray, size: int, hop: int, high_hz: float, sample_rate: int, rounds: int = 24
) -> np.ndarray:
    """A sound with about these mel spectra, by Griffin and Lim's iteration (1984) from a fixed random phase.

    Args:
        log_mel: natural log power `[N, F]`, a full-scale sine at 0.
        size, hop: of the STFT in samples.
        high_hz: upper edge of the last band.
        sample_rate: in Hz.
        rounds: of the iteration.

    Returns:
        float32 `[T, 1]`, T = (N - 1) * hop.
    """
    magnitude = np.exp(0.5 * _to_bins(log_mel, high_hz, size, sample_rate)) * size / 4.0
    length = (len(log_mel) - 1) * hop
    phase = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitude.shape))
    signal = _istft(magnitude * phase, size, hop, length)
    for _ in range(rounds):
        phase = np.exp(1j * np.angle(_stft(signal, size, hop)[: len(magnitude)]))
        signal = _istft(magnitude * phase, size, hop, length)
    return signal.astype(np.float32)[:, None]
