"""A part of the green socket: what it is, what it is set to, and what it passes on to the kernel as it is.

Refuses to be pickled, in the standard library's words. ``timeout`` is the socket's own, because the C
socket inside never waits: to set it is no system call, and the GIL is kept. Some clients set it for every answer.
Where somebody else makes the descriptor wait (another process that has it, too), ``setblocking`` repairs that.
"""

from __future__ import annotations

import os
import socket as stdlib
from errno import EBADF
from typing import Any, NoReturn

from greenscope.runtime.seconds import seconds_of
from greenscope.runtime.socket_parts import SocketPart

__all__ = ["Options"]

_BAD = os.strerror(EBADF)
_get_inheritable = os.get_inheritable
_set_inheritable = os.set_inheritable
_AddressFamily = stdlib.AddressFamily
_SocketKind = stdlib.SocketKind


class Options(SocketPart):
    """Options and names."""

    __slots__ = ()

    def settimeout(self, value: float | None) -> None:
        """Seconds a call may wait: None is for ever, 0 not at all.

        Raises:
            TypeError, ValueError, OverflowError: it is no such number, negative, or beyond all clocks.
        """
        if value is not None:
            value = seconds_of(value)
            if value < 0:
                raise ValueError(f"a timeout is 0 or more seconds, or None; not {value}")
        if self._sock.fileno() < 0:
            raise OSError(EBADF, _BAD)
        self.timeout = value  # type: ignore[misc]

    def gettimeout(self) -> float | None:
        """Seconds a call may wait."""
        return self.timeout

    def setblocking(self, flag: bool) -> None:
        """Whether calls may wait."""
        self._sock.setblocking(False)  # says so if it is closed; and again, if somebody else made the descriptor wait
        self.timeout = None if flag else 0.0  # type: ignore[misc]

    def getblocking(self) -> bool:
        """Whether calls may wait."""
        return self.timeout != 0.0

    def fileno(self) -> int:
        """Its descriptor; -1 when it is closed."""
        return self._sock.fileno()

    @property
    def closed(self) -> bool:
        """Whether it was closed; gevent's."""
        return self._closed or self._sock.fileno() < 0

    def getsockname(self) -> Any:
        """Its own address."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """Its peer's address."""
        return self._sock.getpeername()

    def getsockopt(self, *arguments: int) -> Any:
        """An option."""
        return self._sock.getsockopt(*arguments)

    def setsockopt(self, *arguments: Any) -> None:
        """Set an option."""
        self._sock.setsockopt(*arguments)

    def get_inheritable(self) -> bool:
        """Whether child processes inherit it."""
        return _get_inheritable(self.fileno())

    def set_inheritable(self, inheritable: bool) -> None:
        """Have child processes inherit it, or not."""
        _set_inheritable(self.fileno(), inheritable)

    @property
    def family(self) -> stdlib.AddressFamily:
        """Its address family; a plain number if Python has no name for it."""
        number = self._sock.family
        try:
            return _AddressFamily(number)
        except ValueError:
            return number  # type: ignore[return-value]

    @property
    def type(self) -> stdlib.SocketKind:
        """Its type; a plain number if Python has no name for it."""
        number = self._sock.type
        try:
            return _SocketKind(number)
        except ValueError:
            return number  # type: ignore[return-value]

    @property
    def proto(self) -> int:
        """Its protocol."""
        return self._sock.proto

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {self.__class__.__name__!r} object")

    def __repr__(self) -> str:
        cls = type(self)
        sock: Any = getattr(self, "_sock", None)
        what = f"{cls.__module__}.{cls.__qualname__}"
        if sock is None:
            return f"<{what} [not made yet]>"
        fd = sock.fileno()
        text = (
            f"<{what}{' [closed]' if self._closed else ''} fd={fd}, "
            f"family={self.family!s}, type={self.type!s}, proto={self.proto}"
        )
        if fd >= 0 and not self._closed:
            for name, address in (("laddr", sock.getsockname), ("raddr", sock.getpeername)):
                try:
                    found = address()
                except OSError:
                    continue
                if found:
                    text += f", {name}={found}"
        return text + ">"
