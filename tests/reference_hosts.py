"""Hosts over numpy functions with exact derivatives, against which gradient estimates and searches are tested."""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from dafxvae.core.resource import Closable
from dafxvae.effects.host import FailureLog
from dafxvae.effects.parameters import Parameter, ParameterSpace


class ReferenceHost(Closable):
    """A host over plain numpy functions, with the exact Jacobian: what gradient estimators are tested against."""

    def __init__(
        self,
        name: str,
        parameters: ParameterSpace,
        function: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
        derivative: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    ) -> None:
        """Makes a host.

        Args:
            name: of the effect.
            parameters: K of them, continuous.
            function: (audio `[T, C]`, physical `[K]`, sample_rate) to `[T, C]`, float64.
            derivative: the same arguments to `[T, C, K]`, with respect to the physical values.
        """
        self.name = name
        self.parameters = parameters
        self.failures = FailureLog()
        self._function = function
        self._derivative = derivative

    def render(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render`."""
        return self.render_variants(audio, np.asarray(unit_params)[:, None], sample_rate)[:, 0]

    def render_variants(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """See `EffectHost.render_variants`."""
        audio, unit_params = np.asarray(audio), np.asarray(unit_params)
        out = np.empty((*unit_params.shape[:2], *audio.shape[1:]), np.float32)
        physical = self.parameters.to_physical(unit_params)
        for b, r in np.ndindex(*unit_params.shape[:2]):
            out[b, r] = self._function(audio[b].astype(np.float64), physical[b, r], sample_rate)
        return out

    def jacobian(self, audio: np.ndarray, unit_params: np.ndarray, sample_rate: int) -> np.ndarray:
        """The exact derivative of `render` with respect to `unit_params`.

        Args:
            audio: `[B, T, C]`.
            unit_params: `[B, K]` strictly inside (0, 1).
            sample_rate: Hz.

        Returns:
            float64 `[B, T, C, K]`.
        """
        physical = self.parameters.to_physical(unit_params)
        spans = np.array([p.maximum - p.minimum for p in self.parameters])
        ratios = np.array([p.maximum / p.minimum if p.scale == "log" else 1.0 for p in self.parameters])
        is_log = np.array([p.scale == "log" for p in self.parameters])
        chain_rule = np.where(is_log, physical * np.log(ratios), spans)  # d physical / d unit, [B, K]
        return np.stack(
            [
                self._derivative(np.asarray(audio[b], np.float64), physical[b], sample_rate) * chain_rule[b]
                for b in range(len(physical))
            ]
        )

    def close(self) -> None:
        """Holds nothing."""


DB = np.log(10.0) / 20.0  # d/dx of 10^(x/20) is DB * 10^(x/20)


def reference_gain() -> ReferenceHost:
    """`y = 10^(gain_db/20) x`."""
    space = ParameterSpace((Parameter("gain_db", "dB", -24.0, 24.0, 0.0),))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.exp(DB * params[0]) * audio

    return ReferenceHost(
        "reference_gain", space, function, lambda audio, params, rate: (DB * function(audio, params, rate))[..., None]
    )


def reference_soft_clip() -> ReferenceHost:
    """`y = 10^(level_db/20) tanh(10^(drive_db/20) x)`: two parameters, one of them nonlinear."""
    space = ParameterSpace((Parameter("drive_db", "dB", 0.0, 36.0, 12.0), Parameter("level_db", "dB", -24.0, 6.0, 0.0)))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.exp(DB * params[1]) * np.tanh(np.exp(DB * params[0]) * audio)

    def derivative(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        driven, level = np.exp(DB * params[0]) * audio, np.exp(DB * params[1])
        return DB * level * np.stack([driven / np.cosh(driven) ** 2, np.tanh(driven)], axis=-1)

    return ReferenceHost("reference_soft_clip", space, function, derivative)


def reference_one_pole() -> ReferenceHost:
    """One-pole low-pass, `y[t] = (1 - a) x[t] + a y[t-1]`, `a = exp(-2 pi cutoff_hz / sample_rate)`; log scale."""
    space = ParameterSpace((Parameter("cutoff_hz", "Hz", 50.0, 5000.0, 1000.0, scale="log"),))

    def function(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        a = np.exp(-2 * np.pi * params[0] / sample_rate)
        return np.asarray(lfilter([1 - a], [1, -a], audio, axis=0))

    def derivative(audio: np.ndarray, params: np.ndarray, sample_rate: int) -> np.ndarray:
        a = np.exp(-2 * np.pi * params[0] / sample_rate)
        y = function(audio, params, sample_rate)
        previous = np.concatenate([np.zeros_like(y[:1]), y[:-1]])
        by_a = np.asarray(lfilter([1], [1, -a], previous - audio, axis=0))  # dy/da obeys the same recursion
        return (by_a * a * (-2 * np.pi / sample_rate))[..., None]

    return ReferenceHost("reference_one_pole", space, function, derivative)
