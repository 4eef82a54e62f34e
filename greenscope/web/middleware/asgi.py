"""The debug middleware for ASGI, on asyncio: what ``wsgi`` does, for applications whose requests are tasks.

Owns ``AsgiDebugMiddleware``. It is a class of its own, and not ``DebugMiddleware`` that tells the two apart by what it
is called with: servers and frameworks ask an application what it is before they call it. There is no hub in
such a process; each request's coroutine is stepped through and becomes a lane of a ring that the loop's thread gets
with its first request (``lanes``, ``loop_ring``).

A request ends with its response: what an application does after that, a background task, is its lane's time and not
the request's. A WebSocket is a request that ends with its connection; ``lifespan`` is passed through. The messages of a
response go on in their order; the head of a page whose length is said waits for the page (``plan``), as with WSGI.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from greenscope.trace.traceparent import TraceParent, take_over
from greenscope.web.middleware.bar import bar_of
from greenscope.web.middleware.insertion import Stream, insert
from greenscope.web.middleware.loop_ring import LoopRing, loop_ends, ring_of, serving
from greenscope.web.middleware.plan import Header, Insert, Plan, plan_of, with_bar
from greenscope.web.middleware.served import Served, asked_for, guarded, quoted
from greenscope.web.middleware.settings import PREFIX, settings_of

__all__ = ["AsgiDebugMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_INSIDE = "greenscope.middleware"  # in the scope: an outer one is at work
_LEFT = Plan(Insert.NOT)


class AsgiDebugMiddleware:
    """Says of every request where its time went: ``app = AsgiDebugMiddleware(app)``, or ``app.add_middleware(...)``.

    Args:
        app: the ASGI application.
        enabled: whether it does anything; None: only if ``GREENSCOPE_DEBUG=1`` is set.
        prefix: the path at which the dashboard is served.
        bar: whether HTML pages get a bar.

    Raises:
        GreenscopeError: the prefix is no path.
    """

    def __init__(
        self, app: Application, enabled: bool | None = None, *, prefix: str = PREFIX, bar: bool = True
    ) -> None:
        self.app = app
        self.settings = settings_of(enabled, prefix, bar)
        self.enabled = self.settings.enabled
        self._prefix = self.settings.prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a connection, or the application's life."""
        if not self.enabled or scope["type"] not in {"http", "websocket"} or _INSIDE in scope:
            ends = self.enabled and scope["type"] == "lifespan"
            await self.app(scope, receive, _hearing_of_the_end(send) if ends else send)
            return
        below = _below(scope)
        if below.startswith(self._prefix) and below[len(self._prefix) :][:1] in {"", "/"}:
            from greenscope.web.middleware.asgi_dashboard import dashboard

            await dashboard(scope, receive, send, self._prefix)
            return
        ring = guarded(_ring_here, None)
        what = asked_for(scope.get("method", "WEBSOCKET"), scope["path"].encode("utf-8", "surrogateescape"))
        serve = self._serve(scope, receive, send, what, ring is not None)
        if ring is None:
            await serve
            return
        lane = ring.lane(serve, what)
        token = serving.set(lane)
        try:
            await lane
        finally:
            serving.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, what: str, recorded: bool) -> None:
        begun = guarded(lambda: self._begin(scope, what, recorded), None)
        if begun is None:
            await self.app(scope, receive, send)
            return
        served, inner = begun
        error: BaseException | None = None
        try:
            if scope["type"] == "websocket":
                await self.app(inner, receive, _watching(served, send))
            else:
                response = _Response(served, inner, send, self.settings.bar)
                await self.app(inner, receive, response.send)
                await response.over()
        except BaseException as raised:
            error = raised
            raise
        finally:
            guarded(lambda: served.end(error), None)
            error = None

    def _begin(self, scope: Scope, what: str, recorded: bool) -> tuple[Served, Scope]:
        names: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            names.setdefault(bytes(name).lower(), []).append(bytes(value))
        given = names.get(b"traceparent", [])
        trace = take_over(given[0].decode("latin-1") if len(given) == 1 else None)
        identity = names.get(b"x-request-id")
        base = quoted(scope.get("root_path", "").encode("utf-8", "surrogateescape")) + self._prefix
        served = Served(what, identity[0].decode("latin-1") if identity else None, trace, None, base, recorded, "task")
        inner = {
            **scope,
            "headers": _passed_on(scope["headers"], trace),
            "greenscope.request": served.number,
            _INSIDE: True,
        }
        return served, inner


class _Response:
    """What the application says, on its way to the server."""

    def __init__(self, served: Served, scope: Scope, send: Send, bar: bool) -> None:
        self._served = served
        self._send = send
        self._method = scope["method"]
        destinations = [value for name, value in scope["headers"] if name.lower() == b"sec-fetch-dest"]
        self._destination = destinations[0].decode("latin-1") if destinations else ""
        self._bar_wanted = bar
        self._head: Message | None = None  # that waits for the page
        self._given: list[Header] = []
        self._pieces: list[bytes] = []
        self._length = 0
        self._plan = _LEFT
        self._stream: Stream | None = None

    async def send(self, message: Message) -> None:
        """A message of the application's."""
        await self._pass_on(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            guarded(self._served.end, None)

    async def _pass_on(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind == "http.response.body" and self._head is not None:
            await self._gather(message)
        elif kind == "http.response.body" and self._stream is not None:
            await self._send(guarded(lambda: self._fed(message), message))
        else:
            if self._head is not None:
                await self._leave(more=True)
            await self._send(message)

    async def over(self) -> None:
        """The application has nothing more to say."""
        if self._head is not None:
            await self._leave(more=True)

    async def _start(self, message: Message) -> None:
        self._served.status = message["status"]
        self._given = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message.get("headers", [])]
        self._plan = guarded(self._planned, _LEFT)
        if self._plan.insert is Insert.WHOLE:
            self._head = message
            return
        changed = guarded(lambda: self._headers(self._given), None)
        if changed is None:
            await self._send(message)
            return
        if self._plan.insert is Insert.STREAM:
            self._stream = Stream(self._bar)
        await self._send({**message, "headers": _encoded(changed)})

    async def _gather(self, message: Message) -> None:
        """A piece of a page whose length is known."""
        piece = message.get("body", b"")
        self._pieces.append(piece)
        self._length += len(piece)
        if message.get("more_body", False) and self._length < self._plan.length:
            return
        page = b"".join(self._pieces)
        changed = guarded(lambda: self._with_bar(page), None) if self._length == self._plan.length else None
        if changed is None:
            await self._leave(more=message.get("more_body", False))
            return
        head, self._head = self._head, None
        self._pieces = []
        page, headers = changed
        assert head is not None
        await self._send({**head, "headers": _encoded(headers)})
        await self._send({**message, "body": page})

    async def _leave(self, more: bool) -> None:
        """Let the response be what it is."""
        head, self._head = self._head, None
        pieces, self._pieces = self._pieces, []
        self._plan = _LEFT
        assert head is not None
        changed = guarded(lambda: self._headers(self._given), None)
        await self._send(head if changed is None else {**head, "headers": _encoded(changed)})
        if pieces:
            await self._send({"type": "http.response.body", "body": b"".join(pieces), "more_body": more})

    def _fed(self, message: Message) -> Message:
        assert self._stream is not None
        data = self._stream.feed(message.get("body", b""))
        if not message.get("more_body", False):
            data += guarded(self._stream.finish, None) or self._stream.abandon()
        return {**message, "body": data}

    def _planned(self) -> Plan:
        if not self._bar_wanted:
            return _LEFT
        return plan_of(self._method, self._served.status, self._given, self._destination)

    def _headers(self, headers: list[Header]) -> list[Header]:
        if self._plan.drop_length:
            headers = [header for header in headers if header[0].lower() != "content-length"]
        elif self._plan.insert is Insert.STREAM:
            headers = with_bar(headers, None)
        return [*headers, *self._more()]

    def _with_bar(self, page: bytes) -> tuple[bytes, list[Header]] | None:
        changed = insert(page, self._plan.encoding, self._bar)
        return None if changed is None else (changed, [*with_bar(self._given, len(changed)), *self._more()])

    def _more(self) -> list[Header]:
        return self._served.headers(self._served.figures())

    def _bar(self) -> bytes:
        served = self._served
        return bar_of(served.figures(), served.what, served.status, served.link, self._plan.nonce)


def _ring_here() -> LoopRing | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # another library's
        return None
    return ring_of(loop)


def _below(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


def _passed_on(headers: Any, trace: TraceParent) -> list[tuple[bytes, bytes]]:
    """The request's headers with our own place in the trace."""
    gone = {b"traceparent"} if trace.parent else {b"traceparent", b"tracestate"}
    kept = [(name, value) for name, value in headers if bytes(name).lower() not in gone]
    return [*kept, (b"traceparent", trace.header.encode())]


def _encoded(headers: list[Header]) -> list[tuple[bytes, bytes]]:
    # ASGI has names in lower case.
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _hearing_of_the_end(send: Send) -> Send:
    """Passes the messages of the application's life on, and says in the recording that it ended in good order."""

    async def heard(message: Message) -> None:
        await send(message)
        if message["type"].startswith("lifespan.shutdown."):
            guarded(loop_ends, None)

    return heard


def _watching(served: Served, send: Send) -> Send:
    """Passes a WebSocket's messages on, and hears how its handshake ended."""

    async def watched(message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            served.status = 101
        elif kind == "websocket.http.response.start":
            served.status = message["status"]
        elif kind == "websocket.close" and not served.status:
            served.status = 403
        await send(message)

    return watched
