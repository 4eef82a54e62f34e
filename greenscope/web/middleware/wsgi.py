"""The debug middleware for WSGI: every request in the trace, and what became of its time in the response.

Owns ``DebugMiddleware`` and what stands between an application and its server while one request is served. The
response is the application's: its pieces go out when it gives them, ``write`` and ``file_wrapper`` stay what they
are, an exception goes on to the server. What ``plan`` allows is done to a page (the bar), and two headers are added.

Pages with a Content-Length are kept until all of it is there, which is nearly always the first piece, because the
head with the new length goes out before them. Everything else goes out as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from greenscope.trace.traceparent import TraceParent, take_over
from greenscope.web.middleware.bar import bar_of
from greenscope.web.middleware.dashboard import dashboard
from greenscope.web.middleware.insertion import Stream, insert
from greenscope.web.middleware.plan import Header, Insert, Plan, plan_of, with_bar
from greenscope.web.middleware.served import Served, asked_for, guarded, quoted
from greenscope.web.middleware.settings import PREFIX, settings_of

__all__ = ["DebugMiddleware"]

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_INSIDE = "greenscope.middleware"  # in the environ: an outer one is at work
_LEFT = Plan(Insert.NOT)


class DebugMiddleware:
    """Says of every request where its time went: ``application = DebugMiddleware(application)``.

    Args:
        app: the WSGI application.
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        if not self.enabled or _INSIDE in environ:
            return self.app(environ, start_response)
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._prefix) and path[len(self._prefix) :][:1] in {"", "/"}:
            return dashboard(environ, start_response, self._prefix)
        served = guarded(partial(self._begin, environ), None)
        if served is None:
            return self.app(environ, start_response)
        response = _Response(served, environ, start_response, self.settings.bar)
        try:
            result = self.app(environ, response.start)
        except BaseException as error:
            _end(served, error)
            raise
        return guarded(partial(response.body, result), result)

    def _begin(self, environ: Environ) -> Served:
        trace = environ.get("greenscope.traceparent")
        if not isinstance(trace, TraceParent):
            trace = take_over(environ.get("HTTP_TRACEPARENT"))
        if not trace.parent:
            environ.pop("HTTP_TRACESTATE", None)  # it is of a trace that this is none of
        environ["HTTP_TRACEPARENT"] = trace.header
        environ[_INSIDE] = True
        script = environ.get("SCRIPT_NAME", "")
        path = f"{script}{environ.get('PATH_INFO', '')}".encode("latin-1", "replace")
        number = environ.get("greenscope.request")
        served = Served(
            asked_for(environ.get("REQUEST_METHOD", ""), path),
            environ.get("HTTP_X_REQUEST_ID"),
            trace,
            number if isinstance(number, int) else None,
            quoted(script.encode("latin-1", "replace")) + self._prefix,
        )
        environ["greenscope.request"] = served.number
        return served


class _Response:
    """What the application says, on its way to the server."""

    def __init__(self, served: Served, environ: Environ, start: StartResponse, bar: bool) -> None:
        self._served = served
        self._start = start
        self._method = environ.get("REQUEST_METHOD", "")
        self._destination = environ.get("HTTP_SEC_FETCH_DEST", "")
        self._file_wrapper = environ.get("wsgi.file_wrapper")
        self._bar_wanted = bar
        self._server_write: Write | None = None
        self._said: tuple[str, list[Header]] | None = None
        self.waiting = False  # whether the head is kept until there is a body
        self.plan = _LEFT
        self._stream: Stream | None = None

    # What the application calls.

    def start(self, status: str, headers: list[Header], exc_info: ExcInfo | None = None) -> Write:
        """``start_response``; PEP 3333's."""
        if exc_info is None and self._said is not None:
            raise AssertionError("start_response was called twice, the second time without exc_info")
        self._said = status, headers
        self.plan = guarded(self._planned, _LEFT)
        self._stream = None
        if exc_info is not None and self._server_write is not None:
            # The server knows a head already, and whether it is too late for another.
            self.plan = _LEFT
        try:
            self.waiting = self.plan.insert is Insert.WHOLE
            if not self.waiting:
                self._send_head(exc_info)
        except BaseException:
            if exc_info is None:
                self._said = None  # the server did not take it, and the application may say something else
            raise
        finally:
            exc_info = None
        return self.write

    def write(self, data: bytes) -> None:
        """What ``start_response`` returns: the body's first pieces, for applications of old."""
        if self.waiting:  # nobody knows how many there will be
            self._leave()
        sent = data if self._stream is None else self._stream.feed(data)
        if self._server_write is not None and sent:
            self._server_write(sent)

    # What it returned.

    def body(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """What the server is to send."""
        wrapper = self._file_wrapper
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            if self.waiting:
                self._leave()
            if self.plan.insert is Insert.NOT and self._told_at_its_close(result):
                return result  # as it is: the server may have a quicker way to send it
        if self.plan == _LEFT and isinstance(result, (list, tuple)):  # else a server may count its pieces
            return result if self._served.ends_elsewhere else _Listed(result, self._served)
        return _Pieces(result, self, self._served)

    def whole(self, pieces: list[bytes]) -> bytes:
        """The page, with the bar if it has a place for one; its head goes out now."""
        page = b"".join(pieces)
        changed = guarded(lambda: self._with_bar(page), None) if len(page) == self.plan.length else None
        if changed is None:
            self._leave()
            return page
        self.waiting = False
        page, headers = changed
        self._send_head(None, headers)
        return page

    def feed(self, data: bytes) -> bytes:
        """A piece of the body, as it goes out."""
        stream = self._stream
        return data if stream is None else guarded(lambda: stream.feed(data), data)

    def finish(self) -> bytes:
        """What is still to go out when the application has no more."""
        stream = self._stream
        return b"" if stream is None else guarded(stream.finish, None) or stream.abandon()

    # Inside.

    def _planned(self) -> Plan:
        assert self._said is not None
        status, headers = self._said
        self._served.status = int(status[:3])
        if not self._bar_wanted:
            return _LEFT
        return plan_of(self._method, self._served.status, headers, self._destination)

    def _with_bar(self, page: bytes) -> tuple[bytes, list[Header]] | None:
        """A page and its headers with the bar; None if it has no place for one."""
        assert self._said is not None
        changed = insert(page, self.plan.encoding, self._bar)
        return None if changed is None else (changed, [*with_bar(self._said[1], len(changed)), *self._more()])

    def _leave(self) -> None:
        """Let the response be what it is."""
        self.plan = _LEFT
        self.waiting = False
        self._send_head(None)

    def _send_head(self, exc_info: ExcInfo | None, headers: list[Header] | None = None) -> None:
        assert self._said is not None
        status, given = self._said
        if headers is None:
            headers = guarded(lambda: self._headers(given), None)
        if headers is None:
            headers = given
        elif self.plan.insert is Insert.STREAM:
            self._stream = Stream(self._bar)
        try:
            if exc_info is None:
                self._server_write = self._start(status, headers)
            else:
                self._server_write = self._start(status, headers, exc_info)
        finally:
            exc_info = None

    def _headers(self, headers: list[Header]) -> list[Header] | None:
        if type(headers) is not list:  # the server will say what is wrong with it
            return None
        changed = headers
        if self.plan.drop_length:
            changed = [header for header in headers if header[0].lower() != "content-length"]
        elif self.plan.insert is Insert.STREAM:
            changed = with_bar(headers, None)
        return [*changed, *self._more()]

    def _more(self) -> list[Header]:
        return self._served.headers(self._served.figures())

    def _bar(self) -> bytes:
        served = self._served
        return bar_of(served.figures(), served.what, served.status, served.link, self.plan.nonce)

    def _told_at_its_close(self, result: Any) -> bool:
        """Have the request end when the server closes ``result``; False if that cannot be."""
        if self._served.ends_elsewhere:
            return True
        close = getattr(result, "close", None)

        def closed() -> None:
            try:
                if close is not None:
                    close()
            finally:
                _end(self._served)

        try:
            result.close = closed
        except (AttributeError, TypeError):
            return False
        return True


class _Listed:
    """A body that is there already, and whose length a server may ask for."""

    def __init__(self, pieces: list[bytes] | tuple[bytes, ...], served: Served) -> None:
        self._pieces = pieces
        self._served = served

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        """The response is over."""
        _end(self._served)


class _Pieces:
    """A body that comes in pieces; the request ends when it is closed."""

    def __init__(self, result: Iterable[bytes], response: _Response, served: Served) -> None:
        self._result = result
        self._response = response
        self._served = served
        self._iterator: Iterator[bytes] | None = None
        self._error: BaseException | None = None
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._over:
            raise StopIteration
        try:
            if self._iterator is None:
                self._iterator = iter(self._result)
            data = next(self._iterator)
        except StopIteration:
            self._over = True
            rest = self._response.whole([]) if self._response.waiting else self._response.finish()
            if rest:
                return rest
            raise
        except BaseException as error:
            self._over = True
            self._error = error
            raise
        return self._whole(data) if self._response.waiting else self._response.feed(data)

    def _whole(self, data: bytes) -> bytes:
        """All of a page whose length is known."""
        assert self._iterator is not None
        pieces, length = [data], len(data)
        try:
            while length < self._response.plan.length and (piece := next(self._iterator, None)) is not None:
                pieces.append(piece)
                length += len(piece)
        except BaseException as error:
            self._over = True
            self._error = error
            raise
        return self._response.whole(pieces)

    def close(self) -> None:
        """The response is over, or nobody wants the rest of it."""
        error, self._error = self._error, None
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            _end(self._served, error)


def _end(served: Served, error: BaseException | None = None) -> None:
    guarded(lambda: served.end(error), None)
