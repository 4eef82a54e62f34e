"""A part of the green socket: ``connect``, and what a connection in progress can become.

A socket that does not block begins to connect and says EINPROGRESS; it can be written when that is over,
and SO_ERROR says how. Two cases are not like that, and are the kernel's:

- A Unix socket whose peer has a full backlog says EAGAIN, and nothing tells when there is room. A
  blocking one would sleep in the kernel; so we try again after a while, and again.
- Connecting again while the first attempt is in progress is EALREADY, but a socket that blocks for ever
  waits for the first attempt instead. So does this one.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SO_ERROR, SOL_SOCKET
from errno import EAGAIN, EALREADY, EINPROGRESS
from time import monotonic
from typing import Any

from greenscope.runtime.hub import sleep
from greenscope.runtime.resolve import resolve
from greenscope.runtime.socket_parts import SocketPart
from greenscope.trace.events import Origin

__all__ = ["Connecting"]

_CONNECTED = int(Origin.CONNECTED)
_FIRST_DELAY = 0.001
_MOST_DELAY = 0.1


class Connecting(SocketPart):
    """Connecting."""

    __slots__ = ()

    def connect(self, address: Any) -> None:
        """Connect; a host's name is looked up without blocking the hub.

        Raises:
            gaierror: there is no such host.
            TimeoutError: the socket's timeout is over.
            OSError: the kernel's reason.
        """
        error = self._connect(address)
        if error:
            raise OSError(error, os.strerror(error))

    def connect_ex(self, address: Any) -> int:
        """``connect`` that returns the error's number, or 0; a timeout's is EAGAIN. A wrong host still raises."""
        address = resolve(address, self._sock.family)
        try:
            return self._connect(address)
        except TimeoutError as error:
            return error.errno or EAGAIN
        except OSError as error:  # the socket was closed meanwhile
            if error.errno is None or error.errno < 0:
                raise
            return error.errno

    def _connect(self, address: Any) -> int:
        sock = self._sock
        address = resolve(address, sock.family)
        if self._write is None and self._read is None:
            self._peer = address
            self._origin = _CONNECTED
        error = sock.connect_ex(address)
        if not error or self.timeout == 0.0:
            return error
        if error == EINPROGRESS or (error == EALREADY and self.timeout is None):
            self._wait(self._write or self._writer(), None, self.timeout)
            return sock.getsockopt(SOL_SOCKET, SO_ERROR)
        if error == EAGAIN and sock.family == AF_UNIX:
            return self._connect_to_full(address)
        return error

    def _connect_to_full(self, address: Any) -> int:
        end = None if self.timeout is None else monotonic() + self.timeout
        delay = _FIRST_DELAY
        error = EAGAIN
        while error == EAGAIN:
            if end is not None:
                left = end - monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                delay = min(delay, left)
            sleep(delay)
            delay = min(delay * 2, _MOST_DELAY)
            error = self._sock.connect_ex(address)
        return error
