"""A server: accepts connections and spawns a greenlet for each.

Owns ``StreamServer``. It accepts no more than it may handle at a time, goes on after an error that
belongs to one connection, and backs off when the process is out of descriptors: a loop that accepts,
fails and accepts again at once would take the whole processor exactly when there is trouble.

A connection's socket is closed when its handler ends. It refuses to be started again once stopped.
"""

from __future__ import annotations

import errno
import socket as stdlib
import sys
from collections.abc import Callable
from typing import Any

from greenscope.runtime.event import Event
from greenscope.runtime.green_socket import socket
from greenscope.runtime.greenlet import Greenlet, joinall, killall
from greenscope.runtime.hub import sleep
from greenscope.runtime.lock import Semaphore

__all__ = ["StreamServer"]

Handle = Callable[[socket, Any], object]

_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_ONE_CONNECTION = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR}


class StreamServer:
    """Accepts connections, and calls ``handle(socket, address)`` in a greenlet for each.

    Args:
        listener: where to listen: ``(host, port)``, ``"host:port"``, a port, or a socket that listens.
        handle: what to do with a connection; or override ``handle`` in a subclass.
        backlog: how many connections the kernel keeps for us.
        spawn: how many handlers may run at a time, or "default" for no limit.
    """

    first_delay = 0.01
    most_delay = 1.0
    max_accept = 100
    stop_timeout: float | None = 1

    def __init__(
        self,
        listener: tuple[str, int] | str | int | socket | stdlib.socket,
        handle: Handle | None = None,
        backlog: int | None = None,
        spawn: int | str = "default",
    ) -> None:
        if isinstance(spawn, bool) or not (spawn == "default" or (isinstance(spawn, int) and spawn > 0)):
            raise ValueError(f'spawn is "default" or a positive number of handlers, not {spawn!r}')
        self.socket: socket | None = None
        self.address: Any = None
        if isinstance(listener, socket):
            self.socket = listener
        elif isinstance(listener, stdlib.socket):
            self.socket = socket(listener.family, listener.type, listener.proto, listener.detach())
        else:
            self.address = _parse(listener)
        if self.socket is not None:
            self.address = self.socket.getsockname()
        self._backlog = 256 if backlog is None else backlog
        if handle is not None:
            self.handle = handle  # type: ignore[method-assign,assignment]
        self._room = Semaphore(spawn) if isinstance(spawn, int) else None
        self._acceptor: Greenlet | None = None
        self._handlers: set[Greenlet] = set()
        self._stopped = Event()

    def handle(self, socket: socket, address: Any) -> object:
        """What to do with a connection."""
        raise NotImplementedError("give StreamServer a handle function, or override handle")

    @property
    def started(self) -> bool:
        """Whether it accepts."""
        return self._acceptor is not None and not self._stopped.is_set()

    @property
    def closed(self) -> bool:
        """Whether it was stopped."""
        return self._stopped.is_set()

    @property
    def server_host(self) -> Any:
        """The address it listens at."""
        return self.address[0]

    @property
    def server_port(self) -> Any:
        """The port it listens at, once it is started if it was given 0."""
        return self.address[1]

    def init_socket(self) -> None:
        """Listen, if it does not yet."""
        if self.socket is None:
            family = stdlib.AF_INET6 if ":" in self.address[0] else stdlib.AF_INET
            new = socket(family, stdlib.SOCK_STREAM)
            try:
                new.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 1)
                new.bind(self.address)
                new.listen(self._backlog)
            except BaseException:
                new.close()
                raise
            self.socket = new
            self.address = new.getsockname()

    def start(self) -> None:
        """Listen, and accept in a greenlet of its own.

        Raises:
            OSError: the address cannot be had.
            RuntimeError: it was stopped.
        """
        if self._stopped.is_set():
            raise RuntimeError("this server was stopped; make another one")
        if self._acceptor is None:
            self.init_socket()
            self._acceptor = Greenlet(self._accept_all)
            self._acceptor.name = "accept"
            self._acceptor.start()

    def stop(self, timeout: float | None = None) -> None:
        """Accept no more; give the handlers of a limited server ``timeout`` seconds, then kill them."""
        acceptor, self._acceptor = self._acceptor, None
        self._stopped.set()
        if acceptor is not None:
            acceptor.kill()
        if self.socket is not None:
            self.socket.close()
        if self._room is not None:
            joinall(self._handlers, self.stop_timeout if timeout is None else timeout)
            killall(self._handlers, timeout=1)

    close = stop

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start, unless it was, and wait until it is stopped."""
        if not self.started:
            self.start()
        try:
            self._stopped.wait()
        finally:
            Greenlet.spawn(self.stop, stop_timeout).join()

    def _accept_all(self) -> None:
        listener = self.socket
        assert listener is not None
        room = self._room
        name = getattr(self.handle, "__qualname__", type(self.handle).__qualname__)
        delay = self.first_delay
        in_a_row = 0
        while True:
            if room is not None:
                room.acquire()
            try:
                connection, address = listener.accept()
            except OSError as error:
                if room is not None:
                    room.release()
                if error.errno in _OUT_OF:
                    print(f"greenscope: cannot accept: {error}; again in {delay:g} s", file=sys.stderr)
                    sleep(delay)
                    delay = min(delay * 2, self.most_delay)
                elif error.errno not in _ONE_CONNECTION:
                    raise
                continue
            delay = self.first_delay
            handler = Greenlet(self._handle_and_close, connection, address)
            handler._title = name
            self._handlers.add(handler)
            handler.rawlink(self._ended)
            handler.start()
            in_a_row += 1
            if in_a_row >= self.max_accept:  # a full backlog must not keep the handlers waiting
                in_a_row = 0
                sleep(0)

    def _handle_and_close(self, connection: socket, address: Any) -> None:
        try:
            self.handle(connection, address)
        finally:
            connection.close()

    def _ended(self, handler: Greenlet) -> None:
        self._handlers.discard(handler)
        if self._room is not None:
            self._room.release()


def _parse(listener: tuple[str, int] | str | int) -> tuple[str, int]:
    if isinstance(listener, int):
        return "", listener
    if isinstance(listener, str):
        host, _, port = listener.rpartition(":")
        return host.strip("[]"), int(port)
    return listener
