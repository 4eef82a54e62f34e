"""The dashboard under a prefix of an ASGI application: as ``dashboard``, asked in a thread, since it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["dashboard"]

_MOST = 1 << 16  # bytes of a request's body; beside refuses more

Message = MutableMapping[str, Any]


async def dashboard(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
    prefix: str,
) -> None:
    """Answer a request for the dashboard; a WebSocket is refused, and the page does without."""
    from greenscope.web.beside import forward

    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "the dashboard is polled here"})
        return
    root = scope.get("root_path", "")
    path = scope["path"]
    path = (path[len(root) :] if root and path.startswith(root) else path)[len(prefix) :]
    query = scope.get("query_string", b"").decode("latin-1")
    if not path:  # the page's addresses are relative to it
        last = prefix.rpartition("/")[2]
        await _answer(send, 307, [("location", f"{last}/?{query}" if query else f"{last}/")], b"")
        return
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    body = await _body(receive)
    client = scope.get("client")
    remote = client[0] if client else ""
    answer = await asyncio.to_thread(forward, scope["method"], path, query, headers, body, remote=remote)
    await _answer(send, answer.status, answer.headers, answer.body, scope["method"] == "HEAD")


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body = b""
    while len(body) <= _MOST:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


async def _answer(
    send: Callable[[Message], Awaitable[None]],
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    head: bool = False,
) -> None:
    given = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    if status not in {204, 304} and not head:
        given.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
