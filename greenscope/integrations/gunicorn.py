"""gunicorn's workers on this runtime: ``gunicorn -k greenscope.integrations.gunicorn.GreenscopeWorker app:app``.

Owns ``GreenscopeWorker``. HTTP is gunicorn's own: its parser, its limits, its access log, keep-alive, proxy
protocol, file sending and HTTP/2 come from ``AsyncWorker``, which gunicorn's gevent worker stands on as well.
Our WSGI server is faster, but each of these would have to be done again, and be wrong where it matters. Here
are the accepting, the beginning and the end of a worker, and what goes into the recording.

- The arbiter imports this and makes no hub: no ring, no thread, no signal handler of ours. Patching is done in
  the worker, after the fork and before the application is loaded (with ``--preload`` it is loaded already).
- The worker's hub, and so its ring, is made when gunicorn has set its signals and dropped its privileges: the
  ring belongs to the user that the worker runs as, and the watchdog takes SIGUSR2, which gunicorn leaves to
  the arbiter, for its snapshots: in a worker the signal would else be a kill.
- A signal's handler may not wait. Those of gunicorn that do (a log's lock, a hook's sleep) run in a greenlet.
- A worker that is to end is told by an event and does not find out a second later. It first takes what
  the kernel has queued for it: when the arbiter has closed the listeners too, nobody else would.
"""

from __future__ import annotations

import ssl
import threading
from os import getppid as _getppid
from time import monotonic
from types import FrameType
from typing import Any

from greenscope.runtime import GreenletExit, monkey
from greenscope.runtime.event import Event
from greenscope.runtime.green_socket import socket
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import get_hub
from greenscope.runtime.pool import Pool
from greenscope.runtime.server import StreamServer
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import running
from greenscope.runtime.wsgi_names import name_of_request
from greenscope.trace.debugging import debugging
from greenscope.trace.events import Exit
from greenscope.trace.here import here
from greenscope.trace.notes import mark
from greenscope.trace.traceparent import TraceParent, traced

try:
    from gunicorn.sock import ssl_context
    from gunicorn.workers.base_async import AsyncWorker
except ImportError as error:
    raise ImportError(f"greenscope.integrations.gunicorn is for gunicorn, and {error}: pip install gunicorn") from None

__all__ = ["GreenscopeWorker"]

_BEAT = 1.0
"""Seconds between two signs of life to the arbiter, unless its timeout wants them sooner."""
_ID = 100  # characters of a request's id that are recorded
_TOLD = ("X-REQUEST-ID", "TRACEPARENT")  # headers that a record tells of
_RETURNED, _RAISED, _KILLED = int(Exit.RETURNED), int(Exit.RAISED), int(Exit.KILLED)


class _Place:
    """A listener as gunicorn's handler sees it, which asks it for its name alone.

    The listener itself may be closed by then: a connection outlives it in a worker that ends.
    """

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        return self._name


class _Serving:
    """The request that a greenlet serves."""

    __slots__ = ("number", "response", "trace")

    def __init__(self, number: int, trace: TraceParent | None) -> None:
        self.number = number
        self.trace = trace
        self.response: Any = None


class GreenscopeWorker(AsyncWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker whose requests are served in greenlets, and recorded.

    ``worker_connections`` is how many connections it has at a time, over all listeners together.
    """

    sockets: list[Any]
    wsgi: Any
    _alive = True
    _told: Event | None = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)  # in the arbiter: nothing here may touch the process
        self._serving: dict[object, _Serving] = {}
        self._servers: list[StreamServer] = []

    @property
    def alive(self) -> bool:
        """Whether it is to go on. False wakes who waits for the end, from whichever handler or thread it is said."""
        return self._alive

    @alive.setter
    def alive(self, value: bool) -> None:
        self._alive = value
        if not value and self._told is not None:
            self._told.set()

    # Its beginning, in this order.

    def init_process(self) -> None:
        """Become a green process, and serve until the end. Raises SystemExit as gunicorn's other workers do."""
        self.patch()
        super().init_process()

    def patch(self) -> None:
        """Make the standard library green, and the listeners with it."""
        monkey.patch_all()
        self.sockets = [
            socket(one.sock.family, one.sock.type, one.sock.proto, one.sock.detach()) for one in self.sockets
        ]

    def init_signals(self) -> None:
        """Set gunicorn's handlers, and make the hub then."""
        super().init_signals()
        thread = threading.current_thread()
        name, thread.name = thread.name, f"gunicorn worker {self.age}"
        try:
            get_hub()  # its ring is called after the thread
        finally:
            thread.name = name

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self.wsgi = self._told_its_number(self.wsgi)

    # Its life.

    def run(self) -> None:
        """Accept and serve, until it is told to end; then finish what was begun."""
        told = self._told = Event()
        pool = Pool(self.worker_connections)
        self._servers = [self._server(listener, pool) for listener in self.sockets]
        for server in self._servers:
            server.start()
        beat = min(_BEAT, self.timeout or _BEAT)
        while self.alive:
            self.notify()
            told.wait(beat)
        self._finish(pool, beat)

    def _server(self, listener: socket, pool: Pool) -> StreamServer:
        listener.setblocking(True)
        place = _Place(listener.getsockname())

        def connection(client: Any, address: Any) -> None:
            self.handle(place, client, address)

        connection.__qualname__ = "connection"  # its greenlet's name, until there is a request

        tls = {"ssl_context": ssl_context(self.cfg), "do_handshake_on_connect": False} if self.cfg.is_ssl else {}
        server = StreamServer(listener, connection, spawn=pool, **tls)
        if self.cfg.workers > 1:
            server.max_accept = 1  # the others want some, too
        return server

    def _finish(self, pool: Pool, beat: float) -> None:
        for server in self._servers:
            server.stop_accepting()
            self._take_the_queued(server)
            server.close()
        end = monotonic() + self.cfg.graceful_timeout
        while not pool.join(timeout=min(beat, max(0.0, end - monotonic()))):
            self.notify()
            if monotonic() >= end:
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                pool.kill(timeout=1)
                return

    def _take_the_queued(self, server: StreamServer) -> None:
        """Accept who has connected by now, and no more than the kernel may have queued."""
        try:
            for _ in range(self.cfg.backlog):
                what = None if server.full() else server.do_read()
                if what is None:
                    return
                server.do_handle(*what)
        except OSError as error:
            self.log.warning("Worker (pid:%s) left connections in its backlog: %s", self.pid, error)

    def notify(self) -> None:
        """Give the arbiter a sign of life; without an arbiter there is nothing to live for."""
        super().notify()
        if self.ppid != _getppid() and self.alive:
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def timeout_ctx(self) -> Timeout:
        """What ends the wait for a connection's next request."""
        return Timeout(self.cfg.keepalive, False)

    # One connection, one request.

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection."""
        client.setblocking(True)
        if self.cfg.is_ssl and self.cfg.do_handshake_on_connect:
            try:
                client.do_handshake()
            except ssl.SSLError as error:
                self.handle_error(None, client, addr, error)
                return
            except OSError as error:
                self.log.debug("Closing connection in its TLS handshake. %s", error)
                return
        super().handle(listener, client, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer a request of HTTP/1."""
        try:
            return self._recorded(super().handle_request, req, listener_name, req, sock, addr)
        except GreenletExit:  # killed: in the middle of an answer, perhaps, where nothing else must be written
            raise StopIteration from None

    def handle_http2_request(self, listener_name: Any, req: Any, sock: Any, addr: Any, h2_conn: Any) -> Any:
        """Answer a request of HTTP/2."""
        return self._recorded(super().handle_http2_request, req, listener_name, req, sock, addr, h2_conn)

    def _recorded(self, answer: Any, req: Any, *arguments: Any) -> Any:
        """Answer a request, between the records of its beginning and its end."""
        recorder = here.recorder
        if recorder is None or any(path in (req.path or "") for path in debugging.unrecorded):
            return answer(*arguments)
        me = running()
        if isinstance(me, Greenlet):
            name = name_of_request(req.method, req.path or "")
            if name != me.name:
                me.name = name
        text, trace = _text_of(req)
        number = recorder.request_begin(text)
        serving = self._serving[me] = _Serving(number, trace)
        how, error = _RETURNED, ""
        try:
            return answer(*arguments)
        except BaseException as raised:
            if not isinstance(raised, StopIteration):  # gunicorn's for: close the connection
                how = _KILLED if isinstance(raised, GreenletExit) else _RAISED
                error = type(raised).__name__
            raise
        finally:
            del self._serving[me]
            status = getattr(serving.response, "status_code", None) or 0
            if how == _RAISED and not getattr(serving.response, "headers_sent", False):
                status = 500  # what gunicorn's handler answers to whatever comes out of here
            recorder.request_end(number, status, how, error)

    def _told_its_number(self, application: Any) -> Any:
        """The application, with the number of its request in its environ, by which it is in the recording."""
        requests = self._serving

        def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
            serving = requests.get(running())
            if serving is not None:
                serving.response = getattr(start_response, "__self__", None)
                environ["greenscope.request"] = serving.number
                if serving.trace is not None:
                    environ["greenscope.traceparent"] = serving.trace
            return application(environ, start_response)

        return wsgi

    # Signals.

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End at once. Its hook and its moment's sleep wait, which a handler must not."""
        Greenlet.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """Open the log files anew, under a lock that somebody may have."""
        Greenlet.spawn(super().handle_usr1, sig, frame)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """The arbiter has not heard from this worker for too long, and kills it if it still does not."""
        mark(f"gunicorn gave up on this worker: no sign of life for {self.cfg.timeout} s")
        super().handle_abort(sig, frame)


def _text_of(req: Any) -> tuple[bytes, TraceParent | None]:
    """What the recording says of a request: the id that it came with, and what it asks for (without the query).

    Returns:
        And its place in its trace, which is a third line, if it has one.
    """
    identities, traces = ([value for name, value in req.headers if name == wanted] for wanted in _TOLD)
    identity = identities[0][:_ID] if identities else ""
    text: bytes = f"{identity}\n{req.method} {req.path}".encode("latin-1", "replace")
    if not traces and not debugging.always_traced:
        return text, None
    return traced(text, traces[0] if len(traces) == 1 else None)
