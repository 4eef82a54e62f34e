"""The viewer as an application: the page, what it asks for once, and its stream."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, WebSocket
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from greenscope import __version__
from greenscope.trace.analysis.profile import By
from greenscope.web import present
from greenscope.web.profile import profile
from greenscope.web.security import LocalOnly
from greenscope.web.session import Session
from greenscope.web.source import Source
from greenscope.web.stream import Stream

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"


def create_app(source: Source) -> FastAPI:
    """The viewer over a source of rings; it follows the source for as long as it is served.

    Args:
        source: where the rings are.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        source.scan()
        follower = asyncio.create_task(source.run())
        try:
            yield
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            source.close()

    # The interactive API pages fetch their scripts from elsewhere; this viewer loads nothing from elsewhere.
    app = FastAPI(title="greenscope", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(LocalOnly)
    plotly_script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"

    def find(identity: str) -> Session:
        session = source.session(identity)
        if session is None:
            raise HTTPException(404, f"there is no ring {identity!r}; GET /api/rings lists them")
        return session

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/plotly.min.js", include_in_schema=False)
    async def plotly() -> FileResponse:
        return FileResponse(str(plotly_script), media_type="text/javascript")

    @app.get("/api/rings")
    async def rings() -> dict[str, Any]:
        return {"rings": [present.ring(listed) for listed in source.rings()]}

    @app.get("/api/rings/{identity}/at")
    async def at(
        identity: str,
        greenlet: int = Query(ge=0),
        time: int = Query(description="ns since the ring began"),
        width: int = Query(default=0, ge=0, description="ns a pixel stands for"),
    ) -> dict[str, Any]:
        session = find(identity)
        found = present.at(session, greenlet, session.info.start_monotonic_ns + time, width)
        if found is None:
            raise HTTPException(404, f"nothing is known of greenlet {greenlet} at {time} ns")
        return found

    @app.get("/api/rings/{identity}/profile")
    async def profile_of(
        identity: str,
        by: Annotated[By, Query(description="what the times are summed by")] = By.LINE,
    ) -> dict[str, Any]:
        return profile(find(identity), by)

    @app.websocket("/api/rings/{identity}/stream")
    async def stream(socket: WebSocket, identity: str) -> None:
        await socket.accept()
        session = source.session(identity)
        if session is None:
            await socket.close(4404, f"there is no ring {identity[:80]!r}")
            return
        await Stream(session, socket).run()

    app.mount("/static", StaticFiles(directory=_STATIC, check_dir=False))
    return app
