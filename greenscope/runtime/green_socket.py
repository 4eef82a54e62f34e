"""The green socket: a real, non-blocking socket, and the waiting around it.

Owns the class ``socket``; the module of that name has the functions. It wraps a ``_socket.socket``
instead of being one, so that a program can tell the two apart and nothing blocks by inheritance. Every
call tries the system call first and waits only when the kernel says that it would block, so a socket
that has data costs what a plain one costs.

Two watchers, read and write, made when first waited on. One greenlet waits on each at a time; a second
is refused, because which of two readers gets which bytes is never what anybody wanted. The watchers
are closed before the descriptor is, which wakes whoever waits with EBADF.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as stdlib
import time
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from warnings import warn

from greenscope.runtime.attempt import receive, transmit
from greenscope.runtime.current import current
from greenscope.runtime.hub import ConcurrentObjectUseError, get_hub
from greenscope.runtime.loop import READ, WRITE, IoWatcher
from greenscope.runtime.recorded_calls import record_calls
from greenscope.runtime.resolve import format_address, resolve
from greenscope.runtime.socket_connect import Connecting
from greenscope.runtime.socket_files import file_of
from greenscope.runtime.socket_messages import Messages
from greenscope.runtime.socket_options import Options
from greenscope.runtime.socket_sendfile import SendingFiles
from greenscope.runtime.socket_waiting import let_go, release
from greenscope.runtime.timeout import WaitTimeout
from greenscope.trace.events import Origin

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["socket"]

_WOULD_BLOCK = os.strerror(errno.EAGAIN)
_CLOSED_ELSEWHERE = "File descriptor was closed in another greenlet"


class _OwnTimeout:
    """The type of the default of a ``timeout`` argument: the socket's own."""


_OWN = _OwnTimeout()
_ACCEPTED = int(Origin.ACCEPTED)


class socket(Messages, Connecting, SendingFiles, Options):  # noqa: N801  (the standard library's name)
    """A socket whose calls let other greenlets run while they wait.

    Args:
        family, type, proto, fileno: as for the standard library's.
    """

    __slots__ = ("__weakref__", "_closed", "_io_refs", "_origin", "_peer", "_read", "_sock", "_write", "timeout")

    def __init__(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        if fileno is None:
            family = stdlib.AF_INET if family == -1 else family
            type = stdlib.SOCK_STREAM if type == -1 else type  # noqa: A001
            proto = 0 if proto == -1 else proto
        self._setup(_socket.socket(family, type, proto, fileno))

    def _setup(self, sock: _socket.socket) -> None:
        self.timeout = sock.gettimeout()  # the default; or 0, for a type with SOCK_NONBLOCK
        sock.setblocking(False)
        self._sock = sock
        self._closed = False
        self._io_refs = 0
        self._origin = 0
        self._peer: Any = None
        self._read: IoWatcher | None = None
        self._write: IoWatcher | None = None

    @classmethod
    def _around(cls, sock: _socket.socket, peer: Any = None) -> socket:
        """Of a connection that was accepted."""
        new = cls.__new__(cls)
        new._setup(sock)
        new._origin = _ACCEPTED
        new._peer = peer
        return new

    # Waiting.

    def _wait(
        self,
        watcher: IoWatcher,
        timeout_exc: BaseException | None = None,
        timeout: float | _OwnTimeout | None = _OWN,
    ) -> None:
        """Park until ``watcher`` fires; raise ``timeout_exc`` when the time is over."""
        seconds = self.timeout if timeout is _OWN else timeout
        hub = current.hub
        if hub is None:
            hub = get_hub()
        if watcher.loop is not hub.loop:
            watcher = self._moved(watcher)
        if seconds is None:
            hub.wait_io(watcher)
            return
        if watcher.greenlet is not None:
            hub.refuse_second_wait(watcher)
        timer = WaitTimeout(seconds, timeout_exc, ref=False)  # type: ignore[arg-type]
        timer.start()
        try:
            hub.wait_io_within(watcher)
        finally:
            timer.cancel()

    def _reader(self) -> IoWatcher:
        watcher = self._read
        if watcher is None:
            loop, peer = get_hub().loop, self._peer_bytes()
            watcher = self._read = loop.io(self._sock.fileno(), READ, peer=peer, origin=self._origin)
        return watcher

    def _writer(self) -> IoWatcher:
        watcher = self._write
        if watcher is None:
            loop, peer = get_hub().loop, self._peer_bytes()
            watcher = self._write = loop.io(self._sock.fileno(), WRITE, peer=peer, origin=self._origin)
        return watcher

    def _moved(self, watcher: IoWatcher) -> IoWatcher:
        """The same watcher in this thread's (or, after a fork, this process's) loop."""
        loop = watcher.loop
        if not loop.closed:
            if watcher.greenlet is not None:
                raise ConcurrentObjectUseError(f"cannot wait for {watcher.describe()}: another thread waits for it")
            loop.call_threadsafe(watcher.close)
        if watcher is self._read:
            self._read = None
            return self._reader()
        self._write = None
        return self._writer()

    def _peer_bytes(self) -> bytes:
        """What it talks to, for the recording; worked out once."""
        if not isinstance(self._peer, bytes):
            self._peer = self._describe_peer().encode(errors="replace")
        peer: bytes = self._peer
        return peer

    def _describe_peer(self) -> str:
        if self._peer is not None:
            return format_address(self._peer)
        try:
            return format_address(self._sock.getpeername())
        except OSError:
            pass
        try:
            if self._sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_ACCEPTCONN):
                return f"listening {format_address(self._sock.getsockname())}"
        except OSError:
            pass
        return ""

    # Receiving.

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Up to ``bufsize`` bytes; none at the end of the stream."""
        if flags:
            return self._recv_with_flags(bufsize, flags)
        while (data := receive(self._sock, bufsize, flags)) is None:
            watcher = self._read
            if watcher is not None and self.timeout is None and watcher.wait():
                continue  # nearly always, and so without another call
            if self.timeout == 0.0:
                raise BlockingIOError(errno.EAGAIN, _WOULD_BLOCK)
            self._wait(watcher or self._reader())
        return data

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """``recv`` into a buffer; the number of bytes."""
        if flags:
            return self._recv_into_with_flags(buffer, nbytes, flags)
        while True:
            try:
                return self._sock.recv_into(buffer, nbytes, flags)
            except BlockingIOError:
                if self.timeout == 0.0:
                    raise
            self._wait(self._read or self._reader())

    def accept(self) -> tuple[socket, Any]:
        """The next connection, as a green socket, and its peer's address."""
        fd, address = self._reading(self._sock._accept)  # type: ignore[attr-defined]
        raw = self._sock
        return socket._around(_socket.socket(raw.family, raw.type, raw.proto, fd), address or None), address

    # Sending.

    def send(self, data: ReadableBuffer, flags: int = 0, timeout: float | _OwnTimeout | None = _OWN) -> int:
        """Send what the kernel takes; the number of bytes, which is 0 if it took none after one wait."""
        sent = transmit(self._sock, data, flags)
        if sent is None:
            if (self.timeout if timeout is _OWN else timeout) == 0.0 or flags & _socket.MSG_DONTWAIT:
                raise BlockingIOError(errno.EAGAIN, _WOULD_BLOCK)
            self._wait(self._write or self._writer(), None, timeout)
            sent = transmit(self._sock, data, flags)
        return sent or 0

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it together."""
        sent = transmit(self._sock, data, flags)
        if sent is None:
            if self.timeout == 0.0 or flags & _socket.MSG_DONTWAIT:
                raise BlockingIOError(errno.EAGAIN, _WOULD_BLOCK)
            sent = 0
        if data.__class__ is bytes and sent == len(data):
            return
        with memoryview(data) as view, view.cast("B") as rest:
            if sent == len(rest):
                return
            seconds = self.timeout
            end = time.monotonic() + seconds if seconds else 0.0
            while sent < len(rest):
                if seconds:
                    seconds = end - time.monotonic()
                    if seconds <= 0:
                        raise TimeoutError("timed out")
                sent += self.send(rest[sent:], flags, seconds)

    # Listening.

    def bind(self, address: Any) -> None:
        """Give it an address."""
        self._sock.bind(resolve(address, self._sock.family))

    def listen(self, backlog: int = 128) -> None:
        """Let others connect to it."""
        self._sock.listen(backlog)

    # Ending.

    def close(self) -> None:
        """Close it, once the files made of it are closed too; whoever waits on it gets EBADF."""
        if not self._closed:
            self._closed = True
            if self._io_refs <= 0:
                self._real_close()

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed and self._io_refs <= 0:
            self._real_close()

    def _real_close(self) -> None:
        self._release(True)

    def _release(self, close: bool) -> None:
        watchers = [watcher for watcher in (self._read, self._write) if watcher is not None]
        self._read = self._write = None
        elsewhere = let_go(watchers)
        if not close:
            release(elsewhere, None)
            return
        sock = self._sock
        hub = current.hub
        if hub is not None and not hub.loop.closed:  # what else waits for it: select, wait_read
            hub.loop.closing_fd(sock.fileno())
        if elsewhere:  # closed for all who ask, whenever the other thread comes to it
            release(elsewhere, partial(_socket.close, sock.detach()))
        else:
            sock.close()

    def __del__(self) -> None:
        sock = getattr(self, "_sock", None)
        if sock is not None and sock.fileno() >= 0:
            try:
                if not self._closed:  # else it is its files that were dropped, which is nobody's mistake
                    warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self._release(True)

    def cancel_wait(self) -> None:
        """Raise EBADF in the greenlets that wait on it."""
        for watcher in (self._read, self._write):
            if watcher is not None:
                watcher.cancel(OSError(errno.EBADF, _CLOSED_ELSEWHERE))

    def shutdown(self, how: int) -> None:
        """End one or both directions; whoever waits on them gets EBADF."""
        if how in (stdlib.SHUT_RD, stdlib.SHUT_RDWR) and self._read is not None:
            self._read.cancel(OSError(errno.EBADF, _CLOSED_ELSEWHERE))
        if how in (stdlib.SHUT_WR, stdlib.SHUT_RDWR) and self._write is not None:
            self._write.cancel(OSError(errno.EBADF, _CLOSED_ELSEWHERE))
        self._sock.shutdown(how)

    def detach(self) -> int:
        """Let go of the descriptor without closing it; the descriptor."""
        self._closed = True
        self._release(False)
        fd = self._sock.detach()
        if self.timeout is None and fd >= 0:  # whoever has it now (a pipe of multiprocessing's) expects it so
            try:
                os.set_blocking(fd, True)
            except OSError:  # it was closed behind our back
                pass
        return fd

    def dup(self) -> Self:
        """Another socket for the same connection."""
        new = self.__class__(self.family, self.type, self.proto, fileno=_socket.dup(self.fileno()))
        new.timeout = self.timeout
        new._origin = self._origin
        return new

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """A file of it; as the standard library's."""
        return file_of(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self.close()


record_calls(socket)
