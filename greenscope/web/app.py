"""The viewer as an application: the page, what it asks for once, and its stream."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.staticfiles import StaticFiles

from greenscope import __version__
from greenscope.trace.analysis.profile import By
from greenscope.trace.recorder import trace_directory
from greenscope.web import present
from greenscope.web.access import Access, from_environment
from greenscope.web.following import Following, FollowOnUse
from greenscope.web.lesson_routes import Tell, lesson_routes
from greenscope.web.metrics import metrics
from greenscope.web.polling import PolledPages
from greenscope.web.profile import profile
from greenscope.web.replay_routes import replay_routes
from greenscope.web.replays import Replays
from greenscope.web.request_routes import request_routes
from greenscope.web.security import Guard, is_passed_on
from greenscope.web.session import Session
from greenscope.web.source import Source
from greenscope.web.stream_routes import stream_routes

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"
_REST_SECONDS = 300.0


def create_app(
    rings: Source | str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    *,
    access: Access | None = None,
    key: str | None = None,
    lesson: Tell | None = None,
    rest_after: float | None = _REST_SECONDS,
) -> FastAPI:
    """The dashboard as an ASGI application, to be served, or mounted in another one.

    With Starlette or FastAPI: ``app.mount("/greenscope", create_app())``. It reads rings in the process that serves
    it, from the first request on. Its addresses are relative: it may be mounted anywhere. This machine's own clients
    may see it, and those who bring the token.

    Args:
        rings: a directory or a ring file, several of them, or a source; None: the trace directory.
        access: who may see it; None: as ``GREENSCOPE_TOKEN`` says, or else the token of the trace directory.
        key: of those who pass requests on, and have asked ``access`` themselves.
        lesson: what tells the lesson about a ring, if this viewer shows one.
        rest_after: seconds without a request or an open page after which it stops reading until the next one; None:
            never.

    Raises:
        GreenscopeError: the trace directory is not this user's alone; ``GREENSCOPE_TOKEN`` is too short.
        OSError: the trace directory cannot be made.
    """
    source = rings if isinstance(rings, Source) else Source(_paths(rings))
    following, pages, replays = Following(source, rest_after), PolledPages(), Replays()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following.start()
        try:
            yield
        finally:
            pages.close()
            replays.close()
            await following.stop()

    # The interactive API pages fetch their scripts from elsewhere; this viewer loads nothing from elsewhere.
    app = FastAPI(title="greenscope", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.following = following
    app.add_middleware(FollowOnUse, following=following)
    app.add_middleware(Guard, access=access or from_environment(trace_directory), key=key)  # the outermost
    own_files = StaticFiles(directory=_STATIC, check_dir=False)
    plotly_files = StaticFiles(directory=str(importlib.resources.files("plotly") / "package_data"))

    def find(identity: str) -> Session:
        session = source.session(identity)
        if session is None:
            raise HTTPException(404, f"there is no ring {identity!r}; GET /api/rings lists them")
        return session

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return await file(own_files, "index.html", request)

    @app.api_route("/plotly.min.js", methods=["GET", "HEAD"], include_in_schema=False)
    async def plotly(request: Request) -> Response:
        return await file(plotly_files, "plotly.min.js", request)

    async def file(files: StaticFiles, name: str, request: Request) -> Response:
        """A file, unless the browser has it: Plotly's script is megabytes."""
        response = await files.get_response(name, request.scope)
        response.headers["cache-control"] = "no-cache"
        return response

    @app.get("/api/rings")
    async def list_rings(request: Request) -> dict[str, Any]:
        stream = "poll" if is_passed_on(request.scope) else "websocket"
        return {"rings": [present.ring(listed) for listed in source.rings()], "stream": stream}

    @app.get("/metrics")
    async def figures(request: Request) -> Response:
        text, kind = metrics(source.open_rings(), request.headers.get("accept", ""))
        return Response(text, headers={"content-type": kind, "cache-control": "no-store"})

    @app.get("/api/rings/{identity}/at")
    async def at(
        identity: str,
        greenlet: int = Query(ge=0),
        time: int = Query(description="ns since the ring began"),
        width: int = Query(default=0, ge=0, description="ns a pixel stands for"),
    ) -> dict[str, Any]:
        session = find(identity)
        answer = present.at(session, greenlet, session.info.start_monotonic_ns + time, width)
        if answer is None:
            raise HTTPException(404, f"nothing is known of greenlet {greenlet} at {time} ns")
        return answer

    @app.get("/api/rings/{identity}/profile")
    async def profile_of(
        identity: str,
        by: Annotated[By, Query(description="what the times are summed by")] = By.LINE,
    ) -> dict[str, Any]:
        return profile(find(identity), by)

    app.include_router(request_routes(find))
    app.include_router(replay_routes(find, replays, lesson=lesson is not None))
    app.include_router(lesson_routes(find, replays, lesson))

    app.include_router(stream_routes(source.session, find, pages))
    app.mount("/static", own_files)
    return app


def _paths(rings: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None) -> list[Path]:
    if rings is None:
        return [trace_directory()]
    return [Path(rings)] if isinstance(rings, (str, os.PathLike)) else [Path(path) for path in rings]
