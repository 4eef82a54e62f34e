"""The TLS socket: a green socket with an OpenSSL object on top, and the waiting around it.

Owns ``SSLSocket``; the contexts that make it are in ``ssl``.

OpenSSL reads and writes the inner socket, which is non-blocking, by itself; when the kernel has nothing
for it the call raises SSLWantRead or SSLWantWrite, *either* of them from a read as well as from a write
(a handshake in the middle of the stream, a new key). So there is one loop (``_until_done``) that waits
for whichever it was and calls again, and the timeout is for all of its rounds together, as it is in the
standard library's C.

The methods that only ask (``cipher``, ``getpeercert``, …) are the standard library's functions, which
follow the interpreter's version; they look at ``_sslobj`` and ``_connected``, which are ours.
"""

from __future__ import annotations

import errno
import ssl as _stdlib
from _socket import SO_TYPE, SOCK_STREAM, SOL_SOCKET
from _socket import socket as _raw_socket
from collections.abc import Callable
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, NoReturn, Self

from greenscope.runtime.current import get_hub
from greenscope.runtime.green_socket import socket
from greenscope.runtime.recorded_calls import record_calls
from greenscope.trace.events import Origin

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["SSLSocket"]

_ONLY_ASK = (
    "_checkClosed",
    "_check_connected",
    "cipher",
    "compression",
    "context",
    "get_channel_binding",
    "get_unverified_chain",
    "get_verified_chain",
    "getpeercert",
    "pending",
    "selected_alpn_protocol",
    "selected_npn_protocol",
    "session",
    "session_reused",
    "shared_ciphers",
    "version",
)


def _maker_of(message: str) -> Any:
    """A type whose call makes a TimeoutError: an instance, made before the wait, would know its own frames."""
    return type("TimedOut", (), {"__new__": lambda _cls: TimeoutError(message)})


_TOO_LATE = "The {} operation timed out"
_TIMED_OUT = {what: _maker_of(_TOO_LATE.format(what)) for what in ("handshake", "read", "write")}


class _Inner(_raw_socket):
    """What OpenSSL reads and writes; it holds no more than a weak reference."""

    __slots__ = ("__weakref__",)


class SSLSocket(socket):
    """A TLS connection; ``SSLContext.wrap_socket`` makes it."""

    # No __slots__: programs hang their own attributes on a TLS socket.
    _connected: bool
    _context: Any
    _session: Any
    _sslobj: Any
    do_handshake_on_connect: bool
    server_hostname: str | None
    server_side: bool
    suppress_ragged_eofs: bool

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *_arguments: object, **_keywords: object) -> None:
        raise TypeError(f"{type(self).__name__} has no public constructor; SSLContext.wrap_socket() makes it")

    @classmethod
    def _create(
        cls,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        context: Any = None,
        session: _stdlib.SSLSession | None = None,
    ) -> Self:
        """What ``wrap_socket`` calls; takes the descriptor of ``sock`` over."""
        if sock.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side and server_hostname:
            raise ValueError("server_hostname can only be specified in client mode")
        if server_side and session is not None:
            raise ValueError("session can only be specified in client mode")
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        timeout = sock.gettimeout()
        self = cls.__new__(cls)
        kind = (sock.family, sock.type, sock.proto)
        # Detached before it is set up: a green socket leaves its descriptor blocking when it is detached.
        self._setup(_Inner(*kind, sock.detach()))
        try:
            self._context = context
            self._session = session
            self._sslobj = None
            self.server_side = server_side
            self.server_hostname = context._encode_hostname(server_hostname)
            self.do_handshake_on_connect = do_handshake_on_connect
            self.suppress_ragged_eofs = suppress_ragged_eofs
            self.timeout = timeout
            self._connected = self._is_connected()
            if self._connected:
                self._begin_tls(server_side)
                if do_handshake_on_connect:
                    if timeout == 0.0:
                        raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
                    self.do_handshake()
        except BaseException:
            try:
                self.close()
            except OSError:
                pass
            raise
        return self

    def _begin_tls(self, server_side: bool) -> None:
        self._origin = int(Origin.ACCEPTED if server_side else Origin.CONNECTED)
        self._sslobj = self._context._wrap_socket(
            self._sock, server_side, self.server_hostname, owner=self, session=self._session
        )

    def _is_connected(self) -> bool:
        """Whether it has a peer.

        Raises:
            SSLError: it had one, which sent something before it went. That came in the clear, and must
                not be taken for what a TLS connection brought.
        """
        try:
            self._sock.getpeername()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
        else:
            return True
        try:
            early = self._sock.recv(1)
        except OSError as error:
            if error.errno not in {errno.ENOTCONN, errno.EINVAL, errno.EAGAIN}:  # EINVAL: a Unix socket
                raise
            return False
        if early:
            reason = "Closed before TLS handshake with data in recv buffer."
            broken = _stdlib.SSLError(errno.ENOTCONN, reason)
            broken.reason = reason
            broken.library = None  # type: ignore[assignment]
            raise broken
        return False

    def _until_done(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call what OpenSSL has, and wait for what it wants, until it is done or the time is over."""
        end = 0.0
        while True:
            try:
                return function(*arguments)
            except _stdlib.SSLWantReadError:
                if self.timeout == 0.0:
                    raise
                watcher = self._reader()
            except _stdlib.SSLWantWriteError:
                if self.timeout == 0.0:
                    raise
                watcher = self._writer()
            spare = None
            if watcher.greenlet is not None:
                # One greenlet reads and another one writes: OpenSSL may want the same of both.
                loop, fd = get_hub().loop, self._sock.fileno()
                spare = watcher = loop.io(fd, watcher.mask, peer=watcher.peer, origin=self._origin)
            try:
                if self.timeout is None:
                    self._wait(watcher)
                    continue
                now = monotonic()
                end = end or now + self.timeout
                if end <= now:
                    raise TimeoutError(_TOO_LATE.format(what))
                self._wait(watcher, _TIMED_OUT[what], end - now)
            finally:
                if spare is not None:
                    spare.close()

    # The handshake, and the end.

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the peer on keys, and look at its certificate.

        Args:
            block: wait for it even if the socket is non-blocking.
        """
        self._check_connected()
        timeout = self.timeout
        if timeout == 0.0 and block:
            self.timeout = None
        try:
            self._until_done("handshake", self._sslobj.do_handshake)
        finally:
            self.timeout = timeout

    def unwrap(self) -> Any:
        """End TLS with a farewell in both directions; the socket that is left, in the clear again."""
        if self._sslobj is None:
            raise ValueError(f"No SSL wrapper around {self}")
        left = self._until_done("read", self._sslobj.shutdown)
        self._sslobj = None
        # OpenSSL's object knows the inner socket only.
        return self if left is self._sock else left

    def verify_client_post_handshake(self) -> None:
        """Ask a TLS 1.3 client for its certificate, with the next write."""
        if self._sslobj is None:
            raise ValueError(f"No SSL wrapper around {self}")
        self._until_done("write", self._sslobj.verify_client_post_handshake)

    def shutdown(self, how: int) -> None:
        """End one or both directions of the connection underneath, without a farewell."""
        self._sslobj = None
        super().shutdown(how)

    def _real_close(self) -> None:
        self._sslobj = None
        super()._real_close()

    def detach(self) -> int:
        """Let go of the descriptor without closing it; the descriptor."""
        self._sslobj = None
        return super().detach()

    def dup(self) -> NoReturn:
        """Refused: two sockets cannot share the state of one TLS connection."""
        raise NotImplementedError(f"Can't dup() {type(self).__name__} instances")

    # Connecting and accepting.

    def connect(self, address: Any) -> None:
        """Connect, and shake hands if it was made to."""
        self._connecting(super().connect, address)

    def connect_ex(self, address: Any) -> int:
        """``connect`` that returns the error's number, or 0; the handshake's errors are raised."""
        failed: int = self._connecting(super().connect_ex, address)
        return failed

    def _connecting(self, connect: Callable[[Any], Any], address: Any) -> Any:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected or self._sslobj is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._begin_tls(False)
        try:
            failed = connect(address)
            if not failed:
                self._connected = True
                if self.do_handshake_on_connect:
                    self.do_handshake()
        except BaseException:
            self._sslobj = None
            raise
        return failed

    def accept(self) -> tuple[Any, Any]:
        """The next connection, as a TLS socket that has shaken hands if this one was made to, and its address."""
        connection, address = super().accept()
        wrapped = self._context.wrap_socket(
            connection,
            server_side=True,
            do_handshake_on_connect=self.do_handshake_on_connect,
            suppress_ragged_eofs=self.suppress_ragged_eofs,
        )
        return wrapped, address

    # Receiving.

    def read(self, len: int = 1024, buffer: WriteableBuffer | None = None) -> Any:  # noqa: A002
        """Up to ``len`` bytes; none at the end. With a ``buffer``, the number of bytes put there."""
        if self._sslobj is None:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        read = self._sslobj.read
        try:
            if buffer is None:
                return self._until_done("read", read, len)
            return self._until_done("read", read, len, buffer)
        except _stdlib.SSLError as error:
            if error.args[0] != _stdlib.SSL_ERROR_EOF or not self.suppress_ragged_eofs:
                raise
            return b"" if buffer is None else 0

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Up to ``buflen`` bytes; none at the end of the stream."""
        if self._sslobj is None:
            return super().recv(buflen, flags)
        self._no_flags(flags, "recv")
        got: bytes = self.read(buflen)
        return got

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """``recv`` into a buffer; the number of bytes."""
        if self._sslobj is None:
            return super().recv_into(buffer, nbytes or 0, flags)
        self._no_flags(flags, "recv_into")
        if nbytes is None:
            with memoryview(buffer) as view:
                nbytes = view.nbytes or 1024
        got: int = self.read(nbytes, buffer)
        return got

    def recvfrom(self, bufsize: int = 1024, flags: int = 0) -> tuple[bytes, Any]:
        """Refused once TLS has begun."""
        self._in_the_clear("recvfrom")
        return super().recvfrom(bufsize, flags)

    def recvfrom_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> tuple[int, Any]:
        """Refused once TLS has begun."""
        self._in_the_clear("recvfrom_into")
        return super().recvfrom_into(buffer, nbytes or 0, flags)

    def recvmsg(self, *_arguments: Any, **_keywords: Any) -> Any:
        """Refused."""
        raise NotImplementedError(f"recvmsg not allowed on instances of {type(self)}")

    def recvmsg_into(self, *_arguments: Any, **_keywords: Any) -> Any:
        """Refused."""
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {type(self)}")

    # Sending.

    def write(self, data: ReadableBuffer) -> int:
        """Send; the number of bytes, which may be fewer than there are."""
        if self._sslobj is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        sent: int = self._until_done("write", self._sslobj.write, data)
        return sent

    def send(self, data: ReadableBuffer, flags: int = 0, *timeout: Any) -> int:
        """Send; the number of bytes, which may be fewer than there are."""
        if self._sslobj is None:
            return super().send(data, flags, *timeout)
        self._no_flags(flags, "send")
        return self.write(data)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything; the timeout is for each record of it."""
        if self._sslobj is None:
            super().sendall(data, flags)
            return
        self._no_flags(flags, "sendall")
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            while sent < len(rest):
                sent += self.send(rest[sent:])

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a file's bytes; how many there were."""
        if self._sslobj is None:
            return super().sendfile(file, offset, count)
        return self._sendfile_use_send(file, offset, count)  # the kernel's own would send it in the clear

    def sendto(self, data: ReadableBuffer, *flags_and_address: Any) -> int:
        """Refused once TLS has begun."""
        self._in_the_clear("sendto")
        return super().sendto(data, *flags_and_address)

    def sendmsg(self, *_arguments: Any, **_keywords: Any) -> Any:
        """Refused, so that nothing leaves in the clear."""
        raise NotImplementedError(f"sendmsg not allowed on instances of {type(self)}")

    def _no_flags(self, flags: int, method: str) -> None:
        if flags:
            raise ValueError(f"non-zero flags not allowed in calls to {method}() on {type(self)}")

    def _in_the_clear(self, method: str) -> None:
        if self._sslobj is not None:
            raise ValueError(f"{method} not allowed on instances of {type(self)}")


for _name in _ONLY_ASK:
    if _name in vars(_stdlib.SSLSocket):
        setattr(SSLSocket, _name, vars(_stdlib.SSLSocket)[_name])

record_calls(SSLSocket, socket)
