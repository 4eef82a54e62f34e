"""Who may ask: pages of this very viewer, and nobody else's.

The viewer listens on loopback only, but any page in the user's browser can reach loopback too. A
foreign page's request carries its ``Origin``; a name that was made to point here (DNS rebinding)
shows in ``Host``. Both are checked on every request and on the WebSocket, before anything else.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "LocalOnly"]

_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

HEADERS = {
    "content-security-policy": (
        # Plotly sets styles from script; nothing else is inline.
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Sent with every answer."""


class LocalOnly:
    """Wraps an ASGI application; refuses foreign hosts and origins with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        wrong = _objection(scope)
        if wrong is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": wrong[:120]})
        else:
            body = f"greenscope: {wrong}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _objection(scope: Scope) -> str | None:
    given: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        given.setdefault(name, []).append(value.decode("latin-1"))
    hosts = given.get(b"host", [])
    if len(hosts) != 1:
        return f"{len(hosts)} Host headers; one is needed"
    if _name(f"//{hosts[0]}") not in _LOCAL_NAMES:
        return f"Host {hosts[0]!r} is not this machine; open http://127.0.0.1 with the viewer's port"
    for origin in given.get(b"origin", []):
        if origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
            return f"Origin {origin!r} is not this viewer"
    return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return wrapped
