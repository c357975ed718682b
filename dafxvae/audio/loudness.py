"""Integrated loudness of streams and clips, ITU-R BS.1770-4: K-weighting with filter state, gated blocks of 400 ms."""

import numpy as np

HOP_SEC = 0.1  # a block of 400 ms begins every 100 ms
HOPS_PER_BLOCK = 4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET = -0.691
DUAL_MONO_LU = 10.0 * np.log10(2.0)  # mono is played by both loudspeakers


def k_weighting(sample_rate: int) -> np.ndarray:
    """The two biquads of the standard at any rate, `[2, 6]` as scipy.signal takes them.

    The standard gives coefficients for 48 kHz; these are of the analogue filters behind them (Mansbridge et al. 2012,
    "Implementation and Evaluation of Autonomous Multi-Track Fader Control"), equal to them at 48 kHz to 1e-9.
    """
    k = np.tan(np.pi * 1681.974450955533 / sample_rate)
    high, q = 10.0 ** (3.999843853973347 / 20.0), 0.7071752369554196
    band = high**0.4996667741545416
    a0 = 1.0 + k / q + k * k
    shelf_b = [(high + band * k / q + k * k) / a0, 2.0 * (k * k - high) / a0, (high - band * k / q + k * k) / a0]
    shelf = [*shelf_b, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0]
    k, q = np.tan(np.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    a0 = 1.0 + k / q + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0]])


class LoudnessMeter:
    """Collects the power of a stream's blocks."""

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        """Starts a measurement.

        Args:
            sample_rate: Hz.
            num_channels: 1 or 2, each of weight 1.
        """
        self.hop = round(HOP_SEC * sample_rate)
        self._sections = k_weighting(sample_rate)
        self._state = np.zeros((2, num_channels, 2))
        self._hops: list[np.ndarray] = []  # energy of each hop, channels summed
        self._rest = np.zeros(0)  # weighted squares of an unfinished hop, channels summed

    def feed(self, audio: np.ndarray) -> None:
        """The next samples, float `[T, C]`, finite."""
        if not len(audio):
            return
        from scipy.signal import sosfilt  # slow to import, and needed here alone

        weighted, self._state = sosfilt(self._sections, audio.T, axis=-1, zi=self._state)
        squares = np.concatenate([self._rest, np.einsum("ct,ct->t", weighted, weighted)])
        count = len(squares) // self.hop
        self._hops.append(squares[: count * self.hop].reshape(count, self.hop).sum(axis=1))
        self._rest = squares[count * self.hop :].copy()

    def blocks(self, num_samples: int | None = None) -> np.ndarray:
        """Mean power of every block, channels summed; `[N]`, empty below 400 ms.

        Args:
            num_samples: of the beginning; None for all so far.
        """
        hops = np.concatenate([np.zeros(0), *self._hops])
        if num_samples is not None:
            hops = hops[: num_samples // self.hop]
        if len(hops) < HOPS_PER_BLOCK:
            return np.zeros(0)
        windows = np.lib.stride_tricks.sliding_window_view(hops, HOPS_PER_BLOCK)
        return windows.sum(axis=1) / (HOPS_PER_BLOCK * self.hop)


def integrated_loudness(blocks: np.ndarray) -> float:
    """Gated loudness in LUFS of blocks, which may come from several recordings; -inf where all of it is gated.

    Args:
        blocks: mean powers `[N]`, of `LoudnessMeter.blocks`.
    """
    with np.errstate(divide="ignore"):
        levels = OFFSET + 10.0 * np.log10(blocks)
    is_loud = levels > ABSOLUTE_GATE_LUFS
    if not is_loud.any():
        return float("-inf")
    gate = OFFSET + 10.0 * np.log10(blocks[is_loud].mean()) + RELATIVE_GATE_LU
    return float(OFFSET + 10.0 * np.log10(blocks[is_loud & (levels > gate)].mean()))


def loudness_lufs(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Integrated loudness of clips in LUFS.

    Args:
        audio: float `[M, T, C]`, finite, one or two channels of weight 1.
        sample_rate: Hz.

    Returns:
        float64 `[M]`; -inf where all of a clip is gated (silence), nan for clips shorter than a block of 400 ms.
    """
    if audio.shape[1] < HOPS_PER_BLOCK * HOP_SEC * sample_rate:
        return np.full(len(audio), np.nan)
    found = np.empty(len(audio))
    for i, clip in enumerate(audio):
        meter = LoudnessMeter(sample_rate, clip.shape[1])
        meter.feed(clip.astype(np.float64))
        found[i] = integrated_loudness(meter.blocks())
    return found


def at_loudness(audio: np.ndarray, measured: np.ndarray, wanted: np.ndarray | float) -> np.ndarray:
    """Clips brought from their loudness to another one; those of which one of the two is not finite keep their level.

    Args:
        audio: `[M, T, C]`.
        measured: LUFS `[M]`, of `loudness_lufs`.
        wanted: LUFS, `[M]` or one for all.
    """
    with np.errstate(invalid="ignore"):
        gain_db = wanted - measured
    gain = 10.0 ** (np.where(np.isfinite(gain_db), gain_db, 0.0) / 20.0)
    return audio * gain.astype(np.float32)[:, None, None]
