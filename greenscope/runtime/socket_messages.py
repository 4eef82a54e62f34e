"""A part of the green socket: the calls for datagrams and messages, and whatever is not a plain stream's.

Owns ``_reading`` and ``_writing``, which make a green call of any of the kernel's: try it, wait if it
would block, try again. The arguments go to the C socket as they came, so that a wrong one is refused in
the standard library's words; only a host's name is looked up before, because C would block for it.

MSG_DONTWAIT and MSG_WAITALL mean what they mean to a socket that blocks, which the kernel does not know
that this one is.
"""

from __future__ import annotations

from _socket import MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, SOCK_STREAM
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenscope.runtime.resolve import resolve
from greenscope.runtime.socket_parts import SocketPart

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from greenscope.runtime.watcher import IoWatcher

__all__ = ["Messages"]


class Messages(SocketPart):
    """Datagrams and messages."""

    __slots__ = ()

    # Receiving.

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """A datagram's bytes and its sender."""
        got: tuple[bytes, Any] = self._reading(self._sock.recvfrom, bufsize, flags, flags=flags)
        return got

    def recvfrom_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """``recvfrom`` into a buffer; the number of bytes and the sender."""
        got: tuple[int, Any] = self._reading(self._sock.recvfrom_into, buffer, nbytes, flags, flags=flags)
        return got

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """A message with its ancillary data."""
        got: tuple[bytes, list[Any], int, Any] = self._reading(
            self._sock.recvmsg, bufsize, ancbufsize, flags, flags=flags
        )
        return got

    def recvmsg_into(
        self, buffers: Iterable[WriteableBuffer], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """``recvmsg`` into buffers; the number of bytes first."""
        got: tuple[int, list[Any], int, Any] = self._reading(
            self._sock.recvmsg_into, _again(buffers), ancbufsize, flags, flags=flags
        )
        return got

    def _accept(self) -> tuple[int, Any]:
        """The descriptor of the next connection, and its peer's address; ``accept`` makes a socket of it."""
        got: tuple[int, Any] = self._reading(self._sock._accept)  # type: ignore[attr-defined]
        return got

    def _recv_with_flags(self, bufsize: int, flags: int) -> bytes:
        """``recv`` where flags say how to wait."""
        data: bytes = self._reading(self._sock.recv, bufsize, flags, flags=flags)
        if data and len(data) < bufsize and self._waits_for_all(flags):
            blocks = [data]
            left = bufsize - len(data)
            while left > 0 and (data := self._reading(self._sock.recv, left, flags)):
                blocks.append(data)
                left -= len(data)
            data = b"".join(blocks)
        return data

    def _recv_into_with_flags(self, buffer: WriteableBuffer, nbytes: int, flags: int) -> int:
        """``recv_into`` where flags say how to wait."""
        count: int = self._reading(self._sock.recv_into, buffer, nbytes, flags, flags=flags)
        if count and self._waits_for_all(flags):
            with memoryview(buffer) as view, view.cast("B") as room:
                end = nbytes or len(room)
                while count < end and (more := self._reading(self._sock.recv_into, room[count:end], 0, flags)):
                    count += more
        return count

    def _waits_for_all(self, flags: int) -> bool:
        # What the kernel does for a socket that blocks for ever, and for no other.
        return (
            flags & (MSG_WAITALL | MSG_DONTWAIT | MSG_PEEK) == MSG_WAITALL
            and self.timeout is None
            and self._sock.type == SOCK_STREAM
        )

    # Sending.

    def sendto(self, data: ReadableBuffer, *flags_and_address: Any) -> int:
        """Send a datagram: ``sendto(data, address)`` or ``sendto(data, flags, address)``."""
        if flags_and_address:
            *flags, address = flags_and_address
            flags_and_address = (*flags, resolve(address, self._sock.family))
        flag = _flag(flags_and_address[:-1], 0)
        return self._writing(self._sock.sendto, data, *flags_and_address, flags=flag)

    def sendmsg(self, buffers: Iterable[ReadableBuffer], *rest: Any) -> int:
        """Send a message: ``sendmsg(buffers[, ancdata[, flags[, address]]])``."""
        if rest:
            rest = (_again(rest[0]), *rest[1:])
        if len(rest) == 3:
            rest = (*rest[:2], resolve(rest[2], self._sock.family))
        return self._writing(self._sock.sendmsg, _again(buffers), *rest, flags=_flag(rest, 1))

    def sendmsg_afalg(self, *arguments: Any, **options: Any) -> int:
        """Send to the kernel's cryptography: ``sendmsg_afalg([msg], *, op[, iv[, assoclen[, flags]]])``."""
        return self._writing(
            lambda: self._sock.sendmsg_afalg(*arguments, **options), flags=_flag((options.get("flags", 0),), 0)
        )

    # Waiting.

    def _reading(self, function: Callable[..., Any], *arguments: Any, flags: int = 0) -> Any:
        return self._repeating(self._reader, function, arguments, flags)

    def _writing(self, function: Callable[..., int], *arguments: Any, flags: int = 0) -> int:
        sent: int = self._repeating(self._writer, function, arguments, flags)
        return sent

    def _repeating(
        self, watcher: Callable[[], IoWatcher], function: Callable[..., Any], arguments: tuple[Any, ...], flags: int
    ) -> Any:
        """Call ``function`` until it need not wait; the timeout is for all of it together."""
        try:
            return function(*arguments)
        except BlockingIOError:
            seconds = self.timeout
            if seconds == 0.0 or (flags & MSG_DONTWAIT):
                raise
        end = None if seconds is None else monotonic() + seconds
        while True:
            self._wait(watcher(), None, seconds)
            try:
                return function(*arguments)
            except BlockingIOError:  # somebody else was faster
                seconds = _left(end)


def _flag(arguments: tuple[Any, ...], index: int) -> int:
    """The flags among positional arguments; what is none is for C to complain about."""
    flags = arguments[index] if len(arguments) > index else 0
    return flags if isinstance(flags, int) else 0


def _left(end: float | None) -> float | None:
    """Seconds until then; 0 is a wait that ends at once, with a timeout."""
    return None if end is None else max(0.0, end - monotonic())


def _again(items: Any) -> Any:
    """What can be gone through once for each try; C says what is wrong with what cannot at all."""
    return list(items) if isinstance(items, Iterable) else items
