"""The two ways to a ring's stream: a WebSocket, and asking again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response, WebSocket

from greenscope.web.polling import PolledPages
from greenscope.web.security import is_passed_on
from greenscope.web.session import Session
from greenscope.web.stream import serve_socket

__all__ = ["stream_routes"]

_MOST_SAID = 16


def stream_routes(
    session_of: Callable[[str], Session | None], find: Callable[[str], Session], pages: PolledPages
) -> APIRouter:
    """The routes.

    Args:
        session_of: gives a ring's session; None if there is none.
        find: the same; raises HTTPException if there is none.
        pages: those that poll.
    """
    router = APIRouter()

    @router.websocket("/api/rings/{identity}/stream")
    async def stream(socket: WebSocket, identity: str) -> None:
        await socket.accept()
        session = session_of(identity)
        if session is None:
            await socket.close(4404, f"there is no ring {identity[:80]!r}")
            return
        await serve_socket(session, socket)

    @router.post("/api/rings/{identity}/poll")
    async def poll(
        identity: str,
        request: Request,
        said: Annotated[list[str], Body(max_length=_MOST_SAID, description="the page's messages")],
        page: Annotated[str | None, Query(max_length=64, description="its number; none: it begins")] = None,
    ) -> Response:
        body = await pages.poll(find(identity), page, said, hold=not is_passed_on(request.scope))
        if body is None:
            raise HTTPException(410, "this page was forgotten: it begins anew, without a number")
        return Response(body, media_type="application/octet-stream", headers={"cache-control": "no-store"})

    return router
