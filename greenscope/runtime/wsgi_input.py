"""``wsgi.input``: the body of a request, received as the application reads it.

Owns ``Input``, and ``NoInput`` for requests without a body, which is nearly all. Nothing is received before
it is asked for, so a client is held back by an application that is slow to read; and a client that
wants to be told to go on (``Expect: 100-continue``) is told when the application first asks.
Refuses to end early in silence: a client that goes away in the middle is a ConnectionResetError.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from typing import Any

__all__ = ["Input", "NoInput"]


class NoInput:
    """The body of a request that has none; one for all of them."""

    __slots__ = ()

    complete = True
    expects = False

    def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def readline(self, size: int | None = -1) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def readlines(self, hint: int | None = -1) -> list[bytes]:  # noqa: ARG002
        """No lines."""
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def discard(self, limit: int) -> bool:  # noqa: ARG002
        """Nothing is left to be received."""
        return True

    def end(self) -> None:
        """Nothing ends."""

    def expects_more_than(self, limit: int) -> bool:  # noqa: ARG002
        """Never."""
        return False


class Input:
    """The body of a request.

    Args:
        connection: ``receive_body()`` receives some of it, and has it fed to us.
        length: its bytes; None if it comes in chunks.
        expects: whether the client waits to be told to send it.
    """

    __slots__ = ("_chunks", "_connection", "_held", "_length", "_received", "_start", "complete", "expects")

    complete: bool
    """Whether all of it was received."""

    def __init__(self, connection: Any, length: int | None, expects: bool) -> None:
        self._connection = connection
        self._length = length
        self._chunks: deque[bytes] = deque()
        self._start = 0  # in the first chunk
        self._held = 0  # bytes in the chunks
        self._received = 0
        self.complete = False
        self.expects = expects

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, fewer only at the end; all that is left if it is negative or None."""
        if size is None or size < 0:
            while self._more():
                pass
            return self._take(self._held)
        while self._held < size and self._more():
            pass
        return self._take(min(size, self._held))

    def readline(self, size: int | None = -1) -> bytes:
        """Up to and with the next newline, or ``size`` bytes, or the end."""
        if size is None or size < 0:
            size = -1
        elif size == 0:
            return b""
        index, scanned = 0, -self._start
        while True:
            while index < len(self._chunks):
                chunk = self._chunks[index]
                at = chunk.find(b"\n", self._start if index == 0 else 0)
                end = scanned + (len(chunk) if at < 0 else at + 1)
                if 0 <= size <= end:
                    return self._take(size)
                if at >= 0:
                    return self._take(end)
                scanned = end
                index += 1
            if not self._more():
                return self._take(self._held)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """The lines that are left; of so many bytes, about, if ``hint`` is positive."""
        lines, total = [], 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    # The server's side.

    def feed(self, data: bytes) -> None:
        """Some of it was received."""
        self._chunks.append(data)
        self._held += len(data)
        self._received += len(data)
        self.expects = False

    def discard(self, limit: int) -> bool:
        """Receive what the application left, and drop it; whether that was all, within ``limit`` bytes."""
        if self.expects or self.expects_more_than(limit):
            return self.complete
        before = self._received
        while not self.complete and self._received - before <= limit:
            self._chunks.clear()
            self._start = self._held = 0
            self._receive()
        return self.complete

    def missing(self) -> int:
        """Bytes that are still to come; 0 if nobody knows."""
        return 0 if self._length is None else self._length - self._received

    def expects_more_than(self, limit: int) -> bool:
        """Whether more is to come than anybody wants to receive for nothing."""
        return not self.complete and self._length is not None and self._length - self._received > limit

    def end(self) -> None:
        """The request is done; who still reads gets what is here, and then an error."""
        self._connection = None

    def _more(self) -> bool:
        if self.complete:
            return False
        if self._connection is None:
            raise ValueError("the request was answered; its body cannot be read any more")
        if self.expects:
            self.expects = False
            self._connection.send_continue()
        self._receive()
        return True

    def _receive(self) -> None:
        if not self._connection.receive_body():
            of = "" if self._length is None else f" of {self._length}"
            raise ConnectionResetError(
                errno.ECONNRESET, f"the client went away after {self._received}{of} bytes of the request's body"
            )

    def _take(self, size: int) -> bytes:
        if not size:
            return b""
        chunks, start = self._chunks, self._start
        first = chunks[0]
        self._held -= size
        end = start + size
        if end < len(first):
            self._start = end
            return first[start:end]
        self._start = 0
        chunks.popleft()
        if end == len(first):
            return first[start:] if start else first
        parts = [first[start:]]
        size -= len(first) - start
        while size:
            chunk = chunks[0]
            if len(chunk) <= size:
                parts.append(chunks.popleft())
            else:
                parts.append(chunk[:size])
                self._start = size
            size -= len(parts[-1])
        return b"".join(parts)
