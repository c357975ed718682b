"""What pairs need of a bank of effects: `dafxvae.effects.bank.EffectBank`, or a toy in tests."""

from typing import Any, Protocol

import numpy as np


class Bank(Protocol):
    """Effects behind one interface."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def num_params(self) -> int: ...

    @property
    def failures(self) -> Any: ...

    @property
    def num_units(self) -> int: ...

    @property
    def members(self) -> tuple[tuple[int, ...], ...]: ...

    def columns(self, index: int) -> np.ndarray: ...

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def render(
        self, audio: np.ndarray, effect: np.ndarray, unit_params: np.ndarray, sample_rate: int
    ) -> np.ndarray: ...
