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
import io
import os
import socket as stdlib
import time
from _thread import get_ident
from collections.abc import Iterable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from greenscope.runtime.hub import ConcurrentWaitError, current, get_hub
from greenscope.runtime.loop import READ, WRITE, IoWatcher
from greenscope.runtime.resolve import format_address, resolve
from greenscope.runtime.timeout import SocketTimeout
from greenscope.runtime.waiter import receive, transmit

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["socket"]

_WOULD_BLOCK = os.strerror(errno.EAGAIN)
_CLOSED_ELSEWHERE = "File descriptor was closed in another greenlet"


class _OwnTimeout:
    """The type of the default of a ``timeout`` argument: the socket's own."""


_OWN = _OwnTimeout()


class socket:  # noqa: N801  (the standard library's name)
    """A socket whose calls let other greenlets run while they wait.

    Args:
        family, type, proto, fileno: as for the standard library's.
    """

    __slots__ = ("__weakref__", "_closed", "_io_refs", "_peer", "_read", "_sock", "_write", "timeout")

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
        sock.setblocking(False)
        self._sock = sock
        self._closed = False
        self._io_refs = 0
        self._peer: Any = None
        self._read: IoWatcher | None = None
        self._write: IoWatcher | None = None
        self.timeout = _socket.getdefaulttimeout()

    @classmethod
    def _around(cls, sock: _socket.socket, peer: Any = None) -> socket:
        new = cls.__new__(cls)
        new._setup(sock)
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
            raise ConcurrentWaitError(
                f"cannot wait for {watcher.describe()}: greenlet "
                f"{getattr(watcher.greenlet, 'name', 'main')} waits for it already"
            )
        timer = SocketTimeout(seconds, timeout_exc, ref=False)  # type: ignore[arg-type]
        timer.start()
        try:
            hub.wait_io(watcher)
        finally:
            timer.cancel()

    def _reader(self) -> IoWatcher:
        watcher = self._read
        if watcher is None:
            watcher = self._read = get_hub().loop.io(self._sock.fileno(), READ, peer=self._peer_bytes())
        return watcher

    def _writer(self) -> IoWatcher:
        watcher = self._write
        if watcher is None:
            watcher = self._write = get_hub().loop.io(self._sock.fileno(), WRITE, peer=self._peer_bytes())
        return watcher

    def _moved(self, watcher: IoWatcher) -> IoWatcher:
        """The same watcher in this thread's (or, after a fork, this process's) loop."""
        loop = watcher.loop
        if not loop.closed:
            if watcher.greenlet is not None:
                raise ConcurrentWaitError(f"cannot wait for {watcher.describe()}: another thread waits for it")
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
        while (data := receive(self._sock, bufsize, flags)) is None:
            if self.timeout == 0.0:
                raise BlockingIOError(errno.EAGAIN, _WOULD_BLOCK)
            self._wait(self._read or self._reader())
        return data

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """``recv`` into a buffer; the number of bytes."""
        while True:
            try:
                return self._sock.recv_into(buffer, nbytes, flags)
            except BlockingIOError:
                if self.timeout == 0.0:
                    raise
            self._wait(self._read or self._reader())

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """A datagram's bytes and its sender."""
        got: tuple[bytes, Any] = self._reading(self._sock.recvfrom, bufsize, flags)
        return got

    def recvfrom_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """``recvfrom`` into a buffer; the number of bytes and the sender."""
        got: tuple[int, Any] = self._reading(self._sock.recvfrom_into, buffer, nbytes, flags)
        return got

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """A message with its ancillary data."""
        got: tuple[bytes, list[Any], int, Any] = self._reading(self._sock.recvmsg, bufsize, ancbufsize, flags)
        return got

    def recvmsg_into(
        self, buffers: Iterable[WriteableBuffer], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """``recvmsg`` into buffers; the number of bytes first."""
        got: tuple[int, list[Any], int, Any] = self._reading(self._sock.recvmsg_into, list(buffers), ancbufsize, flags)
        return got

    def accept(self) -> tuple[socket, Any]:
        """The next connection, as a green socket, and its peer's address."""
        fd, address = self._reading(self._sock._accept)  # type: ignore[attr-defined]
        raw = self._sock
        return socket._around(_socket.socket(raw.family, raw.type, raw.proto, fd), address or None), address

    def _reading(self, function: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                return function(*arguments)
            except BlockingIOError:
                if self.timeout == 0.0:
                    raise
            self._wait(self._read or self._reader())

    # Sending.

    def send(self, data: ReadableBuffer, flags: int = 0, timeout: float | _OwnTimeout | None = _OWN) -> int:
        """Send what the kernel takes; the number of bytes, which is 0 if it took none after one wait."""
        sent = transmit(self._sock, data, flags)
        if sent is None:
            if (self.timeout if timeout is _OWN else timeout) == 0.0:
                raise BlockingIOError(errno.EAGAIN, _WOULD_BLOCK)
            self._wait(self._write or self._writer(), None, timeout)
            sent = transmit(self._sock, data, flags)
        return sent or 0

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it together."""
        sent = transmit(self._sock, data, flags)
        if sent is None:
            if self.timeout == 0.0:
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

    def sendto(self, data: ReadableBuffer, *flags_and_address: Any) -> int:
        """Send a datagram: ``sendto(data, address)`` or ``sendto(data, flags, address)``."""
        if not flags_and_address:
            raise TypeError("sendto needs an address: sendto(data, address) or sendto(data, flags, address)")
        *flags, address = flags_and_address
        address = resolve(address, self._sock.family, self._sock.type)
        return self._writing(self._sock.sendto, data, *flags, address)

    def sendmsg(
        self, buffers: Iterable[ReadableBuffer], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None
    ) -> int:
        """Send a message with ancillary data."""
        return self._writing(self._sock.sendmsg, list(buffers), list(ancdata), flags, address)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a file's bytes; how many there were."""
        if offset:
            file.seek(offset)
        total = 0
        while count is None or total < count:
            block = file.read(65536 if count is None else min(65536, count - total))
            if not block:
                break
            self.sendall(block)
            total += len(block)
        return total

    def _writing(self, function: Callable[..., int], *arguments: Any) -> int:
        while True:
            try:
                return function(*arguments)
            except BlockingIOError:
                if self.timeout == 0.0:
                    raise
            self._wait(self._write or self._writer())

    # Connecting.

    def connect(self, address: Any) -> None:
        """Connect; a host name is looked up without blocking the hub."""
        address = resolve(address, self._sock.family, self._sock.type)
        if self._write is None and self._read is None:
            self._peer = address
        error = self._sock.connect_ex(address)
        if error == errno.EINPROGRESS and self.timeout != 0.0:
            self._wait(self._write or self._writer())
            error = self._sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    def connect_ex(self, address: Any) -> int:
        """``connect`` that returns the error's number, or 0."""
        try:
            socket.connect(self, address)  # not a subclass's, which may do more than connect
        except stdlib.gaierror:
            raise
        except TimeoutError as error:
            return error.errno or errno.EWOULDBLOCK
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def bind(self, address: Any) -> None:
        """Give it an address."""
        self._sock.bind(resolve(address, self._sock.family, self._sock.type))

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
        self._release_watchers(True)

    def _release_watchers(self, close: bool) -> None:
        watchers = [watcher for watcher in (self._read, self._write) if watcher is not None]
        self._read = self._write = None
        _release(watchers, self._sock, close)

    def __del__(self) -> None:
        # The descriptor goes with the inner socket, which says that it was not closed; before that,
        # the loop has to let go of it.
        if getattr(self, "_read", None) is not None or getattr(self, "_write", None) is not None:
            self._release_watchers(False)

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
        self._release_watchers(False)
        return self._sock.detach()

    def dup(self) -> socket:
        """Another socket for the same connection."""
        raw = self._sock
        new = socket(raw.family, raw.type, raw.proto, _socket.dup(raw.fileno()))
        new.timeout = self.timeout
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
        return _makefile(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self.close()

    # What is passed on as it is.

    def settimeout(self, value: float | None) -> None:
        """Seconds a call may wait: None is for ever, 0 not at all."""
        if value is not None and value < 0:
            raise ValueError(f"a timeout is 0 or more seconds, or None; not {value}")
        self.timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """Seconds a call may wait."""
        return self.timeout

    def setblocking(self, flag: bool) -> None:
        """Whether calls may wait."""
        self.timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Whether calls may wait."""
        return self.timeout != 0.0

    def fileno(self) -> int:
        """Its descriptor; -1 when it is closed."""
        return self._sock.fileno()

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
        return os.get_inheritable(self.fileno())

    def set_inheritable(self, inheritable: bool) -> None:
        """Have child processes inherit it, or not."""
        os.set_inheritable(self.fileno(), inheritable)

    @property
    def family(self) -> stdlib.AddressFamily:
        """Its address family."""
        return stdlib.AddressFamily(self._sock.family)

    @property
    def type(self) -> stdlib.SocketKind:
        """Its type."""
        return stdlib.SocketKind(self._sock.type)

    @property
    def proto(self) -> int:
        """Its protocol."""
        return self._sock.proto

    def __repr__(self) -> str:
        what = "closed" if self.fileno() < 0 else f"fd={self.fileno()}"
        return f"<greenscope socket {what} {self.family.name} {self.type.name}>"


def _release(watchers: list[IoWatcher], sock: _socket.socket, close: bool) -> None:
    """Close watchers, each in the thread of its loop, and only after that the socket, or drop it."""
    me = get_ident()
    elsewhere = []
    for watcher in watchers:
        if watcher.loop.thread == me or watcher.loop.closed:
            watcher.cancel(OSError(errno.EBADF, _CLOSED_ELSEWHERE))
            watcher.close()
        else:
            elsewhere.append(watcher)
    if elsewhere:
        elsewhere[0].loop.call_threadsafe(_release, elsewhere, sock, close)
    elif close:
        sock.close()


def _makefile(sock: socket, mode: str, buffering: int | None, **text: Any) -> Any:
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError(f"a socket's file has a mode of r, w, rw, with or without b; not {mode!r}")
    writing = "w" in mode
    reading = "r" in mode or not writing
    # SocketIO asks of its socket no more than recv_into, send, fileno and the count of its files.
    raw = stdlib.SocketIO(sock, ("r" if reading else "") + ("w" if writing else ""))  # type: ignore[arg-type]
    sock._io_refs += 1
    if buffering == 0:
        if "b" not in mode:
            raise ValueError("an unbuffered file of a socket must be binary")
        return raw
    size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
    file: Any
    if reading and writing:
        file = io.BufferedRWPair(raw, raw, size)
    else:
        file = io.BufferedReader(raw, size) if reading else io.BufferedWriter(raw, size)
    if "b" in mode:
        return file
    wrapped: Any = io.TextIOWrapper(file, **text)
    wrapped.mode = mode
    return wrapped
