"""Servers: for connections, with TLS or without, and for datagrams.

Owns ``StreamServer`` and ``DatagramServer``, and what their addresses mean. Accepting, limits and stopping
are ``baseserver``'s. A connection is closed when its handle returns; its TLS handshake is part of its
handling, so that a client that is slow at it holds nobody up.
"""

from __future__ import annotations

import _socket
import errno
from _socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET
from typing import Any

from greenscope.runtime.baseserver import BaseServer, Handle
from greenscope.runtime.green_socket import socket
from greenscope.runtime.lock import Semaphore
from greenscope.runtime.recorded_calls import record_accepts

__all__ = ["DatagramServer", "StreamServer"]

_ONE_CONNECTION = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR}
_DATAGRAM = 8192


class StreamServer(BaseServer):
    """Accepts connections, and calls ``handle(socket, address)`` in a greenlet for each.

    Args:
        listener: where to listen: ``(host, port)``, ``"host:port"``, a port, or a socket that listens. An
            empty host is every address of this machine, of IPv6 too if there is any (not in ``":port"``).
        handle: what to do with a connection; or override ``handle`` in a subclass.
        backlog: how many connections the kernel keeps for us.
        spawn: how the handlers are run, and how many; see ``BaseServer``.
        ssl_context: talk TLS, with this context.
        ssl_args: talk TLS: ``certfile``, ``keyfile``, ``ca_certs``, ``cert_reqs``, ``ciphers`` and
            ``ssl_version``, to make a context of; ``do_handshake_on_connect`` and
            ``suppress_ragged_eofs``, as for ``SSLContext.wrap_socket``.
    """

    backlog = 256
    reuse_addr: int | None = 1

    def __init__(
        self,
        listener: Any,
        handle: Handle | None = None,
        backlog: int | None = None,
        spawn: Any = "default",
        **ssl_args: Any,
    ) -> None:
        self.ssl_args: dict[str, Any] | None = None
        self._context: Any = None
        if ssl_args:
            from greenscope.runtime.server_tls import context_and_rest

            self._context, self.ssl_args = context_and_rest(ssl_args)
        if backlog is not None:
            if hasattr(listener, "accept"):
                raise TypeError("a socket that listens has its backlog already; leave the argument out")
            self.backlog = backlog
        super().__init__(listener, handle, spawn)

    @property
    def ssl_enabled(self) -> bool:
        """Whether it talks TLS."""
        return self.ssl_args is not None

    def set_listener(self, listener: Any) -> None:
        """Take an address, or a socket that listens."""
        if hasattr(listener, "accept"):
            _take(self, listener)
        else:
            self.family, self.address = _parse(listener)

    def init_socket(self) -> None:
        """Listen, if it does not yet."""
        if "socket" not in self.__dict__:
            self.socket = self.get_listener(self.address, self.backlog, self.family)
            self.address = self.socket.getsockname()

    @classmethod
    def get_listener(cls, address: Any, backlog: int | None = None, family: Any = None) -> socket:
        """A socket that listens at an address."""
        new = _bound(address, AF_INET if family is None else family, SOCK_STREAM, cls.reuse_addr)
        try:
            new.listen(cls.backlog if backlog is None else backlog)
        except BaseException:
            new.close()
            raise
        return new

    def do_read(self) -> tuple[socket, Any] | None:
        """The next connection and its address; None if there is none yet."""
        listener = self.socket._sock
        while True:
            try:
                fd, address = listener._accept()
            except BlockingIOError:
                return None
            except OSError as error:  # of a connection that ended in the backlog, and not our trouble
                if error.errno not in _ONE_CONNECTION:
                    raise
            else:
                raw = _socket.socket(listener.family, listener.type, listener.proto, fd)
                return socket._around(raw, address or None), address

    def do_close(self, *what: Any) -> None:
        """Close the connection."""
        what[0].close()

    def _handle_one(self) -> Handle:
        return self.wrap_socket_and_handle if self.ssl_enabled else self.handle

    def wrap_socket(self, client_socket: Any, **arguments: Any) -> Any:
        """Shake hands with a client; the TLS socket."""
        from greenscope.runtime.server_tls import green_wrap

        return green_wrap(self._context, client_socket, **arguments)

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> Any:
        """Shake hands with a client, and handle it."""
        assert self.ssl_args is not None
        with self.wrap_socket(client_socket, **self.ssl_args) as wrapped:
            return self.handle(wrapped, address)


class DatagramServer(BaseServer):
    """Receives datagrams, and calls ``handle(data, address)`` in a greenlet for each.

    Args:
        listener: where to listen, as for ``StreamServer``, or a socket that is bound.
        handle, spawn: as for ``StreamServer``.
    """

    reuse_addr: int | None = 1

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._writelock = Semaphore(1)
        super().__init__(*arguments, **keywords)

    def set_listener(self, listener: Any) -> None:
        """Take an address, or a socket that is bound."""
        if hasattr(listener, "recvfrom"):
            _take(self, listener)
        else:
            self.family, self.address = _parse(listener)

    def init_socket(self) -> None:
        """Bind, if it is not yet."""
        if "socket" not in self.__dict__:
            self.socket = self.get_listener(self.address, self.family)
            self.address = self.socket.getsockname()

    @classmethod
    def get_listener(cls, address: Any, family: Any = None) -> socket:
        """A socket that receives datagrams at an address."""
        return _bound(address, AF_INET if family is None else family, SOCK_DGRAM, cls.reuse_addr)

    def do_read(self) -> tuple[bytes, Any] | None:
        """The next datagram and its sender; None if there is none yet."""
        try:
            got: tuple[bytes, Any] = self.socket._sock.recvfrom(_DATAGRAM)
        except BlockingIOError:
            return None
        return got

    def sendto(self, *arguments: Any) -> int:
        """Send a datagram from the server's socket; several greenlets may."""
        with self._writelock:
            sent: int = self.socket.sendto(*arguments)
            return sent


def _take(server: BaseServer, listener: Any) -> None:
    """Let a server use a socket that it was given; one that is not green lends its descriptor."""
    if hasattr(listener, "do_handshake"):
        raise TypeError("a server listens on a plain socket; give it the TLS context as ssl_context")
    if not isinstance(listener, socket):
        server._given = listener
        listener = socket(listener.family, listener.type, listener.proto, listener.fileno())
    server.socket = listener
    server.family = listener.family
    server.address = listener.getsockname()


def _parse(address: Any) -> tuple[int, tuple[Any, ...]]:
    """The family of an address, and what ``bind`` wants."""
    if isinstance(address, tuple):
        host = address[0]
        if not host:
            return _best_family(), address
        return AF_INET6 if ":" in host else AF_INET, address
    if isinstance(address, int) or (isinstance(address, str) and address.isdigit()):
        return _best_family(), ("", int(address))
    if not isinstance(address, str):
        raise TypeError(
            f"a server listens at (host, port), 'host:port', a port, or on a socket; not on {type(address).__name__}"
        )
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise ValueError(
            f"{address!r} is no address: (host, port), 'host:port' or a port; for a Unix socket's path, "
            "bind a socket, have it listen, and give that"
        )
    host = host.removeprefix("[").removesuffix("]")
    return AF_INET6 if ":" in host else AF_INET, (host, int(port))


def _best_family() -> int:
    """The family whose "every address" has most of them: IPv6, where there is any, takes IPv4 in."""
    try:
        probe = _socket.socket(AF_INET6, SOCK_STREAM)
    except OSError:
        return AF_INET
    try:
        probe.bind(("::", 0))
    except OSError:
        return AF_INET
    finally:
        probe.close()
    return AF_INET6


def _bound(address: Any, family: int, kind: int, reuse: int | None) -> socket:
    new = socket(family, kind)
    try:
        if reuse is not None:
            new.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse)
        new.bind(address)
    except OSError as error:
        new.close()
        if error.strerror and error.errno is not None:
            error.strerror = f"{error.strerror}: {address!r}"
        raise
    except BaseException:
        new.close()
        raise
    return new


record_accepts(StreamServer)
