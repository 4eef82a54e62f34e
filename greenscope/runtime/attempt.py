"""One attempt at a non-blocking socket: what it gives, or None if it would block.

Owns ``receive`` and ``transmit``, of which ``_attempt.c`` has faster ones: no exception is made only to
be caught. Refuses to wait, which is the green socket's business.
"""

from __future__ import annotations

import contextlib
from _socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["receive", "transmit"]


def receive(sock: socket, bufsize: int, flags: int, /) -> bytes | None:
    """``sock.recv(bufsize, flags)``; None if it would block."""
    try:
        return sock.recv(bufsize, flags)
    except BlockingIOError:
        return None


def transmit(sock: socket, data: ReadableBuffer, flags: int, /) -> int | None:
    """``sock.send(data, flags)``; None if it would block."""
    try:
        return sock.send(data, flags)
    except BlockingIOError:
        return None


if not TYPE_CHECKING:
    with contextlib.suppress(ImportError):
        from greenscope.runtime._attempt import receive, transmit
