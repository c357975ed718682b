"""Signal processing on the device: pure jnp, any leading axes, safe gradients at silence."""

import jax.numpy as jnp
import numpy as np
from jax import Array

FLOOR_DB = -100.0  # of levels, re full scale
STFT_FLOOR = 1e-8  # lower bound of |STFT|^2, inside the square root (auraloss, DeepAFx-ST)


def frame(signal: Array, size: int, hop: int) -> Array:
    """Overlapping frames, by slices of whole hops (no gather).

    Args:
        signal: `[..., T]`.
        size: frame length in samples, a multiple of `hop`.
        hop: distance of two frames in samples.

    Returns:
        `[..., N, size]` with N = 1 + (T - size) // hop.

    Raises:
        ValueError: `hop` does not divide `size`, or the signal is shorter than one frame.
    """
    if size % hop:
        raise ValueError(f"frame: hop {hop} must divide size {size}")
    num_frames = 1 + (signal.shape[-1] - size) // hop
    if num_frames < 1:
        raise ValueError(f"frame: {signal.shape[-1]} samples are shorter than one frame of {size}")
    overlap = size // hop
    blocks = signal[..., : (num_frames + overlap - 1) * hop].reshape(*signal.shape[:-1], num_frames + overlap - 1, hop)
    return jnp.concatenate([blocks[..., i : i + num_frames, :] for i in range(overlap)], axis=-1)


def hann_window(size: int) -> np.ndarray:
    """Periodic Hann window of `size` samples, float32."""
    return np.hanning(size + 1)[:-1].astype(np.float32)


def stft(signal: Array, size: int, hop: int) -> Array:
    """Complex STFT with a periodic Hann window of the full size, frames centred, edges reflected (as torch.stft).

    Args:
        signal: `[..., T]`, T > size // 2.
        size: window and FFT length in samples.
        hop: in samples, divides `size`.

    Returns:
        complex64 `[..., N, size // 2 + 1]`, N = 1 + T // hop.

    Raises:
        ValueError: the signal is too short to be reflected, or `hop` does not divide `size`.
    """
    if signal.shape[-1] <= size // 2:
        raise ValueError(f"stft: {signal.shape[-1]} samples, a window of {size} needs over {size // 2}")
    edges = [(0, 0)] * (signal.ndim - 1) + [(size // 2, size // 2)]
    frames = frame(jnp.pad(signal, edges, mode="reflect"), size, hop)
    return jnp.fft.rfft(frames * jnp.asarray(hann_window(size)).reshape((1,) * (frames.ndim - 1) + (size,)))


def overlap_add(frames: Array, hop: int) -> Array:
    """The adjoint of `frame`: frames summed where they overlap, by shifted blocks of whole hops (no scatter).

    Args:
        frames: `[..., N, size]`, `size` a multiple of `hop`.
        hop: in samples.

    Returns:
        `[..., (N - 1) * hop + size]`.
    """
    *leading, num_frames, size = frames.shape
    overlap = size // hop
    blocks = frames.reshape(*leading, num_frames, overlap, hop)
    none = [(0, 0)] * len(leading)
    total = sum(
        jnp.pad(blocks[..., i, :], [*none, (i, overlap - 1 - i), (0, 0)]) for i in range(overlap)
    )  # [..., N + overlap - 1, hop]
    return jnp.reshape(total, (*leading, -1))


def istft(spectrum: Array, hop: int, num_samples: int) -> Array:
    """The signal whose `stft` is closest to a spectrum in least squares (Griffin & Lim 1984, eq. 6).

    The sum of windowed frames is divided by the sum of squared windows, so that `istft(stft(x)) == x`.

    Args:
        spectrum: complex `[..., N, F]`; the window has 2 (F - 1) samples, as in `stft`.
        hop: in samples, divides the window into two parts or more (the window is zero at its edge).
        num_samples: T, with N = 1 + T // hop.

    Returns:
        float32 `[..., T]`.

    Raises:
        ValueError: a hop that leaves samples without a window, or a length that does not belong to N frames.
    """
    num_frames, size = spectrum.shape[-2], 2 * (spectrum.shape[-1] - 1)
    if size % hop or size < 2 * hop:
        raise ValueError(f"istft: hop {hop} must divide the window of {size} into two parts or more")
    if num_frames != 1 + num_samples // hop:
        raise ValueError(f"istft: {num_samples} samples at hop {hop} have {1 + num_samples // hop}, not {num_frames}")
    window = hann_window(size)
    frames = jnp.fft.irfft(spectrum) * jnp.asarray(window).reshape((1,) * (spectrum.ndim - 1) + (size,))
    weight = np.zeros((num_frames - 1) * hop + size, np.float32)
    for start in range(0, num_frames * hop, hop):
        weight[start : start + size] += window**2
    inside = slice(size // 2, size // 2 + num_samples)  # every sample here has a window that is not zero
    scale = (1.0 / weight[inside]).reshape((1,) * (spectrum.ndim - 2) + (num_samples,))
    return overlap_add(frames, hop)[..., inside] * jnp.asarray(scale)


def power_spectrogram(signal: Array, size: int, hop: int) -> Array:
    """|STFT|^2 of `stft`, `[..., N, size // 2 + 1]`."""
    spectrum = stft(signal, size, hop)
    return spectrum.real**2 + spectrum.imag**2


def magnitude_spectrogram(signal: Array, size: int, hop: int) -> Array:
    """sqrt(max(|STFT|^2, 1e-8)), `[..., N, size // 2 + 1]`; zero gradient below the floor."""
    return jnp.sqrt(jnp.maximum(power_spectrogram(signal, size, hop), STFT_FLOOR))


def rms_db(audio: Array) -> Array:
    """Root mean square over time and channels in dB re full scale, not below `FLOOR_DB`; `[B, T, C] -> [B]`."""
    power = jnp.mean(audio**2, axis=(-2, -1))
    return 10.0 * jnp.log10(power + 10.0 ** (FLOOR_DB / 10.0))


def peak_db(audio: Array) -> Array:
    """Greatest absolute sample in dB re full scale, not below `FLOOR_DB`; `[B, T, C] -> [B]`."""
    return 20.0 * jnp.log10(jnp.max(jnp.abs(audio), axis=(-2, -1)) + 10.0 ** (FLOOR_DB / 20.0))


def crest_db(audio: Array) -> Array:
    """Crest factor, peak over RMS, in dB; `[B, T, C] -> [B]`."""
    return peak_db(audio) - rms_db(audio)
