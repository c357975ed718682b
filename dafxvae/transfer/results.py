"""Options and results of a transfer."""

import html
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.optional import load
from dafxvae.effects.chain import Chain
from dafxvae.effects.kinds import KINDS
from dafxvae.reporting.player import PlayerClip
from dafxvae.transfer import recordings, rendering
from dafxvae.transfer.amount import AMOUNTS
from dafxvae.transfer.aspects import check_aspects, locked_values
from dafxvae.transfer.document import LONGEST_TAIL_SEC, outcome_document
from dafxvae.transfer.fit import Fit
from dafxvae.transfer.report import listening_clips, page
from dafxvae.transfer.snippet import snippet

T = TypeVar("T")
MOST_WEIGHT = 10
HIGHEST_EQ_DB = 60.0

if TYPE_CHECKING:
    from dafxvae.transfer.prediction import FoundSettings  # imports jax, which checking options does not need


@dataclass(frozen=True)
class Options:
    """What a transfer is asked for.

    Attributes:
        amount: 0 leaves the style alone, 1 is the reference's, up to 1.5. None: 1, and less where that would take the
            long-term spectrum further from the reference than the input's, which the effect is there to change.
        locks: parameter name to value in physical units (or a choice's label), held as it is.
        match_level: "on": the output gets the integrated loudness of the reference; "off": that of the input; "none":
            what the chain gives.
        refine: renders that a search for better settings may cost; 0 for none.
        max_tail_sec: how long a reverb may ring on after the input's end.
        ceiling_db: true peak that the output does not exceed, dBTP; it is turned down where it would. None for none.
        only_if_better: the output is the input itself, to the bit, where its render is further from the reference in
            what the effect is for.
        amount_of: amounts of single effects of the chain, by name (`Compressor`, the second one `Compressor2`) or by
            number from 1 on; `amount` is that of the others.
        only: kinds (`dafxvae.effects.kinds`): effects of others leave the input alone. None of them for all.
        weights: how often each reference counts; none of them for once each.
        aspects: for what each reference is given: effects of one kind, whose settings and fit are by it alone (and the
            level, for "level"), or "" for all that no other one is given for; none of them for all.
        max_eq_db: filters raise and lower by no more; None for no bound.
        stereo: a mono input becomes a stereo output.
        audibility: how much each setting can move the sound is measured.
    """

    amount: float | None = None
    locks: Mapping[str, Any] = field(default_factory=dict)
    match_level: str = "on"
    refine: int = 0
    max_tail_sec: float = 10.0
    ceiling_db: float | None = -1.0
    only_if_better: bool = False
    amount_of: Mapping[str | int, float] = field(default_factory=dict)
    only: Sequence[str] = ()
    weights: Sequence[int] = ()
    aspects: Sequence[str] = ()
    max_eq_db: float | None = None
    stereo: bool = False
    audibility: bool = True

    def __post_init__(self) -> None:
        for name in ("amount", "refine", "max_tail_sec", "ceiling_db", "max_eq_db"):
            kind = numbers.Integral if name == "refine" else numbers.Real
            is_none = name in ("amount", "ceiling_db", "max_eq_db") and getattr(self, name) is None
            if not isinstance(getattr(self, name), kind) and not is_none:
                raise UserError(f"{name} {getattr(self, name)!r}: give a number{' of renders' * (name == 'refine')}")
        for name in ("only_if_better", "stereo", "audibility"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise UserError(f"{name} {getattr(self, name)!r}: give True or False")
        for name in ("locks", "amount_of"):
            if not isinstance(getattr(self, name), Mapping):
                raise UserError(f"{name} {getattr(self, name)!r}: give a mapping of names to values")
        low, high = AMOUNTS
        for name, amount in {
            "amount": self.first_amount,
            **{f"amount_of {k}": v for k, v in self.amount_of.items()},
        }.items():
            if not isinstance(amount, numbers.Real) or not low <= amount <= high:
                said = f"{amount:g}" if isinstance(amount, numbers.Real) else repr(amount)
                raise UserError(f"{name} {said}: give {low:g} (leave alone) to {high:g}; 1 is the reference")
        for name in ("only", "weights", "aspects"):
            if not isinstance(getattr(self, name), list | tuple):
                raise UserError(f"{name} {getattr(self, name)!r}: give a list")
        for kind in self.needed_kinds:
            if kind not in KINDS:
                raise unknown_name("kind of effect", str(kind), KINDS)
        if any(self.aspects) and self.refine:
            raise UserError("a reference for one kind of effect and refine: the search has one goal; leave one out")
        if self.only and self.aspects and not {*self.only} & {*self.wanted_kinds}:
            raise UserError(f"only {', '.join(self.only)}: no reference is given for it")
        for weight in self.weights:
            if not isinstance(weight, numbers.Integral) or isinstance(weight, bool) or not 1 <= weight <= MOST_WEIGHT:
                raise UserError(f"weight {weight!r}: give a whole number, 1 to {MOST_WEIGHT}, as often as it counts")
        if self.max_eq_db is not None and not 0.0 <= self.max_eq_db <= HIGHEST_EQ_DB:
            raise UserError(f"max_eq {self.max_eq_db:g}: give 0 to {HIGHEST_EQ_DB:g} dB")
        if self.match_level not in rendering.LEVELS:
            raise UserError(f"match_level {self.match_level!r}: give one of {', '.join(rendering.LEVELS)}")
        if self.refine < 0:
            raise UserError(f"refine {self.refine}: give a number of renders, 0 for none")
        if not 0.0 <= self.max_tail_sec <= LONGEST_TAIL_SEC:
            raise UserError(f"max_tail {self.max_tail_sec:g}: give 0 to {LONGEST_TAIL_SEC:g} seconds")
        if self.ceiling_db is not None and not -30.0 <= self.ceiling_db <= 0.0:
            raise UserError(f"ceiling {self.ceiling_db:g}: give -30 to 0 dBTP, or none")

    @property
    def first_amount(self) -> float:
        """The amount that is tried first."""
        return 1.0 if self.amount is None else self.amount

    @property
    def asks_for_amounts(self) -> bool:
        """Whether anything but the prediction as it is is wanted."""
        return self.first_amount != 1.0 or bool(self.amount_of) or bool(self.wanted_kinds)

    @property
    def needed_kinds(self) -> tuple[str, ...]:
        """Kinds of effects that the chain must have, or a controller that is chosen."""
        return (*self.only, *(aspect for aspect in self.aspects if aspect != ""))

    @property
    def wanted_kinds(self) -> tuple[str, ...]:
        """Kinds of effects that do not leave the input alone; none of them for all."""
        if not self.aspects or "" in self.aspects:
            return tuple(self.only)
        return tuple(kind for kind in dict.fromkeys(self.aspects) if not self.only or kind in self.only)

    def check(self, chain: Chain, source: recordings.Recording, references: Sequence[recordings.Recording]) -> None:
        """Refuses what cannot be transferred, before anything that takes time.

        Raises:
            UserError: a recording that cannot be used, or what the chain does not have.
        """
        if not references:
            raise UserError("no reference: give at least one recording whose style is wanted")
        for one in (source, *references):
            recordings.check_header(one)
        locked_values(chain.parameters, self.locks)
        check_aspects(chain, self.amount_of, self.needed_kinds)

    def weights_of(self, count: int) -> list[int]:
        """How often each of `count` references counts.

        Raises:
            UserError: there are not as many weights.
        """
        if len(self.weights) not in (0, count):
            raise UserError(f"{len(self.weights)} weights and {count} references: give one weight for each")
        return [int(weight) for weight in self.weights] or [1] * count

    def aspects_of(self, count: int) -> list[str]:
        """For what each of `count` references is given.

        Raises:
            UserError: there are not as many aspects.
        """
        if len(self.aspects) not in (0, count):
            raise UserError(f"{len(self.aspects)} aspects and {count} references: give one aspect for each")
        return list(self.aspects) or [""] * count

    def grouped(self, references: Sequence[T]) -> dict[str, list[T]]:
        """References, or what was found of each, by what they are given for; each as often as it counts.

        Raises:
            UserError: there are not as many weights or aspects.
        """
        groups: dict[str, list[T]] = {}
        count = len(references)
        for one, weight, aspect in zip(references, self.weights_of(count), self.aspects_of(count)):
            groups.setdefault(aspect, []).extend([one] * weight)
        return groups

    def counted(self, references: Sequence[T], kind: str) -> list[T]:
        """Of `grouped`, those that count in what effects of a kind change.

        They are those that are given for it; without any, those for all; without any of these either, every one.
        """
        groups = self.grouped(references)
        return groups.get(kind) or groups.get("") or [one for group in groups.values() for one in group]

    def check_controller(self, controller: Any) -> None:
        """Raises UserError where what is asked for needs a controller, and there is none."""
        if controller is None and any(self.aspects):
            raise UserError("a reference for one kind of effect needs a controller: name one, or leave the kind out")


class Compared(NamedTuple):
    """The windows of a recording that were compared."""

    num_windows: int
    loudness: float  # LUFS of them together, as played; -inf where they have none
    weight: int
    aspect: str  # as of `Options`

    @classmethod
    def of(cls, sample_rate: int, found: np.ndarray, weight: int, aspect: str) -> "Compared":
        """What there is to say of windows `[W, T, C]`."""
        whole = recordings.ArrayRecording(found.reshape(-1, found.shape[2]), sample_rate, "the windows")
        return cls(len(found), recordings.scan(whole).loudness, weight, aspect)


@dataclass(frozen=True)
class Outcome:
    """A transfer before it is written or handed over."""

    match: "FoundSettings"
    rendered: rendering.Rendered
    level: rendering.Level
    source_scan: recordings.Scan
    reference_scans: list[recordings.Scan]
    notes: tuple[str, ...]
    fit: Fit  # of the render, even where the take is kept
    kept_take: bool  # `rendered` holds the input itself
    moves_db: np.ndarray | None  # [K] how much each parameter can move the sound; None for plugins
    compared: list[Compared]  # input, references

    def played(self, chain: Chain) -> tuple[Chain, np.ndarray]:
        """The effects that made the output, and their settings `[K]`; none where the take is kept."""
        return (Chain(()), self.match.unit_params[:0]) if self.kept_take else (chain, self.match.unit_params)

    def script(self, chain: Chain, source: recordings.Recording, max_tail_sec: float, **files: Any) -> str:
        """The script that renders the output again; `files` are the names and the encoding that `snippet` takes."""
        return snippet(
            *self.played(chain),
            source.sample_rate,
            self.rendered.num_channels,
            in_stereo=self.rendered.num_channels != source.num_channels,
            factor=self.level.factor,
            frames=self.rendered.frames,
            end=source.frames + round(max_tail_sec * source.sample_rate),
            **files,
        )

    def page_parts(
        self,
        chain: Chain,
        source: recordings.Recording,
        references: Sequence[recordings.Recording],
        output: np.ndarray,
    ) -> tuple[dict[str, Any], list[PlayerClip]]:
        """What the page of a transfer says and plays."""
        document = {
            **outcome_document(chain, self),
            "input": {"file": source.name},
            "references": [{"file": one.name} for one in references],
        }
        played = recordings.ArrayRecording(output, source.sample_rate, "the output")
        return document, self.listening_clips(source, references, played)

    def listening_clips(
        self, source: recordings.Recording, references: Sequence[recordings.Recording], output: recordings.Recording
    ) -> list[PlayerClip]:
        """What the page of a transfer plays."""
        aspects = [one.aspect for one in self.compared[1:]]
        return listening_clips(source, references, output, self.source_scan, self.reference_scans, aspects)


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
    clips: list[PlayerClip] = field(repr=False)  # what its page plays: excerpts of input, references and output

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
