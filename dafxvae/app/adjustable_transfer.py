"""A finished transfer whose settings can be turned: its section, played again at once, and its files."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from dafxvae.audio.io import AudioReader, audio_writer
from dafxvae.core.errors import UserError
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.response import HEARD_DB
from dafxvae.reporting.player import PlayerClip, chart_data, clip_data, player_data
from dafxvae.transfer import recordings, rendering, windows
from dafxvae.transfer.amount import AMOUNTS, EXCERPT_SEC, nearest_neutral, settings_at
from dafxvae.transfer.api import StyleTransfer
from dafxvae.transfer.aspects import locked_values
from dafxvae.transfer.commands import write_files
from dafxvae.transfer.fit import measure_fit
from dafxvae.transfer.results import Options

SECTION_SEC = 30.0


class Adjustment(NamedTuple):
    """Settings and level that a visitor asks for."""

    values: Mapping[str, Any]  # name to physical value or label
    match_level: str = "on"
    amount: float | None = None  # moves what is not locked to this amount of the transfer's settings
    locks: Sequence[str] = ()


class AdjustableTransfer:
    """One transfer and what it can still become."""

    def __init__(
        self,
        transfer: StyleTransfer,
        controller: str | None,
        take: AudioReader,
        references: Sequence[AudioReader],
        options: Options,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Transfers the whole take, and keeps its most active section at hand.

        Raises:
            UserError, EffectError: see `StyleTransfer.run`.
        """
        self._transfer, self._controller, self._options = transfer, controller, options
        self._take, self._references = take, list(references)
        outcome = transfer.run(take, references, options, say=say, progress=progress)
        outcome.rendered.close()
        self._outcome = outcome
        self._start, count = windows.excerpt(take, outcome.source_scan, SECTION_SEC)
        section = recordings.ArrayRecording(take.read(self._start, count), take.sample_rate, take.path.name)
        self._section = section
        self._scans = [recordings.scan(one) for one in references]
        self._take_loudness = recordings.scan(take).loudness
        played = transfer.play(section, outcome.match.unit_params, 0.0)
        with closing(played):
            # The section is louder than the whole by as much: with it, a part gets the gain of the whole.
            self._above = played.scan.loudness - outcome.rendered.scan.loudness
        self._neutral: dict[bytes, np.ndarray] = {}  # by what is locked, and where
        self._clips: dict[str, PlayerClip] = {}

    def close(self) -> None:
        """Ends the effect where no other visitor shares it."""
        if self._controller is None:
            self._transfer.close()

    @property
    def space(self) -> ParameterSpace:
        """Of the parameters."""
        return self._transfer.host.parameters

    def first(self) -> dict[str, Any]:
        """All that the page shows of it: player, parameters, fit."""
        outcome, reference = self._outcome, self._references[0]
        start, count = windows.excerpt(reference, outcome.reference_scans[0], SECTION_SEC)
        rate = reference.sample_rate
        self._clips = {
            "take": PlayerClip("take", "Take", self._section.audio, self._section.sample_rate),
            "reference": PlayerClip("reference", "Reference", reference.read(start, count), rate),
        }
        values = self.space.describe(outcome.match.unit_params)
        played = self.play(Adjustment(values, self._options.match_level))
        return {
            "player": player_data(list(self._clips.values())),
            "parameters": self._parameters(),
            "values": values,
            "gain_db": played["gain_db"],
            "effect": self._transfer.host.name,
            "fit": outcome.fit.sentence,
            "notes": list(outcome.notes),
            "locks": list(outcome.match.locked),
            "amounts": AMOUNTS,
        }

    def _parameters(self) -> list[dict[str, Any]]:
        found = []
        names = ("name", "unit", "minimum", "maximum", "scale", "kind", "labels", "num_values")
        moves_db = self._outcome.moves_db
        base = self.space.to_physical(self._outcome.match.unit_params)
        for k, parameter in enumerate(self.space):
            entry = {name: getattr(parameter, name) for name in names}
            moves = {} if moves_db is None else {"moves_db": float(moves_db[k]), "heard": bool(moves_db[k] >= HEARD_DB)}
            found.append(entry | {"found": float(base[k])} | moves)
        return found

    def _wanted(self, adjustment: Adjustment) -> np.ndarray:
        """Settings `[K]`."""
        values = self.space.from_values(adjustment.values)
        if adjustment.amount is None:
            return values
        if not AMOUNTS[0] <= adjustment.amount <= AMOUNTS[1]:
            raise UserError(f"amount {adjustment.amount:g}: give {AMOUNTS[0]:g} to {AMOUNTS[1]:g}")
        is_locked, _ = locked_values(self.space, {name: adjustment.values[name] for name in adjustment.locks})
        base = np.where(is_locked, values, self._outcome.match.unit_params).astype(np.float32)
        if adjustment.amount == 1.0:
            return base
        key = is_locked.tobytes() + base[is_locked].tobytes()
        if key not in self._neutral:
            sound = windows.read_excerpt(self._section, recordings.scan(self._section), EXCERPT_SEC)
            self._neutral[key] = nearest_neutral(self._transfer.host, base, is_locked, *sound)[0]
        return self.space.quantise(settings_at(adjustment.amount, self._neutral[key], base, self.space))

    def _level(self, match_level: str, played: rendering.Rendered) -> rendering.Level:
        """The gain that the section would have as a part of the whole."""
        wanted = recordings.played_loudness(self._scans) if match_level == "on" else self._take_loudness
        factor = 10.0 ** ((wanted + self._above - played.scan.loudness) / 20.0) if match_level != "none" else 1.0
        return rendering.limit(
            factor if np.isfinite(factor) and factor > 0.0 else 1.0,
            played,
            [],
            self._options.ceiling_db,
            is_integer=False,
        )

    def play(self, adjustment: Adjustment) -> dict[str, Any]:
        """The section with other settings: the recording of the player, and the settings as they came to be.

        Raises:
            UserError: a value or level that cannot be.
            EffectError: the effect failed.
        """
        if adjustment.match_level not in rendering.LEVELS:
            raise UserError(f"match_level {adjustment.match_level!r}: give one of {', '.join(rendering.LEVELS)}")
        unit_params = self._wanted(adjustment)
        with closing(self._transfer.play(self._section, unit_params, 0.0)) as played:
            level = self._level(adjustment.match_level, played)
            audio = np.concatenate(list(played.chunks(level.factor)))
        clip = PlayerClip("output", "Output", audio, self._section.sample_rate)
        self._clips["output"] = clip
        values = self.space.describe(unit_params)
        return {"clip": clip_data(clip), "values": values, "gain_db": level.gain_db, "notes": level.notes}

    def charts(self) -> list[dict[str, Any]]:
        """Of what was played last."""
        return chart_data(list(self._clips.values()))

    def export(self, adjustment: Adjustment, folder: Path, progress: Callable[[int], None]) -> list[Path]:
        """The whole take with these settings: audio, settings, script, page, states of plugins.

        Raises:
            UserError, EffectError: as `play`.
        """
        unit_params = self._wanted(adjustment)
        options = replace(self._options, match_level=adjustment.match_level)
        take, outcome = self._take, self._outcome
        output = folder / f"{take.path.stem}.transfer.wav"
        with closing(self._transfer.play(take, unit_params, options.max_tail_sec, folder, progress)) as rendered:
            scans = (outcome.source_scan, self._scans)
            level = rendering.level(adjustment.match_level, *scans, rendered, options.ceiling_db, is_integer=False)
            fit = measure_fit(take, self._references, rendered, self._transfer.host.chain)
            locked = {name: self.space.describe(unit_params)[name] for name in adjustment.locks}
            match = replace(outcome.match, unit_params=unit_params, locked=locked)
            notes = (*fit.notes(False), *level.notes)
            now = replace(outcome, match=match, rendered=rendered, level=level, fit=fit, notes=notes)
            with audio_writer(
                output, take.sample_rate, take.num_channels, rendered.frames, "FLOAT", take.tags
            ) as write:
                for block in rendered.chunks(level.factor):
                    write(block)
            asked = Namespace(controller=self._controller, bit_depth="float", picture=False, page=True)
            write_files(asked, output, self._transfer, take, self._references, options, now, None, Console(quiet=True))
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
