"""The app over HTTP: routes and limits."""

import contextlib
import json
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from dafxvae.app.adjustable_transfer import AdjustableTransfer, Adjustment
from dafxvae.app.visitor_session import Job, VisitorSession
from dafxvae.app.visitors import Choice, Visitors
from dafxvae.core.errors import EffectError, UserError
from dafxvae.effects.kinds import KINDS as EFFECT_KINDS
from dafxvae.transfer.exports.formats import EXPORTS
from dafxvae.transfer.results import Options

LOCAL = ("127.0.0.1", "localhost", "::1", "[::1]")
MAX_RENDERS = 2000  # of a search
OPTIONS = (
    "locks",
    "match_level",
    "refine",
    "weights",
    "only",
    "aspects",
    "max_eq_db",
    "ceiling_db",
    "stereo",
)  # that the page asks for
FOLDERS = ("dafxvae.app", "dafxvae.reporting")  # whose web/ is served
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


def _web(name: str) -> Response:
    """A file of the page."""
    for package in FOLDERS:
        path = files(package) / "web" / name
        if "/" not in name and Path(name).suffix in KINDS and path.is_file():
            return Response(
                path.read_bytes(), media_type=KINDS[Path(name).suffix], headers={"Cache-Control": "no-cache"}
            )
    return JSONResponse({"error": "there is no such page"}, 404)


async def _body(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise UserError(f"this is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError("give an object")
    return found


def _adjustment(body: dict[str, Any]) -> Adjustment:
    try:
        amounts = {str(name): float(amount) for name, amount in body.get("amounts", {}).items()}
        locks = [str(name) for name in body.get("locks", ())]
        return Adjustment(dict(body["values"]), str(body.get("match_level", "on")), amounts, locks)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"these are no settings: {error}") from error


def _options(body: dict[str, Any]) -> Options:
    """What a visitor asks a transfer for; `Options` has the defaults of what is left out."""
    refine = body.get("refine", 0)
    if not isinstance(refine, int) or not 0 <= refine <= MAX_RENDERS:
        raise UserError(f"refine {refine!r}: give 0 to {MAX_RENDERS} renders")
    return Options(amount=1.0, **{name: body[name] for name in OPTIONS if name in body})


class Routes:
    """What the page asks for."""

    def __init__(self, visitors: Visitors) -> None:
        self.visitors = visitors

    def session(self, request: Request) -> VisitorSession:
        return self.visitors.session(request.path_params["id"])

    async def start(self, request: Request) -> Response:
        """A new session."""
        name = await run_in_threadpool(self.visitors.begin)
        found = await run_in_threadpool(self.visitors.controllers)
        return JSONResponse(
            {"id": name, "controllers": found, "kinds": EFFECT_KINDS, "max_upload": self.visitors.max_upload}
        )

    async def end(self, request: Request) -> Response:
        """Ends a session."""
        await run_in_threadpool(self.visitors.end, request.path_params["id"])
        return JSONResponse({})

    async def upload(self, request: Request) -> Response:
        """A take or a reference: the body is the file."""
        session, role = self.session(request), request.path_params["role"]
        largest, size = self.visitors.max_upload, 0
        path = session.upload_path(request.query_params.get("name", ""))
        try:
            with path.open("wb") as file:
                async for part in request.stream():  # to its end: a client that still sends gets no answer
                    size += len(part)
                    if size <= largest:
                        await run_in_threadpool(file.write, part)
            if size > largest:
                raise UserError(
                    f"{path.name} is larger than {largest / 1e6:g} MB: cut it, or start the app with --max-upload"
                )
        except BaseException:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            raise
        return JSONResponse(await run_in_threadpool(session.add, path, role))

    async def remove(self, request: Request) -> Response:
        """Forgets a reference or a stem."""
        session, path = self.session(request), request.path_params
        await run_in_threadpool(session.remove, path["role"], path["index"])
        return JSONResponse({})

    async def transfer(self, request: Request) -> Response:
        """Begins a transfer."""
        session, body = self.session(request), await _body(request)
        if session.take is None or not session.references:
            raise UserError("give a take and at least one reference first")
        options = _options(body)
        options.grouped(session.references)
        choice = Choice(body.get("controller"), body.get("effect"), body.get("find") is True)

        def work(job: Job) -> None:
            take = session.take
            assert take is not None
            readers = [one.reader for one in session.references]
            scans = [one.scan for one in (take, *session.references)]
            total = take.reader.frames + round(options.max_tail_sec * take.reader.sample_rate)
            opened = self.visitors.open(take.reader, readers, options, choice, job)
            try:
                given = scans, opened.options, opened.chosen, job.say, partial(job.advance, total)
                current = AdjustableTransfer(opened.transfer, opened.controller, take.reader, readers, *given)
            except BaseException:
                if opened.controller is None:
                    opened.transfer.close()
                raise
            session.close_transfer()
            session.current = current

        session.begin(self.visitors.jobs, work)
        return JSONResponse({}, 202)

    async def job(self, request: Request) -> Response:
        """How far the work is."""
        job = self.session(request).job
        ended = {"error": job.error, "files": [*job.files], "notes": [*job.notes]}
        return JSONResponse({"stage": job.stage, "share": job.share, "done": job.is_done, **ended})

    async def stop(self, request: Request) -> Response:
        """Ends the work as soon as it can."""
        self.session(request).job.is_stopped = True
        return JSONResponse({})

    def current(self, request: Request) -> tuple[VisitorSession, AdjustableTransfer]:
        session = self.session(request)
        if session.current is None:
            raise UserError("there is no transfer yet: begin one")
        return session, session.current

    async def result(self, request: Request) -> Response:
        """All that the page shows of a transfer."""
        session, current = self.current(request)
        return await run_in_threadpool(lambda: JSONResponse(session.locked(current.first)))

    async def render(self, request: Request) -> Response:
        """The section with other settings."""
        (session, current), adjustment = self.current(request), _adjustment(await _body(request))
        return await run_in_threadpool(lambda: JSONResponse(session.locked(lambda: current.play(adjustment))))

    async def charts(self, request: Request) -> Response:
        """Of what was played last."""
        session, current = self.current(request)
        return await run_in_threadpool(lambda: JSONResponse(session.locked(current.charts)))

    async def export(self, request: Request) -> Response:
        """Begins the rendering of the whole take."""
        (session, current), body = self.current(request), await _body(request)
        adjustment, formats = _adjustment(body), body.get("formats", [])
        if not isinstance(formats, list) or not all(one in EXPORTS for one in formats):
            raise UserError(f"formats {formats!r}: give a list of {', '.join(EXPORTS)}")

        def work(job: Job) -> None:
            job.say("rendering")
            take = session.take
            assert take is not None
            stems, step = [one.reader.path for one in session.stems], partial(job.advance, take.reader.frames)
            found = current.export(adjustment, session.new_exports(), stems, formats, job.say, step)
            job.files, job.notes = [path.name for path in found.paths], found.notes

        session.begin(self.visitors.jobs, work)
        return JSONResponse({}, 202)

    async def download(self, request: Request) -> Response:
        """A file of the last export."""
        path = self.session(request).exports / request.path_params["name"]
        if path.name.startswith(".") or path.parent != self.session(request).exports or not path.is_file():
            raise UserError("there is no such file: export again")
        return FileResponse(path, filename=path.name)


def make_app(visitors: Visitors, hosts: list[str]) -> Starlette:
    """The app; `hosts` are the names under which it may be asked, against pages of others that point theirs at it."""
    routes = Routes(visitors)

    async def refuse(request: Request, error: Exception) -> Response:
        name = request.path_params.get("id")
        session = visitors.sessions.get(str(name))
        return JSONResponse({"error": session.words(error) if session else str(error)}, 400)

    async def fail(request: Request, error: Exception) -> Response:
        return JSONResponse(
            {"error": "this failed in a way that was not foreseen: the terminal of the app says how"}, 500
        )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        visitors.close()

    async def page(request: Request) -> Response:
        return _web("index.html")

    async def web(request: Request) -> Response:
        return _web(request.path_params["name"])

    own = "/api/{id}"
    return Starlette(
        routes=[
            Route("/", page),
            Route("/web/{name}", web),
            Route("/api/start", routes.start, methods=["POST"]),
            Route(own + "/end", routes.end, methods=["POST"]),
            Route(own + "/upload/{role}/{index:int}", routes.remove, methods=["DELETE"]),
            Route(own + "/upload/{role}", routes.upload, methods=["POST"]),
            Route(own + "/transfer", routes.transfer, methods=["POST"]),
            Route(own + "/job", routes.job),
            Route(own + "/stop", routes.stop, methods=["POST"]),
            Route(own + "/result", routes.result),
            Route(own + "/render", routes.render, methods=["POST"]),
            Route(own + "/charts", routes.charts),
            Route(own + "/export", routes.export, methods=["POST"]),
            Route(own + "/files/{name}", routes.download),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={UserError: refuse, EffectError: refuse, Exception: fail},
        lifespan=lifespan,
    )


def serve(host: str, port: int, max_upload: int) -> None:
    """Listens until it is interrupted; prints the address; all files are removed at the end.

    Raises:
        UserError: the address cannot be had.
    """
    is_public = host not in LOCAL
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with tempfile.TemporaryDirectory(prefix="dafxvae-app-") as folder, socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()  # who asks before all is ready waits
        except (OSError, OverflowError) as error:
            raise UserError(f"cannot listen at {host}:{port}: {error}; give another --port") from error
        visitors = Visitors(Path(folder).resolve(), max_upload, is_public=is_public)
        app = make_app(visitors, ["*"] if is_public else list(LOCAL))
        shown = f"[{host}]" if ":" in host else host
        console = Console()
        console.print(f"http://{shown}:{listener.getsockname()[1]}", highlight=False)
        if is_public:
            console.print("everybody who reaches this machine can use it, without a password", style="yellow")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # uvicorn raises it again at its end: files are removed
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        uvicorn.Server(config).run(sockets=[listener])
