"""All visitors of the app, and the controllers that they share."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from dafxvae.app.stoppable_search import StoppableSearch
from dafxvae.app.visitor_session import Job, VisitorSession
from dafxvae.audio.io import AudioReader
from dafxvae.controllers.commands import list_controllers
from dafxvae.controllers.names import AUTO, stored_controllers
from dafxvae.core.errors import UserError
from dafxvae.core.weights import load_weights
from dafxvae.effects.spec import parse_chain
from dafxvae.studio.found_chain import FoundChain
from dafxvae.studio.match import find_chain
from dafxvae.transfer.api import StyleTransfer, load_controller, open_effect
from dafxvae.transfer.ranking import Ranking, rank_recordings
from dafxvae.transfer.results import Options

MAX_SESSIONS = 16
IDLE_SEC = 3600.0  # after which a visitor's files are removed


class Choice(NamedTuple):
    """Which effects a visitor asks for."""

    controller: str | None  # AUTO for the one that fits best
    effect: str | None  # without a controller: whose settings are searched for
    is_found: bool  # without both: the chain is found


class Opened(NamedTuple):
    """What a visitor's transfer plays."""

    transfer: StyleTransfer
    controller: str | None  # None where the transfer is this visitor's own
    options: Options
    chosen: Ranking | FoundChain | None


class Visitors:
    """All visitors, and the controllers that they share."""

    def __init__(self, folder: Path, max_upload: int, *, is_public: bool) -> None:
        """Takes an empty folder for everybody's files; a public app opens no plugins by their path."""
        self.folder, self.max_upload, self.is_public = folder, max_upload, is_public
        self.sessions: dict[str, VisitorSession] = {}
        self._controllers: dict[str, StyleTransfer] = {}
        self._opening = threading.Lock()
        self.jobs = ThreadPoolExecutor(1, "dafxvae-app")  # a transfer uses all cores by itself

    def session(self, name: str) -> VisitorSession:
        """The visitor's of that name.

        Raises:
            UserError: it has ended.
        """
        found = self.sessions.get(name)
        if found is None:
            raise UserError("this session has ended, and its files are removed: reload the page")
        found.used = time.monotonic()
        return found

    def begin(self) -> str:
        """A new session, with a name that nobody can guess."""
        self.sweep()
        if len(self.sessions) >= MAX_SESSIONS:
            raise UserError(f"{MAX_SESSIONS} people use this already: try again later")
        name = secrets.token_urlsafe(24)
        self.sessions[name] = VisitorSession(self.folder / name)
        return name

    def sweep(self) -> None:
        """Ends the sessions that nobody has used for long."""
        for name, session in list(self.sessions.items()):
            if session.job.is_done and time.monotonic() - session.used > IDLE_SEC:
                self.end(name)

    def end(self, name: str) -> None:
        """Ends a session and removes its files."""
        session = self.sessions.pop(name, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Ends everything."""
        for session in list(self.sessions.values()):
            session.job.is_stopped = True
        self.jobs.shutdown(cancel_futures=True)
        for name in list(self.sessions):
            self.end(name)
        for transfer in self._controllers.values():
            transfer.close()

    def controllers(self) -> list[dict[str, str]]:
        """Those that can be chosen: name, purpose, effect."""
        purposes = {name: purpose for name, purpose, *_ in list_controllers()}
        stored = {name: load_weights(path).metadata for name, path in stored_controllers().items()}
        found = {name: metadata["effect"] for name, metadata in stored.items() if "effect" in metadata}
        return [{"name": name, "purpose": purposes[name], "effect": effect} for name, effect in found.items()]

    def open(
        self, take: AudioReader, references: list[AudioReader], options: Options, choice: Choice, job: Job
    ) -> Opened:
        """What a visitor chose, ranked or found first where it is not named.

        Raises:
            UserError: there is no such controller or effect, or nothing was chosen.
        """
        options.check_controller(choice.controller)
        if choice.is_found:
            job.say("finding the effects")
            found = find_chain(take, references, weights=options.weights_of(len(references)))
            found, asked = found.adapted(options)
            return Opened(open_effect(found.chain, found.settings), None, asked, found)
        ranking = None
        if choice.controller == AUTO:
            job.say("ranking the controllers")
            ranking = rank_recordings(take, references, options.needed_kinds)
        job.say("opening the effects")
        name = choice.controller if ranking is None else ranking.best
        return Opened(self._open_named(name, choice.effect, job.go_on), name, options, ranking)

    def _open_named(self, controller: str | None, effect: str | None, go_on: Callable[[], None]) -> StyleTransfer:
        """A stored controller, kept open for everybody, or an effect of one's own, whose search `go_on` may end."""
        if controller is not None:
            if controller not in stored_controllers():
                raise UserError(f"there is no controller {controller!r}: choose one of the list")
            with self._opening:
                if controller not in self._controllers:
                    self._controllers[controller] = load_controller(controller)
                return self._controllers[controller]
        if not effect:
            raise UserError("choose a controller, or name an effect such as Compressor | Reverb")
        if self.is_public and any(spec.is_vst3 for spec in parse_chain(effect)):
            raise UserError("plugins are opened only where the app listens to its own machine alone")
        return open_effect(effect, refiner=StoppableSearch(go_on))
