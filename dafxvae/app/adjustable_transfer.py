"""A finished transfer whose settings can be turned: its section, played again at once, and its files."""

import re
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np
from rich.console import Console

from dafxvae.audio.io import AudioReader, audio_writer
from dafxvae.core.errors import UserError
from dafxvae.core.files import write_text
from dafxvae.effects.kinds import LEVEL
from dafxvae.effects.parameters import ParameterSpace
from dafxvae.effects.response import HEARD_DB
from dafxvae.reporting.player import ClipCurves, PlayerClip, chart_data, clip_curves, clip_data, player_data
from dafxvae.studio.found_chain import FoundChain
from dafxvae.transfer import recordings, rendering, windows
from dafxvae.transfer.amount import AMOUNTS, EXCERPT_SEC, nearest_neutral, settings_at
from dafxvae.transfer.api import StyleTransfer
from dafxvae.transfer.aspects import bound_gains, effect_place, locked_values, stage_kinds
from dafxvae.transfer.commands import write_files
from dafxvae.transfer.document import Paths, outcome_document
from dafxvae.transfer.exports.formats import EXPORTS, export_settings, parse_exports
from dafxvae.transfer.exports.material import Exported
from dafxvae.transfer.files import apply_settings
from dafxvae.transfer.fit import measure_fit
from dafxvae.transfer.ranking import Ranking
from dafxvae.transfer.report import compared_sentence, reference_clips
from dafxvae.transfer.results import Options

SECTION_SEC = 30.0
OPTION = re.compile(r" \(--[^)]*\)")  # of the command line, which a note explains


class Adjustment(NamedTuple):
    """Settings and level that a visitor asks for."""

    values: Mapping[str, Any]  # name to physical value or label
    match_level: str = "on"
    amounts: Mapping[str, float] = {}  # effect to amount: moves what is not locked of it to that of the found settings
    locks: Sequence[str] = ()


class AdjustableTransfer:
    """One transfer and what it can still become."""

    def __init__(
        self,
        transfer: StyleTransfer,
        controller: str | None,
        take: AudioReader,
        references: Sequence[AudioReader],
        scans: Sequence[recordings.Scan],
        options: Options,
        chosen: Ranking | FoundChain | None = None,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Transfers the whole take, and keeps its most active section at hand; scans are those of take and references.

        Raises:
            UserError, EffectError: see `StyleTransfer.run`.
        """
        self._transfer, self._controller, self._options, self._chosen = transfer, controller, options, chosen
        self._take, self._references = take, list(references)
        outcome = transfer.run(take, references, options, say=say, progress=progress)
        outcome.rendered.close()
        self._outcome = outcome
        self._start, count = windows.excerpt(take, outcome.source_scan, SECTION_SEC)
        section = recordings.ArrayRecording(take.read(self._start, count), take.sample_rate, take.path.name)
        self._section = section
        self._scans = options.counted(scans[1:], LEVEL)
        self._take_loudness = scans[0].loudness
        with closing(transfer.play(self._played(section), outcome.match.unit_params, 0.0)) as played:
            # The section is louder than the whole by as much: with it, a part gets the gain of the whole.
            self._above = played.scan.loudness - outcome.rendered.scan.loudness
        self._neutral: dict[tuple[int, bytes], np.ndarray] = {}  # of an effect, by what is locked, and where
        self._clips: dict[str, PlayerClip] = {}
        self._curves: dict[str, ClipCurves] = {}

    def close(self) -> None:
        """Ends the effect where no other visitor shares it."""
        if self._controller is None:
            self._transfer.close()

    @property
    def space(self) -> ParameterSpace:
        """Of the parameters."""
        return self._transfer.host.parameters

    def _played(self, recording: recordings.Recording) -> recordings.Recording:
        """As the chain gets it."""
        return recordings.as_played(recording, self._options.stereo)

    def first(self) -> dict[str, Any]:
        """All that the page shows of it: player, parameters, fit."""
        outcome = self._outcome
        aspects = self._options.aspects_of(len(self._references))
        first, *others = reference_clips(self._references, outcome.reference_scans, aspects, SECTION_SEC)
        take = PlayerClip("take", "Take", self._section.audio, self._section.sample_rate)
        self._clips = {"Take": take, "Reference": first}
        values = self.space.describe(outcome.match.unit_params)
        played = self.play(Adjustment(values, self._options.match_level))
        self._clips |= {one.label: one for one in others}  # behind the output, as on every page
        of_whole = outcome.level.notes  # the section has its own
        notes = [note for note in outcome.notes if note not in of_whole]
        notes = [*(self._chosen.notes if self._chosen else ()), *notes]
        return {
            "player": player_data(list(self._clips.values()), self._measured()),
            "parameters": self._parameters(),
            "values": values,
            "gain_db": played["gain_db"],
            "gain_notes": played["notes"],
            "effect": self._transfer.host.name,
            "fit": outcome.fit.sentence,
            "compared": compared_sentence(
                {
                    **outcome_document(self._transfer.host.chain, outcome),
                    "references": [{"file": one.path.name} for one in self._references],
                }
            ),
            "confidence": outcome.fit.confidence.sentence,
            "notes": [OPTION.sub("", note) for note in notes],
            "ranking": dict(self._chosen.shares) if isinstance(self._chosen, Ranking) else {},
            "controller": self._controller,
            "formats": {form.name: form.summary for form in EXPORTS.values()},
            "locks": list(outcome.match.locked),
            "amounts": AMOUNTS,
        }

    def _parameters(self) -> list[dict[str, Any]]:
        found = []
        names = ("name", "unit", "minimum", "maximum", "scale", "kind", "labels", "num_values")
        moves_db = self._outcome.moves_db
        base = self.space.to_physical(self._outcome.match.unit_params)
        chain = self._transfer.host.chain
        effects = np.repeat(chain.labels, np.diff(chain.offsets))
        for k, parameter in enumerate(self.space):
            entry = {name: getattr(parameter, name) for name in names} | {"effect": str(effects[k])}
            moves = {} if moves_db is None else {"moves_db": float(moves_db[k]), "heard": bool(moves_db[k] >= HEARD_DB)}
            found.append(entry | {"found": float(base[k])} | moves)
        return found

    def _wanted(self, adjustment: Adjustment) -> np.ndarray:
        """Settings `[K]`."""
        values, chain = self.space.from_values(adjustment.values), self._transfer.host.chain
        is_locked, _ = locked_values(self.space, {name: adjustment.values[name] for name in adjustment.locks})
        base = np.where(is_locked, values, self._outcome.match.unit_params).astype(np.float32)
        for name, amount in adjustment.amounts.items():
            if not AMOUNTS[0] <= amount <= AMOUNTS[1]:
                raise UserError(f"amount {amount:g}: give {AMOUNTS[0]:g} to {AMOUNTS[1]:g}")
            place = effect_place(chain, name)
            own = slice(*chain.offsets[place : place + 2])
            neutral = base if amount == 1.0 else self._neutral_of(place, own, base, is_locked)
            values[own] = settings_at(amount, neutral, base, self.space)[own]
        if not adjustment.amounts:
            return values
        max_eq_db = self._options.max_eq_db
        kinds = [] if max_eq_db is None else stage_kinds(self._transfer.host, values, self._take.sample_rate)
        locked = dict.fromkeys(adjustment.locks)
        return self.space.quantise(bound_gains(chain, values, locked, max_eq_db, kinds)[0])

    def _neutral_of(self, place: int, own: slice, base: np.ndarray, is_locked: np.ndarray) -> np.ndarray:
        """Settings `[K]` at which one effect, whose parameters are `own`, leaves the take alone."""
        key = place, is_locked[own].tobytes() + base[own][is_locked[own]].tobytes()
        if key not in self._neutral:
            section = self._played(self._section)
            sound = windows.read_excerpt(section, recordings.scan(section), EXCERPT_SEC)
            self._neutral[key] = nearest_neutral(self._transfer.host, base, is_locked, *sound, [place])[0]
        return self._neutral[key]

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
        with closing(self._transfer.play(self._played(self._section), unit_params, 0.0)) as played:
            level = self._level(adjustment.match_level, played)
            audio = np.concatenate(list(played.chunks(level.factor)))
        clip = PlayerClip("output", "Output", audio, self._section.sample_rate)
        self._clips["Output"] = clip
        self._curves.pop("Output", None)
        values = self.space.describe(unit_params)
        return {"clip": clip_data(clip), "values": values, "gain_db": level.gain_db, "notes": level.notes}

    def _measured(self) -> list[ClipCurves]:
        """Curves of every clip; only the output's change."""
        for name in self._clips.keys() - self._curves.keys():
            self._curves[name] = clip_curves(self._clips[name])
        return [self._curves[name] for name in self._clips]

    def charts(self) -> list[dict[str, Any]]:
        """Of what was played last."""
        return chart_data(self._measured())

    def export(
        self,
        adjustment: Adjustment,
        folder: Path,
        stems: Sequence[Path],
        formats: Sequence[str],
        say: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> Exported:
        """The whole take with these settings: audio, settings, script, page, states of plugins; stems in an archive.

        A format of `EXPORTS` that cannot hold the chain is left out, and a note says why.

        Raises:
            UserError, EffectError: as `play`.
        """
        requests = parse_exports(formats)
        unit_params = self._wanted(adjustment)
        options = replace(self._options, match_level=adjustment.match_level)
        take, outcome, quiet = self._take, self._outcome, Console(quiet=True)
        output, source = folder / f"{take.path.stem}.transfer.wav", self._played(take)
        with closing(self._transfer.play(source, unit_params, options.max_tail_sec, folder, progress)) as rendered:
            scans = (outcome.source_scan, self._scans)
            level = rendering.level(adjustment.match_level, *scans, rendered, options.ceiling_db, is_integer=False)
            compared = outcome.fit.confidence, options.counted
            fit = measure_fit(source, self._references, rendered, self._transfer.host.chain, *compared)
            locked = {name: self.space.describe(unit_params)[name] for name in adjustment.locks}
            match = replace(outcome.match, unit_params=unit_params, locked=locked)
            notes = (*fit.notes(False), *level.notes)
            now = replace(outcome, match=match, rendered=rendered, level=level, fit=fit, notes=notes)
            form = take.sample_rate, rendered.num_channels, rendered.frames, "FLOAT", take.tags
            with audio_writer(output, *form) as write:
                for block in rendered.chunks(level.factor):
                    write(block)
            asked = Namespace(controller=self._controller, bit_depth="float", picture=False, page=True)
            files = output, self._transfer, take, self._references
            write_files(asked, *files, options, now, self._chosen, quiet)
        paths, said = Paths.next_to(output), []
        for request in requests:
            say(f"writing {request.form.name}")
            try:
                said += export_settings(paths.settings, [request], quiet)
            except UserError as error:
                said.append(f"no {request.form.name}: {error}")
        script = folder / f"{output.name}{EXPORTS['reascript'].suffix}"
        for written in (paths.settings, paths.script, *[script] * script.exists()):
            text = written.read_text("utf-8")
            for path in (output, take.path, *(one.path for one in self._references)):
                text = text.replace(str(path), path.name)  # their folder is gone when the visitor is
            write_text(written, text)
        if stems:
            archive_stems(paths.settings, stems, folder / "stems.zip", say)
        return Exported(sorted(path for path in folder.iterdir() if not path.name.startswith(".")), said)


def archive_stems(settings: Path, stems: Sequence[Path], archive: Path, say: Callable[[str], None]) -> None:
    """Plays stems through stored settings into an archive, which holds them under their names; says which is played.

    Raises:
        UserError, EffectError: see `apply_settings`.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".") as folder, ZipFile(archive, "w") as file:
        for stem in stems:
            say(f"playing {stem.name}")
            apply_settings(settings, [stem], Path(folder), None, Console(quiet=True))
            played = Path(folder, stem.name)
            file.write(played, stem.name)
            played.unlink()
