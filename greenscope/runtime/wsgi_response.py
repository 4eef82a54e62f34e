"""The answer to one request: its status line and headers, its body's framing, and what was written.

Owns ``Response``, the half of ``WSGIHandler`` that the application talks to: ``start_response``, ``write``,
and the sending of what it returns. The head waits for the first piece of the body, and both go out in
one ``send``; a list's whole body does, up to a size.

How the body ends is said by a Content-Length, the application's or, of a list, ours; else by chunks; else,
for HTTP/1.0, by closing. Refuses to send more or less than the length that was promised: before the head
is out that is the application's error, and afterwards the connection is closed, so that the client sees it.
"""

from __future__ import annotations

from time import gmtime, time
from types import TracebackType
from typing import Any

__all__ = ["Response"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TOGETHER = 65536  # bytes of body that are copied behind the head, because that is quicker than two sends

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]


class _Date:
    """The Date header's line, made once a second."""

    second = 0
    line = ""


class Response:
    """What a handler knows of the answer that it is sending."""

    socket: Any
    server: Any
    request: Any
    close_connection: bool
    broken: bool

    status: str | None
    """What ``start_response`` was given; None before."""
    code: int
    """Its three digits; 0 before."""
    response_headers: list[tuple[str, str]]
    headers_sent: bool
    response_length: int
    """Bytes of body that were written."""
    response_use_chunked: bool
    provided_content_length: int | None
    """The application's."""
    provided_date: bool
    _connection_given: bool
    _bodiless: bool
    _block: str
    _written: bool

    def _response_begins(self) -> None:
        self.status = None
        self.code = 0
        self.headers_sent = self.response_use_chunked = self._bodiless = False
        self.response_length = 0

    # What the application calls.

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Any:
        """Say how the answer begins; PEP 3333's.

        Returns:
            ``write``.

        Raises:
            AssertionError: it was said already, and ``exc_info`` says no reason to say it again.
            TypeError: something is not a ``str``.
            ValueError: the status is none, or a line would end where it must not.
        """
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise AssertionError("start_response was called twice, the second time without exc_info")
        length: int | None = None
        date = connection = False
        block = ""
        count = 1
        for name, value in headers:
            key = name.lower()
            if key == "transfer-encoding":  # how the body is framed is ours to say; that of an upstream goes away
                continue
            if key == "content-length":
                length = _length_of(value)
            elif key == "date":
                date = True
            elif key == "connection":
                connection = True
                tokens = value.lower()
                if "close" in tokens or "upgrade" in tokens:
                    self.close_connection = True
            if name.__class__ is not str or value.__class__ is not str:
                _check(status, headers)
            block = f"{block}{name}: {value}\r\n"
            count += 1
        code = status[:3]
        if not (code.isdecimal() and code.isascii() and status[3:4] in {"", " "}):
            raise ValueError(f"a status is three digits and a phrase, as in '200 OK'; not {status!r}")
        block = f"HTTP/1.1 {status}\r\n{block}"
        if block.count("\r") != count or block.count("\n") != count or "\0" in block or not block.isascii():
            _check(status, headers)
        self.code = int(code)
        self.status = status
        self.response_headers = headers
        self.provided_content_length = length
        self.provided_date = date
        self._connection_given = connection
        self._block = block
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body.

        Raises:
            AssertionError: ``start_response`` was not called.
            TypeError: it is not ``bytes``.
            ValueError: it is more than the Content-Length that was promised.
        """
        if data.__class__ is not bytes:
            data = _bytes_of(data)
        head = b"" if self.headers_sent else self._head(None)
        total = self.response_length + len(data)
        promised = self.provided_content_length
        if promised is not None and total > promised and not self._bodiless:
            raise ValueError(f"the body is longer than the Content-Length, {promised}; {total} bytes were written")
        self.headers_sent = True
        if self._bodiless:
            data = b""
        else:
            self.response_length = total
            if self.response_use_chunked and data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        if head:
            if len(data) > _TOGETHER:
                self._send(head)
            else:
                data = head + data
        if data:
            self._send(data)

    # What it returned.

    def _send_pieces(self, pieces: Any) -> None:
        """An iterable's: each is sent before the next is asked for."""
        write = self.write
        for data in pieces:
            if data:
                write(data)
        self._finish()

    def _send_whole(self, pieces: Any) -> None:
        """A list's or a tuple's, of which the length is known."""
        if self.headers_sent or self.status is None:
            self._send_pieces(pieces)
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data.__class__ is not bytes:
            data = _bytes_of(data)
        length = len(data)
        head = self._head(length)
        if self._bodiless:
            data = b""
        else:
            promised = self.provided_content_length
            if promised is not None and promised != length:
                raise ValueError(f"the body is {length} bytes, and the Content-Length says {promised}")
            self.response_length = length
        self.headers_sent = True
        if length > _TOGETHER and data:
            self._send(head)
            self._send(data)
        else:
            self._send(head + data)

    def _finish(self) -> None:
        """There is nothing more."""
        if not self.headers_sent:
            head = self._head(self.response_length)
            promised = self.provided_content_length
            if promised and not self._bodiless:
                raise ValueError(f"the body is empty, and the Content-Length says {promised}")
            self.headers_sent = True
            self._send(head)
        elif self.response_use_chunked:
            self._send(b"0\r\n\r\n")
        else:
            promised = self.provided_content_length
            if promised is not None and promised != self.response_length and not self._bodiless:
                self.close_connection = True
                raise ValueError(f"the body is {self.response_length} bytes, and the Content-Length says {promised}")

    def _head(self, length: int | None) -> bytes:
        """Status line and headers; decides how the body is framed.

        Args:
            length: the body's, if it is known and the application did not say it.
        """
        if self.status is None:
            raise AssertionError("the application sent a body without calling start_response")
        request = self.request
        block = self._block
        code = self.code
        body = request.input
        if not body.complete and (body.expects or body.expects_more_than(self.server.max_drain)):
            self.close_connection = True  # nobody will receive the rest of the request
        if code < 200 or code in {204, 304}:
            self._bodiless = True
        else:
            self._bodiless = request.head_only
            if self.provided_content_length is None:
                if length is not None:
                    if length or not request.head_only:
                        block = f"{block}Content-Length: {length}\r\n"
                elif not request.old:
                    self.response_use_chunked = not request.head_only
                    block += "Transfer-Encoding: chunked\r\n"
                else:
                    self.close_connection = True
        if self.server.stopping:
            self.close_connection = True
        if not self._connection_given:
            if self.close_connection:
                block += "Connection: close\r\n"
            elif request.old:
                block += "Connection: keep-alive\r\n"
        if not self.provided_date:
            now = int(time())
            if now != _Date.second:
                _Date.line = http_date(now)
                _Date.second = now
            block += _Date.line
        return f"{block}\r\n".encode("latin-1")

    def _send(self, data: bytes) -> None:
        raise NotImplementedError


def http_date(seconds: int) -> str:
    """The Date header of a time, with its end of line (RFC 9110, 5.6.7)."""
    year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    return f"Date: {_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT\r\n"


def _length_of(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"a Content-Length is a number of bytes; not {value!r}")
    return int(value)


def _bytes_of(data: Any) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a body is made of bytes, not of {type(data).__name__}; encode it")


def _check(status: Any, headers: Any) -> None:
    """Say which header is wrong; one that is just not ASCII is not."""
    texts = [("the status", status)]
    for name, value in headers:
        texts += (("the header's name", name), (f"the header {name!r}", value))
    for what, text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{what} is not a str but {type(text).__name__}")
        if "\r" in text or "\n" in text or "\0" in text:
            raise ValueError(f"{what} has the end of a line in it: {text!r}")
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"{what} has a character that is not of Latin-1: {text!r}") from None
