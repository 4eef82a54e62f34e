"""Who may ask, at the viewer's own door: ``access.py`` decides, on every request and on the WebSocket."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenscope.web.access import HEADERS, Access, Answer
from greenscope.web.beside import KEY_HEADER, PROOF_HEADER, proof

__all__ = ["Guard", "is_passed_on"]


class Guard:
    """Wraps an ASGI application; refuses whom ``access`` refuses.

    Args:
        app: the application.
        access: who may see it.
        key: the key of those who pass requests on, and have asked ``access`` themselves; None: there are none.
    """

    def __init__(self, app: ASGIApp, access: Access, key: str | None = None) -> None:
        self._app = app
        self._access = access
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        scope["greenscope.passed_on"] = passed_on = self._is_passed_on(headers)
        refused = None
        if not passed_on:
            remote = scope["client"][0] if scope.get("client") else ""
            query = scope.get("query_string", b"").decode("latin-1")
            refused = self._access.judge(remote, _path(scope), query, headers)
        if refused is None:
            extra = {**HEADERS, PROOF_HEADER: proof(self._key)} if passed_on and self._key else HEADERS
            await self._app(scope, receive, _with_headers(send, extra))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": _words(refused)[:120]})
        else:
            await _answer(send, refused)

    def _is_passed_on(self, headers: list[tuple[str, str]]) -> bool:
        keys = [value for name, value in headers if name == KEY_HEADER]
        return self._key is not None and len(keys) == 1 and hmac.compare_digest(keys[0].encode(), self._key.encode())


def is_passed_on(scope: Scope) -> bool:
    """Whether an application asks for its client: a WebSocket does not come that way."""
    return bool(scope.get("greenscope.passed_on"))


def _path(scope: Scope) -> str:
    """The path below the application's root, wherever that is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


def _words(answer: Answer) -> str:
    return answer.body.decode().removeprefix("greenscope: ").strip() or "the token first"


async def _answer(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _with_headers(send: Send, extra: dict[str, str]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in extra.items()]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return wrapped
