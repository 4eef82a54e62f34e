"""The bytes of a connection, made into requests: what the WSGI server knows of HTTP's syntax.

Owns ``RequestParser`` and ``Request``. It is fed what was received and puts a ``Request`` into ``requests``
as soon as its head is complete, with a WSGI environ that is ready but for the client's address. It does
no I/O and never waits: a greenlet must not leave in the middle of a callback of the parser's.

The grammar is llhttp's, through ``httptools``, in its strict mode: a line ends in CR LF and nothing else,
no folded headers, no second Content-Length, none beside Transfer-Encoding, and nothing that a proxy in
front of us could have read in another way. What is refused here is the rest of that: a Host that is missing
or twice, a Transfer-Encoding that is not just "chunked" or came with HTTP/1.0, a header with an underscore
(it would pass for the one with a dash; left out), and what is too long. Trailers are read and dropped.

Requests that a client sends without waiting for the answers are parsed ahead, but not by more than some
kilobytes: eighteen bytes are enough for a request, and an environ takes a hundred times that. An error
strikes (``error``) when those before it have been served.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import unquote_to_bytes

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from greenscope.runtime.wsgi_input import Input, NoInput
from greenscope.trace.debugging import debugging

__all__ = ["NAMING", "NO_INPUT", "Limits", "Request", "RequestError", "RequestParser"]

NO_INPUT = NoInput()
NAMING = frozenset({"HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT"})
"""What gives a request a name. A process that has never seen one looks for none in each request."""
_MOST_KEYS = 1000
_AT_ONCE = 4096  # bytes that are parsed at a time; more of a body, of which the length is known
_keys: dict[bytes, str] = {}  # of the environ, by the header's name as it was sent


class RequestError(OSError):
    """A request that cannot be answered but with an error.

    Args:
        status: the answer's, with its phrase.
        reason: what was wrong.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Limits:
    """What a request may have; more is refused.

    Args:
        line: bytes of the request's target.
        head: bytes of its line and headers together.
        headers: how many headers.
    """

    __slots__ = ("head", "headers", "line")

    def __init__(self, line: int, head: int, headers: int) -> None:
        self.line = line
        self.head = head
        self.headers = headers


class Request:
    """A request whose head is complete; its body may still be on the way."""

    __slots__ = ("environ", "head_only", "input", "keep_alive", "method", "old", "target")

    environ: dict[str, Any]
    method: str
    keep_alive: bool
    old: bool
    """Whether it came with HTTP/1.0: no chunks in the answer."""
    head_only: bool
    input: Input | NoInput

    def __init__(self, target: bytes) -> None:
        self.target = target

    @property
    def complete(self) -> bool:
        """Whether all of its body has been received."""
        return self.input.complete


class RequestParser:
    """Makes requests of what it is fed.

    Args:
        base: the environ's part that is the same for all; it is copied.
        limits: what is too much.
        connection: what a body asks for more (see ``Input``).
    """

    __slots__ = ("_base", "_body", "_dry", "_environ", "_left", "_limits", "_parser", "_request", "_rest",
                 "ahead", "connection", "error", "requests")  # fmt: skip

    ahead: bytes
    """What was fed and is not parsed yet: ``go_on`` parses some of it."""

    error: RequestError | None
    """What is wrong with what comes after ``requests``."""

    def __init__(self, base: dict[str, Any], limits: Limits, connection: Any) -> None:
        self.requests: deque[Request] = deque()
        self.ahead = b""
        self.error = None
        self.connection = connection
        self._base = base
        self._limits = limits
        self._request: Request | None = None  # whose head, or body, is not complete
        self._environ: dict[str, Any] | None = None  # while a head is being read
        self._body: Input | None = None
        self._left = 0  # headers that may still come
        self._dry = 0  # bytes in a row that made nothing: neither a head nor a piece of a body
        self._rest: bytes | None = None  # what came after a request that asked for an upgrade
        self._parser: Any = HttpRequestParser(self)

    @property
    def begun(self) -> bool:
        """Whether a head has begun, and has not ended."""
        return self._environ is not None or (self._dry > 0 and self._body is None)

    def feed(self, data: bytes) -> None:
        """Parse some of ``data``; look at ``requests``, ``error`` and ``ahead`` afterwards."""
        if self.error is not None:
            return
        if self._rest is not None:
            self._rest += data
            return
        if len(data) > _AT_ONCE:
            most = _AT_ONCE if self._body is None else max(_AT_ONCE, self._body.missing())
            data, self.ahead = data[:most], data[most:]
        self._dry += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :] + self.ahead
            self.ahead = b""
        except HttpParserError as error:
            self._failed(error)
        else:
            # What is left of a head, of a trailer or of a chunk's extension would else be kept for ever.
            if self._dry > self._limits.head:
                if self._body is None and self._environ is None:
                    self.error = RequestError("414 URI Too Long", "the request's line is too long")
                else:
                    self.error = RequestError("431 Request Header Fields Too Large", "the headers are too long")

    def go_on(self) -> None:
        """Parse some more of what was fed."""
        data, self.ahead = self.ahead, b""
        self.feed(data)

    def resume(self) -> None:
        """Go on after a request that asked for another protocol and was answered in this one."""
        rest, self._rest = self._rest, None
        if rest is not None:
            self._parser = HttpRequestParser(self)
            self._dry = 0
            if rest:
                self.feed(rest)

    def take_rest(self) -> bytes:
        """What has come after a request that asked for another protocol, which is then spoken."""
        rest, self._rest = self._rest, None
        return rest or b""

    def close(self) -> None:
        """Let go of the parser, which knows us: freed now, and not by the collector."""
        self._parser = self._request = self._environ = self._body = self.connection = self.error = None

    def _failed(self, error: Exception) -> None:
        if isinstance(error, HttpParserCallbackError):
            cause = error.__context__
            if not isinstance(cause, RequestError):
                raise cause or error
            self.error = cause.with_traceback(None)  # which knows our frames, and they know the error
        elif isinstance(error, HttpParserInvalidMethodError) and "Invalid" in str(error):
            self.error = RequestError("501 Not Implemented", "there is no such method")
        elif "version" in (text := str(error)) and "HTTP" in text and "Expected" not in text:
            self.error = RequestError("505 HTTP Version Not Supported", text)
        elif "Pause on PRI" in text:
            self.error = RequestError("505 HTTP Version Not Supported", "HTTP/2 is not spoken here")
        else:
            self.error = RequestError("400 Bad Request", text)

    # What the parser calls, in this order.

    def on_url(self, part: bytes) -> None:
        request = self._request
        if request is None:
            self._request = request = Request(part)
            self._environ = self._base.copy()
            self._left = self._limits.headers
        else:
            request.target += part
        if len(request.target) > self._limits.line:
            raise RequestError("414 URI Too Long", "the request's line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        environ = self._environ
        if environ is None:  # a trailer
            return
        left = self._left = self._left - 1
        if left < 0:
            raise RequestError("431 Request Header Fields Too Large", "there are too many headers")
        key = _keys.get(name)
        if key is None:
            key = _key(name)
            if not key:
                return
        if key in environ:
            if key == "HTTP_HOST":
                raise RequestError("400 Bad Request", "there are two Host headers")
            between = "; " if key == "HTTP_COOKIE" else ","
            environ[key] += between + value.rstrip().decode("latin-1")
        else:
            environ[key] = value.rstrip().decode("latin-1")

    def on_headers_complete(self) -> None:
        request, environ, parser = self._request, self._environ, self._parser
        assert request is not None
        assert environ is not None
        if self._dry > self._limits.head:
            self._check_size(request, environ)
        version = parser.get_http_version()
        if version == "1.1":
            request.old = False
            if "HTTP_HOST" not in environ:
                raise RequestError("400 Bad Request", "a request needs a Host header")
        elif version == "1.0":
            request.old = True
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        else:
            raise RequestError("505 HTTP Version Not Supported", f"HTTP/{version} is not spoken here")
        environ["REQUEST_METHOD"] = request.method = method = parser.get_method().decode("latin-1")
        request.head_only = method == "HEAD"
        request.keep_alive = parser.should_keep_alive()
        target = request.target.decode("latin-1")
        if target[0] != "/":
            target = _path_of(target, method, environ)
        path, _, query = target.partition("?")
        environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            self._body_begins(request, environ)
        else:
            request.input = environ["wsgi.input"] = NO_INPUT
        self._environ = None
        request.environ = environ
        self._dry = 0
        self.requests.append(request)

    def on_body(self, data: bytes) -> None:
        self._dry = 0
        if self._body is not None:
            self._body.feed(data)

    def on_message_complete(self) -> None:
        self._dry = 0
        self._request = None
        if self._body is not None:
            self._body.complete = True
            self._body = None

    def _body_begins(self, request: Request, environ: dict[str, Any]) -> None:
        coding = environ.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            if coding.lower() != "chunked":
                raise RequestError("501 Not Implemented", f"the transfer coding {coding!r} is not known here")
            if request.old:
                raise RequestError("400 Bad Request", "HTTP/1.0 has no Transfer-Encoding")
            length = None
        else:
            length = int(environ["CONTENT_LENGTH"])
        expects = environ.get("HTTP_EXPECT")
        if expects is not None and not request.old and expects.lower() != "100-continue":
            raise RequestError("417 Expectation Failed", f"nothing is known of {expects!r}")
        if length == 0:
            request.input = environ["wsgi.input"] = NO_INPUT
            return
        self._body = Input(self.connection, length, expects is not None and not request.old)
        request.input = environ["wsgi.input"] = self._body

    def _check_size(self, request: Request, environ: dict[str, Any]) -> None:
        """Whether the head was too long; asked if all that was fed together is: there may be a body in it."""
        size = len(request.target) + sum(
            len(key) + len(value)
            for key, value in environ.items()
            if key.startswith(("HTTP_", "CONTENT_")) and isinstance(value, str)
        )
        if size > self._limits.head:
            raise RequestError("431 Request Header Fields Too Large", "the headers are too long")


def _key(name: bytes) -> str:
    """What a header is called in the environ; nothing if it is not wanted there."""
    text = name.decode("latin-1").upper()
    if "_" in text:
        return ""
    key = text.replace("-", "_")
    if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        key = f"HTTP_{key}"
    if key in NAMING:
        debugging.named = True
    if len(_keys) < _MOST_KEYS and len(name) < 100:
        _keys[name] = key
    return key


def _path_of(target: str, method: str, environ: dict[str, Any]) -> str:
    """Path and query of a target that is not just these."""
    if method == "CONNECT":
        raise RequestError("501 Not Implemented", "this is no proxy")
    if target == "*" and method == "OPTIONS":
        return target
    _, slashes, rest = target.partition("://")
    if not slashes:
        raise RequestError("400 Bad Request", "the target is neither a path nor a URL")
    end = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
    environ["HTTP_HOST"] = rest[:end].rpartition("@")[2]  # RFC 9112, 3.2.2: it goes before the header
    path = rest[end:]
    return path if path.startswith("/") else f"/{path}"
