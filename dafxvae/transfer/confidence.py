"""Confidence in a prediction: is the reference like what f and g know, and do the settings differ from average ones?"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dafxvae.controllers.controller import Controller  # imports jax, which checking options does not need


class Confidence(NamedTuple):
    """Of one prediction; None where the controller, or its f and g, stored nothing to judge it by."""

    strangeness: float | None = None  # of the references: above 1 they are unlike anything f and g know
    from_average: float | None = None  # of the predicted settings, in deviations over the training pairs
    near: float | None = None  # below which they count as nearly the average ones

    @property
    def sentence(self) -> str:
        """The numbers in plain English; empty where there are none."""
        parts = []
        if self.from_average is not None:
            parts.append(f"{self.from_average:.2f} deviations from the controller's average settings")
        if self.strangeness is not None:
            parts.append(f"the reference at {self.strangeness:.2f} of the distance beyond which one is strange")
        return ", ".join(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        found = []
        if self.strangeness is not None and self.strangeness > 1.0:
            found.append(
                f"this reference is unlike anything f and g know ({self.strangeness:.2f} times as far from it as 98 "
                "in 100 other recordings are at most): the settings are a guess"
            )
        if self.from_average is not None and self.near is not None and self.from_average < self.near:
            found.append(
                "this controller found little here: the predicted settings are nearly its average ones "
                f"({self.from_average:.2f} deviations away; of its training pairs 1 in 20 is below {self.near:.2f})"
            )
        return tuple(found)


UNKNOWN = Confidence()


def confidence_of(controller: "Controller", unit_params: np.ndarray, encodings: np.ndarray) -> Confidence:
    """Judges a prediction.

    Args:
        controller: that predicted.
        unit_params: its settings, `[K]`.
        encodings: of the references by its f, `[W, E + X]`.
    """
    from dafxvae.controllers.familiar import standardised  # imports jax

    familiar, experience = controller.familiar, controller.experience
    strangeness = None if familiar is None else familiar.strangeness(standardised(controller.encoders, encodings))
    if experience is None:
        return Confidence(strangeness)
    return Confidence(strangeness, experience.spread(unit_params), float(experience.near[0]))
