"""Smaller amounts of an effect, where all of it takes the spectrum further from the reference than the input's is."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from dafxvae.transfer.fit import SPECTRUM, Fit
from dafxvae.transfer.prediction import FoundSettings
from dafxvae.transfer.rendering import Rendered
from dafxvae.transfer.results import Options

WEAKER_AMOUNTS = (0.5, 0.25)  # tried in turn while the spectrum is further away
WEAKER_NOTE = "the amount is {:g}: all of it takes the spectrum further from the reference (--amount 1 does)"


def play_fitting(
    match: FoundSettings,
    options: Options,
    play: Callable[[np.ndarray], Rendered],
    measure: Callable[..., Fit],
) -> tuple[FoundSettings, Rendered, Fit]:
    """The render and its fit; without an asked amount at weaker ones while its spectrum is further than the take's."""
    measure = partial(measure, counted=options.counted)
    rendered = play(match.unit_params)
    fit = measure(rendered=rendered)
    for amount in WEAKER_AMOUNTS if options.amount is None and not options.amount_of else ():
        if match.at_amount is None or SPECTRUM not in fit.worse:
            break
        less = match.at_amount(amount)
        if np.array_equal(less.unit_params, match.unit_params):  # all is locked, or the reference is the input
            break
        rendered.close()
        match = replace(less, notes=(WEAKER_NOTE.format(amount), *less.notes), at_amount=match.at_amount)
        rendered = play(match.unit_params)
        fit = measure(rendered=rendered)
    return match, rendered, fit
