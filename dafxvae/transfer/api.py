"""Style transfer from Python: `dafxvae.load_controller("reverb").transfer(audio, reference, sample_rate)`."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dafxvae.controllers.controller import Controller
from dafxvae.controllers.encoders import load_encoders
from dafxvae.controllers.names import open_controller
from dafxvae.core.errors import UserError
from dafxvae.core.paths import SHIPPED, stored_encoders_path
from dafxvae.core.resource import Closable
from dafxvae.effects.factory import ChainHost, Effect, check_controllable, open_host
from dafxvae.effects.kinds import LEVEL
from dafxvae.effects.vst3.process import Limits
from dafxvae.models.networks import Encoders
from dafxvae.transfer import prediction, recordings, rendering, windows
from dafxvae.transfer.amount import EXCERPT_SEC
from dafxvae.transfer.aspects import measure_moves
from dafxvae.transfer.fit import measure_fit
from dafxvae.transfer.results import Compared, Options, Outcome, Transfer
from dafxvae.transfer.weaker import play_fitting

COLD_WINDOW = 65536  # samples at the encoders' rate, where no controller sets it


class StyleTransfer(Closable):
    """Gives recordings the style of references, through one effect or chain.

    Holds plugin processes where the chain has VST3 plugins: close it, or use it in a `with` statement.
    """

    def __init__(
        self,
        effect: Effect,
        encoders: Encoders,
        controller: Controller | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        refiner: prediction.Refiner | None = None,
    ) -> None:
        """Opens the effect.

        Args:
            effect: short or structured form, see `dafxvae.effects.spec`.
            encoders: f and g.
            controller: trained for this effect; None where settings are searched for alone, or given.
            settings: without a controller, a value for every parameter, used as its prediction would be.
            limits: how long a plugin may take.
            refiner: the search behind `refine`; None for `dafxvae.transfer.refinement`.

        Raises:
            UserError: the effect cannot be opened, or has no parameters, or others than the controller was trained for.
        """
        self.encoders, self.controller, self._given = encoders, controller, settings
        self._refiner = refiner
        self.host: ChainHost = open_host(effect, limits=limits)
        try:
            check_controllable(self.host)
            if controller is not None and (names := self.host.parameters.names) != controller.parameters:
                raise UserError(
                    f"the controller was trained for {controller.parameters} of {controller.effect}, which now has "
                    f"{names}: install the plugin's version of that time, or train it again"
                )
        except UserError:
            self.host.close()
            raise

    @property
    def windows(self) -> windows.WindowFormat:
        """In what form recordings are encoded; they are rendered at their own rate and channels."""
        if self.controller is not None:
            return prediction.window_format(self.controller)
        return windows.WindowFormat(COLD_WINDOW, self.encoders.metadata["sample_rate"], 1)

    def run(
        self,
        source: recordings.Recording,
        references: Sequence[recordings.Recording],
        options: Options,
        *,
        is_integer: bool = False,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Outcome:
        """Every step for one recording, with flat memory: scans, windows, settings, render, level.

        Args:
            source: the input.
            references: at least one.
            options: what is asked for.
            is_integer: the output will be written in a format that clips at full scale.
            folder: for the temporary file of the render.
            say: called with what is being done.
            progress: called with the number of rendered samples, as they come.

        Raises:
            UserError: bad input.
            EffectError: the effect failed.
        """
        source, (scan, *scans), compared, match = self._find(source, references, options, say)
        say("rendering")
        play = partial(self.play, source, max_tail_sec=options.max_tail_sec, folder=folder, progress=progress)
        judge = partial(measure_fit, source, references, chain=self.host.chain, confidence=match.confidence)
        match, rendered, fit = play_fitting(match, options, play, judge)
        keeps_take = options.only_if_better and bool(fit.worse)
        if keeps_take:
            rendered.replace_by(source, scan)
        wanted, ceiling_db = ("none", None) if keeps_take else (options.match_level, options.ceiling_db)
        heard = options.counted(scans, LEVEL)
        level = rendering.level(wanted, scan, heard, rendered, ceiling_db, is_integer=is_integer)
        said = (*recordings.clipping_notes((source, *references), [scan, *scans]), *match.notes, *level.notes)
        notes = (*fit.notes(keeps_take), *said, *rendering.width_notes(source, references, rendered))
        about = self.host, match.unit_params, self.windows.sample_rate
        moves_db = measure_moves(*about) if options.audibility else None
        return Outcome(match, rendered, level, scan, scans, notes, fit, keeps_take, moves_db, compared)

    def _find(
        self,
        source: recordings.Recording,
        references: Sequence[recordings.Recording],
        options: Options,
        say: Callable[[str], None],
    ) -> tuple[recordings.Recording, list[recordings.Scan], list[Compared], prediction.FoundSettings]:
        """The input as it will be played, scans of it and the references, what was compared, the settings."""
        if self.host.pool.closed:
            raise UserError("this transfer is closed: open it again by load_controller or open_effect")
        options.check(self.host.chain, source, references)
        source = recordings.as_played(source, options.stereo)
        say("reading")
        scan = recordings.scan(source, with_loudness=options.match_level == "off")
        found = [scan, *(recordings.scan(one, with_loudness=options.match_level == "on") for one in references)]
        say("searching" if options.refine else "predicting")
        every = source, *references
        dry, *styles = [windows.read_windows(one, its.levels_db, self.windows) for one, its in zip(every, found)]
        match = prediction.find_settings(
            self.host,
            self.controller,
            dry,
            styles,
            partial(windows.mixed_excerpt, source, scan, self.windows),
            partial(windows.read_excerpt, source, scan, EXCERPT_SEC),
            self.windows.sample_rate,
            options,
            self._refiner,
            self._given,
        )
        given = zip((dry, *styles), (1, *options.weights_of(len(styles))), ("", *options.aspects_of(len(styles))))
        compared = [Compared.of(self.windows.sample_rate, *one) for one in given]
        return source, found, compared, match

    def play(
        self,
        source: recordings.Recording,
        unit_params: np.ndarray,
        max_tail_sec: float,
        folder: Path | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> rendering.Rendered:
        """A recording through the chain with given settings `[K]`; see `dafxvae.transfer.rendering.render`."""
        return rendering.render(source, self.host, unit_params, max_tail_sec, folder, progress)

    def transfer(
        self,
        audio: np.ndarray,
        reference: np.ndarray | Sequence[np.ndarray],
        sample_rate: int,
        *,
        amount: float | None = None,
        locks: Mapping[str, Any] | None = None,
        match_level: str = "on",
        refine: int = 0,
        max_tail_sec: float = 10.0,
        ceiling_db: float | None = -1.0,
        only_if_better: bool = False,
        amount_of: Mapping[str | int, float] | None = None,
        only: Sequence[str] = (),
        weights: Sequence[int] = (),
        aspects: Sequence[str] = (),
        max_eq_db: float | None = None,
        stereo: bool = False,
        audibility: bool = True,
        reference_rate: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Transfer:
        """Gives a recording the style of a reference: the output, and the settings that made it.

        Args:
            audio: float `[T, C]` or `[T]` in [-1, 1], mono or stereo, at least .25 s.
            reference: one such array, or several whose style is averaged.
            sample_rate: Hz, any.
            amount, locks and the others: see `Options`.
            reference_rate: Hz of the references; None for `sample_rate`.
            progress: called with the number of rendered samples, as they come; what it raises ends the transfer.

        Raises:
            UserError: audio that cannot be used, or an option out of range.
            EffectError: the effect failed.
        """
        asked = amount, locks or {}, match_level, refine, max_tail_sec, ceiling_db, only_if_better
        options = Options(*asked, amount_of or {}, only, weights, aspects, max_eq_db, stereo, audibility)
        source = recordings.ArrayRecording(audio, sample_rate, "the input")
        references = recordings.references_of(reference, sample_rate if reference_rate is None else reference_rate)
        outcome = self.run(source, references, options, progress=progress)
        with contextlib.closing(outcome.rendered) as rendered:
            output = np.concatenate(list(rendered.chunks(outcome.level.factor)))
        return Transfer(
            output[:, 0] if np.ndim(audio) == 1 and not stereo else output,
            source.sample_rate,
            self.host.parameters.describe(outcome.match.unit_params),
            outcome.match.unit_params,
            outcome.level.gain_db,
            outcome.script(self.host.chain, source, max_tail_sec),
            outcome.match.predicted,
            outcome.match.refined,
            outcome.notes,
            outcome.fit,
            outcome.kept_take,
            None if outcome.moves_db is None else dict(zip(self.host.parameters.names, outcome.moves_db.tolist())),
            *outcome.page_parts(self.host.chain, source, references, output),
        )

    def predict(
        self,
        audio: np.ndarray,
        reference: np.ndarray | Sequence[np.ndarray],
        sample_rate: int,
        *,
        reference_rate: int | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """The `settings` of `transfer`, with its arguments, without a render: `amount` is 1 where it is not given."""
        source = recordings.ArrayRecording(audio, sample_rate, "the input")
        references = recordings.references_of(reference, sample_rate if reference_rate is None else reference_rate)
        *_, match = self._find(source, references, replace(Options(**options), match_level="none"), lambda _: None)
        return self.host.parameters.describe(match.unit_params)

    def warm_up(self) -> None:
        """Compiles f and g, some seconds that the first transfer would take longer."""
        if self.controller is not None:
            form = self.windows
            noise = np.random.default_rng(0).normal(0.0, 0.1, (form.num_samples, form.num_channels))
            self.predict(noise, noise[::-1], form.sample_rate)

    def transfer_batch(
        self,
        audios: Sequence[np.ndarray],
        references: Sequence[np.ndarray | Sequence[np.ndarray]],
        sample_rate: int,
        **options: Any,
    ) -> list[Transfer]:
        """`transfer` of several recordings, each with its own reference; the options hold for all.

        Raises:
            UserError: there are not as many references as recordings; and see `transfer`.
        """
        if len(audios) != len(references):
            raise UserError(f"{len(audios)} recordings and {len(references)} references: give one reference for each")
        return [self.transfer(*pair, sample_rate, **options) for pair in zip(audios, references, strict=True)]

    def close(self) -> None:
        """Ends the plugin processes."""
        self.host.close()


def load_controller(name: str | Path) -> StyleTransfer:
    """A trained controller, ready to transfer.

    Args:
        name: of a stored controller (`dafxvae controllers list`), the folder of a run, or a `*.safetensors`
            file.

    Raises:
        UserError: there is none; with the nearest names.
    """
    controller = open_controller(name)
    return StyleTransfer(controller.effect, controller.encoders, controller)


def open_effect(
    effect: Effect, settings: Mapping[str, Any] | None = None, *, refiner: prediction.Refiner | None = None
) -> StyleTransfer:
    """An effect without a controller: settings are given for every parameter, or `refine` searches from nothing.

    Raises:
        UserError: there is no such effect.
    """
    encoders = load_encoders(stored_encoders_path(SHIPPED), verify=False)  # the search does not use them
    return StyleTransfer(effect, encoders, settings=settings, refiner=refiner)
