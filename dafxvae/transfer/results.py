"""Options and results of a transfer."""

import html
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dafxvae.core.errors import UserError
from dafxvae.core.optional import load
from dafxvae.effects.chain import Chain
from dafxvae.reporting.player import PlayerClip
from dafxvae.transfer import prediction, recordings, rendering
from dafxvae.transfer.amount import AMOUNTS
from dafxvae.transfer.document import LONGEST_TAIL_SEC
from dafxvae.transfer.fit import Fit
from dafxvae.transfer.report import page


@dataclass(frozen=True)
class Options:
    """What a transfer is asked for.

    Attributes:
        amount: 0 leaves the style alone, 1 is the reference's, up to 1.5.
        locks: parameter name to value in physical units (or a choice's label), held as it is.
        match_level: "on": the output gets the integrated loudness of the reference; "off": that of the input; "none":
            what the chain gives.
        refine: renders that a search for better settings may cost; 0 for none.
        max_tail_sec: how long a reverb may ring on after the input's end.
        ceiling_db: true peak that the output does not exceed, dBTP; it is turned down where it would. None for none.
        only_if_better: the output is the input itself, to the bit, where its render is further from the reference in
            what the effect is for.
    """

    amount: float = 1.0
    locks: Mapping[str, Any] = field(default_factory=dict)
    match_level: str = "on"
    refine: int = 0
    max_tail_sec: float = 10.0
    ceiling_db: float | None = -1.0
    only_if_better: bool = False

    def __post_init__(self) -> None:
        for name in ("amount", "refine", "max_tail_sec", "ceiling_db"):
            kind = numbers.Integral if name == "refine" else numbers.Real
            if not isinstance(getattr(self, name), kind) and (name, getattr(self, name)) != ("ceiling_db", None):
                raise UserError(f"{name} {getattr(self, name)!r}: give a number{' of renders' * (name == 'refine')}")
        if not isinstance(self.locks, Mapping):
            raise UserError(f"locks {self.locks!r}: give a mapping of names to values")
        if not AMOUNTS[0] <= self.amount <= AMOUNTS[1]:
            low, high = AMOUNTS
            raise UserError(f"amount {self.amount:g}: give {low:g} (leave alone) to {high:g}; 1 is the reference")
        if self.match_level not in rendering.LEVELS:
            raise UserError(f"match_level {self.match_level!r}: give one of {', '.join(rendering.LEVELS)}")
        if self.refine < 0:
            raise UserError(f"refine {self.refine}: give a number of renders, 0 for none")
        if not 0.0 <= self.max_tail_sec <= LONGEST_TAIL_SEC:
            raise UserError(f"max_tail {self.max_tail_sec:g}: give 0 to {LONGEST_TAIL_SEC:g} seconds")
        if self.ceiling_db is not None and not -30.0 <= self.ceiling_db <= 0.0:
            raise UserError(f"ceiling {self.ceiling_db:g}: give -30 to 0 dBTP, or none")


@dataclass(frozen=True)
class Outcome:
    """A transfer before it is written or handed over."""

    match: prediction.FoundSettings
    rendered: rendering.Rendered
    level: rendering.Level
    source_scan: recordings.Scan
    reference_scans: list[recordings.Scan]
    notes: tuple[str, ...]
    fit: Fit  # of the render, even where the take is kept
    kept_take: bool  # `rendered` holds the input itself
    moves_db: np.ndarray | None  # [K] how much each parameter can move the sound; None for plugins

    def played(self, chain: Chain) -> tuple[Chain, np.ndarray]:
        """The effects that made the output, and their settings `[K]`; none where the take is kept."""
        return (Chain(()), self.match.unit_params[:0]) if self.kept_take else (chain, self.match.unit_params)


@dataclass(frozen=True)
class Transfer:
    """The result of `StyleTransfer.transfer`."""

    audio: np.ndarray  # float32 [T, C] (or [T], as the input was), the tail included
    sample_rate: int  # Hz, of the input
    settings: dict[str, Any]  # parameter name to value in physical units, or label
    unit_params: np.ndarray  # float32 [K] in [0, 1], the same settings
    gain_db: float  # of the level, after the effect
    snippet: str  # a script of pedalboard and soundfile that gives the same samples
    predicted: dict[str, Any] | None  # by the controller, before locks and refinement
    refined: dict[str, Any] | None  # distances before and after the search, renders
    notes: tuple[str, ...]  # what a user should know: clipped input, level above full scale
    fit: Fit  # of the render, even where the take is kept
    kept_take: bool  # `audio` is the input itself; the settings were not used
    moves_db: dict[str, float] | None  # how much each parameter alone can move the sound; None for plugins
    document: dict[str, Any] = field(repr=False)  # what its page says
    clips: list[PlayerClip] = field(repr=False)  # what its page plays: excerpts of input, reference and output

    def page(self) -> str:
        """One HTML file to listen and compare, as `--page` writes it."""
        return page(self.document, self.clips)

    def show(self) -> None:
        """Shows the page in a notebook; it is stored with it, some MB.

        Raises:
            UserError: there is no IPython.
        """
        display = load("IPython.display", "IPython", "dev")
        frame = f'<iframe srcdoc="{html.escape(self.page())}" style="width:100%;height:56rem;border:0"></iframe>'
        display.display(display.HTML(f"<div>{frame}</div>"))
