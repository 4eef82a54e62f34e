"""The WSGI server: HTTP/1.1 to applications that are called one greenlet a connection.

Owns ``WSGIServer``: what all its connections share (the environ's base, the logs, the limits), the clock that
cuts off clients that are too slow, and an end that lets what was begun be finished. A connection's life is
``wsgi_handler``'s. gevent calls this module ``pywsgi``, and so may you.

The clock is one timer for all connections, which ticks while there are any, and not a timeout for every
wait: a request waits twice, and nearly always for less than a millisecond.
"""

from __future__ import annotations

import sys
from _socket import IPPROTO_TCP, TCP_NODELAY, gethostname
from math import ceil
from typing import Any, ClassVar

from greenscope import __version__
from greenscope.runtime.event import Event
from greenscope.runtime.hub import get_hub, sleep
from greenscope.runtime.server import StreamServer
from greenscope.runtime.waiter import running
from greenscope.runtime.waiting import killall
from greenscope.runtime.wsgi_handler import NEVER, WSGIHandler
from greenscope.runtime.wsgi_log import FileWrapper, LoggingLogAdapter, log_of
from greenscope.runtime.wsgi_parser import Limits

__all__ = ["LoggingLogAdapter", "WSGIHandler", "WSGIServer"]

_FILLERS = 64


class Ticks:
    """The server's timeouts, in ticks of its clock."""

    __slots__ = ("body", "header", "idle", "length", "linger", "send")

    body: int
    header: int
    idle: int
    linger: int
    send: int

    def __init__(self, server: Any) -> None:
        times = {
            "header": server.header_timeout,
            "idle": server.keepalive_timeout,
            "body": server.body_timeout,
            "send": server.send_timeout,
            "linger": server.linger_timeout,
        }
        wrong = {name: seconds for name, seconds in times.items() if seconds is not None and seconds <= 0}
        if wrong:
            raise ValueError(f"a server's timeouts are more than 0 seconds, or None; not {wrong}")
        self.length = min([1.0, *(seconds / 4 for seconds in times.values() if seconds is not None)])
        for name, seconds in times.items():
            setattr(self, name, NEVER >> 1 if seconds is None else ceil(seconds / self.length) + 1)


class _Handshake:
    """A connection that has not got further than TLS, in the eyes of the server's clock."""

    idle = True
    expired = False

    def __init__(self, sock: Any, deadline: int) -> None:
        self.greenlet = running()
        self.deadline = deadline
        self.cut_off = sock.cancel_wait


class WSGIServer(StreamServer):
    """Serves a WSGI application over HTTP or, with the arguments for TLS, HTTPS.

    Args:
        listener: where to listen, as for ``StreamServer``.
        application: what to call; or override ``application`` in a subclass.
        backlog, spawn, ssl_args: as for ``StreamServer``.
        log: where requests are written, a line each: something with a ``write``, or a ``logging.Logger``
            (at the level INFO). "default" is stderr; None is nowhere.
        error_log: the same for errors (ERROR, for a logger), and the environ's ``wsgi.errors``.
        handler_class: serves a connection, instead of ``WSGIHandler``.
        environ: to be added to every request's environ.
    """

    handler_class: type[WSGIHandler] = WSGIHandler

    application: Any = None

    base_env: ClassVar[dict[str, Any]] = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": f"greenscope/{__version__} Python/{sys.version.split()[0]}",
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": False,
        "wsgi.multithread": False,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
    """What every environ begins as."""

    header_timeout: float | None = 30
    """Seconds that a client has for the head of a request, and until it begins the first."""

    keepalive_timeout: float | None = 75
    """Seconds after which a connection without a request is closed."""

    body_timeout: float | None = 60
    """Seconds between two pieces of a request's body."""

    send_timeout: float | None = None
    """Seconds that a client has to take a piece of an answer."""

    linger_timeout: float | None = 2
    """Seconds in which a client that was refused may go on sending, so that it gets to see why."""

    max_request_line: int = 8190
    """Bytes of a request's target; 414 for more."""

    max_headers: int = 100
    """How many headers a request may have; 431 for more."""

    max_head: int = 65536
    """Bytes of a request's line and headers; 431 for more."""

    max_drain: int = 262144
    """Bytes of a request's body that are received though the application left them; for more, the connection ends."""

    def __init__(
        self,
        listener: Any,
        application: Any = None,
        backlog: int | None = None,
        spawn: Any = "default",
        log: Any = "default",
        error_log: Any = "default",
        handler_class: type[WSGIHandler] | None = None,
        environ: dict[str, Any] | None = None,
        **ssl_args: Any,
    ) -> None:
        self.tick = 0
        self.stopping = False
        self.ticks = Ticks(self)
        self.limits = Limits(self.max_request_line, self.max_head, self.max_headers)
        self._connections: set[Any] = set()
        self._timer: Any = None
        self._none_left = Event()
        if application is not None:
            self.application = application
        if handler_class is not None:
            self.handler_class = handler_class
        self.log = log_of(log, "INFO")
        self.error_log = log_of(error_log, "ERROR", nowhere=True)
        super().__init__(listener, backlog=backlog, spawn=spawn, **ssl_args)
        self.set_environ(environ)
        self.set_max_accept()

    # What every environ begins as.

    def set_environ(self, environ: dict[str, Any] | None = None) -> None:
        """Begin the environs of new connections' requests with this, on top of ``base_env``."""
        self.environ = {
            **self.base_env,
            "wsgi.url_scheme": "https" if self.ssl_enabled else "http",
            "wsgi.errors": self.error_log,
            **(environ or {}),
        }
        self.update_environ()

    def update_environ(self) -> None:
        """Say in the environ where the server listens, now that it does."""
        host, port = self.server_host, self.server_port
        if host in {"", "0.0.0.0", "::"}:  # noqa: S104  (that is how it is asked for)
            host = gethostname()
        self.environ.setdefault("SERVER_NAME", host or "localhost")
        self.environ["SERVER_PORT"] = str(port) if port is not None else ""

    def get_environ(self) -> dict[str, Any]:
        """A copy of what every environ begins as."""
        return self.environ.copy()

    def set_max_accept(self) -> None:
        """Accept one at a time where other processes accept too."""
        if self.environ.get("wsgi.multiprocess"):
            self.max_accept = 1

    def init_socket(self) -> None:
        """Listen, if it does not yet."""
        super().init_socket()
        try:  # what is accepted has it from the listener; answers in pieces would else wait for each other's ACK
            self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        except OSError:  # a Unix socket
            pass
        self.update_environ()

    # Its connections.

    def handle(self, sock: Any, address: Any) -> None:
        """Serve a connection."""
        self.handler_class(sock, address, self).handle()

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Shake hands with a client, which has as long for it as for a request's head, and serve it."""
        arguments = {**(self.ssl_args or {}), "do_handshake_on_connect": False}
        with self.wrap_socket(client_socket, **arguments) as wrapped:
            handshake = _Handshake(wrapped, self.tick + self.ticks.header)
            self.connection_begins(handshake)
            try:
                wrapped.do_handshake()
            except OSError as error:  # a client's mistake, or its change of mind; a traceback would say no more
                if not handshake.expired and not self.stopping:
                    self.error_log.write(f"{address[0] if address else '-'} did not get through TLS: {error}\n")
                return
            finally:
                self.connection_ends(handshake)
            self.handle(wrapped, address)

    def connection_begins(self, connection: Any) -> None:
        """A handler has begun."""
        self._connections.add(connection)
        if self._timer is None:
            timer = self._timer = get_hub().loop.timer(self.ticks.length, self.ticks.length, ref=False)
            timer.start(self._ticked)

    def connection_ends(self, connection: Any) -> None:
        """A handler has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()

    def _ticked(self) -> None:
        """Cut off who is too late. Runs in the hub."""
        self.tick = tick = self.tick + 1
        if not self._connections:
            self._end_clock()
            return
        for connection in tuple(self._connections):
            if connection.deadline <= tick:
                connection.expired = True
                connection.cut_off()

    def _end_clock(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.close()

    # Its end.

    def stop(self, timeout: float | None = None) -> None:
        """Accept no more, finish what was begun, and close every connection.

        Args:
            timeout: seconds that requests have before their greenlets are killed; None is ``stop_timeout``.
        """
        acceptor = self._acceptor
        self.close()
        if acceptor is not None and acceptor is not running():
            acceptor.join()
        sleep(0)  # what was accepted just now begins
        self.stopping = True
        me = running()
        for connection in tuple(self._connections):
            if connection.idle:
                connection.cut_off()
        others = {connection for connection in self._connections if connection.greenlet is not me}
        if others:
            self._none_left.clear()
            mine = self._connections - others
            self._connections -= mine
            try:
                self._none_left.wait(self.stop_timeout if timeout is None else timeout)
            finally:
                self._connections |= mine
            killall([one.greenlet for one in self._connections if one.greenlet is not me], timeout=1)
        if self.pool is not None:
            super().stop(timeout)
        if not self._connections:
            self._end_clock()
