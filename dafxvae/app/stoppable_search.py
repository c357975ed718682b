"""The search for settings, which ends where a visitor stops it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dafxvae.transfer import refinement


class StoppableSearch:
    """A `Refiner` that asks before every comparison whether to go on."""

    refine = staticmethod(refinement.refine)

    def __init__(self, go_on: Callable[[], None]) -> None:
        """Takes what raises where it is not to."""
        self._go_on = go_on

    def make_style_distance(self, *given: Any) -> Callable[[np.ndarray], np.ndarray]:
        """See `dafxvae.transfer.refinement.make_style_distance`."""
        distance = refinement.make_style_distance(*given)

        def asked(audio: np.ndarray) -> np.ndarray:
            self._go_on()
            return distance(audio)

        return asked
