"""One connection of the WSGI server: its requests, one after the other.

Owns ``WSGIHandler``. Its incoming side is ``wsgi_parser``'s, its answers are ``wsgi_response``'s; here is what
happens between them: receiving, calling the application, what its errors become, and when the connection
is kept. What the application raises is its request's affair, answered with a 500 if nothing was sent yet
and written to ``error_log``; a client that goes away is nobody's error; a kill ends the connection.

Nothing here has a timeout of its own, which would cost each request. A connection that waits for its
client says until when (``deadline``, in the server's ticks), and the server looks at all of them at times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from socket import SHUT_WR
from time import localtime, strftime, time
from traceback import format_exception
from types import TracebackType
from typing import Any

from greenlet import GreenletExit

from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import get_hub, sleep
from greenscope.runtime.layers import BufferedReader
from greenscope.runtime.waiter import running
from greenscope.runtime.wsgi_names import name_of_request
from greenscope.runtime.wsgi_parser import NAMING, NO_INPUT, Request, RequestError, RequestParser
from greenscope.runtime.wsgi_response import Response
from greenscope.runtime.wsgi_rest import rest_of
from greenscope.trace.debugging import debugging
from greenscope.trace.events import Exit
from greenscope.trace.here import here
from greenscope.trace.traceparent import traced

__all__ = ["WSGIHandler"]

NEVER = sys.maxsize
_HEAD = 16384
_BODY = 65536
_ID = 100  # characters of a request's id that are recorded
_MOST_IN_A_ROW = 8  # requests of a connection before the others have their turn
_RAISED, _KILLED = int(Exit.RAISED), int(Exit.KILLED)


class WSGIHandler(Response):
    """Serves one connection; ``handle`` is its life.

    Args:
        sock: the connection.
        address: the client's.
        server: the ``WSGIServer``.
    """

    environ: dict[str, Any]
    request: Request
    result: Any
    time_start: float = 0.0
    time_finish: float = 0.0

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.socket = sock
        self.client_address = address
        self.server = server
        self.application = server.application
        self.close_connection = False
        self.broken = False  # there is nobody to answer any more
        self.expired = False  # the server's clock has cut its wait off
        self.idle = False  # between two requests: what the server may cut off when it stops
        self.deadline: int = NEVER
        self.greenlet: Any = None
        self.status = None
        self.code = 0
        self.headers_sent = False
        self._ticks = server.ticks
        self._name = self._asked_for = ""
        self._line = b"\n"
        # The recorder's, if there is one: bound, since Python has no fast way to call an inherited method of C.
        self._request_begin: Callable[[bytes], int] | None = None
        self._request_end: Any = None
        self._served = self._refused = False
        self._rfile: BufferedReader | None = None
        is_pair = isinstance(address, tuple) and len(address) >= 2
        self._remote = (str(address[0]), str(address[1])) if is_pair else ("", "")
        self._parser = RequestParser(server.environ, server.limits, self)
        if not debugging.named and (
            type(self).get_environ is not WSGIHandler.get_environ or not NAMING.isdisjoint(server.environ)
        ):
            debugging.named = True  # it need not come with the request

    # Its life.

    def handle(self) -> None:
        """Serve what comes until one side has had enough; the server closes the connection then."""
        self.greenlet = running()
        recorder = here.recorder
        if recorder is not None:
            self._request_begin, self._request_end = recorder.request_begin, recorder.request_end
        server = self.server
        loop = get_hub().loop
        round_before, in_a_row = loop.rounds, 0
        server.connection_begins(self)
        try:
            while (request := self.read_request()) is not None:
                self.handle_one_request(request)
                if self.close_connection:
                    break
                # Who asks ahead, or is quick, has the next request here before it is read: then nobody waits.
                if loop.rounds != round_before:
                    round_before, in_a_row = loop.rounds, 0
                else:
                    in_a_row += 1
                    if in_a_row == _MOST_IN_A_ROW:
                        in_a_row = 0
                        sleep(0)
            self._end()
        finally:
            self._parser.close()
            self.greenlet = None
            server.connection_ends(self)

    def read_request(self) -> Request | None:
        """The next request; None if there will be none."""
        parser = self._parser
        requests = parser.requests
        if not requests:
            parser.resume()
        while not requests:
            error = parser.error
            if error is not None:
                self._refuse(error)
                return None
            if parser.ahead:
                parser.go_on()
                continue
            begun = parser.begun
            ticks = self._ticks
            if not begun:
                self.deadline = self.server.tick + (ticks.idle if self._served else ticks.header)
                self.idle = True
            elif self.deadline == NEVER:  # from the first byte on, and not from each
                self.deadline = self.server.tick + ticks.header
            try:
                data = self._received_by_now() if self.idle and self.server.stopping else self.socket.recv(_HEAD)
            except OSError:
                if self.expired and begun:
                    self._refuse(RequestError("408 Request Timeout", "the request did not come in time"))
                    return None
                data = b""
                if self.idle and self.server.stopping and not self.expired:
                    data = self._received_by_now()
            if not begun:
                self.deadline = NEVER
                self.idle = False
            if not data:
                self.broken = True
                return None
            parser.feed(data)
        self.deadline = NEVER
        return requests.popleft()

    def handle_one_request(self, request: Request) -> None:
        """Answer a request, and see to it that the next one can be read."""
        self.request = request
        self._served = True
        self._response_begins()
        if not request.keep_alive:
            self.close_connection = True
        environ = self.environ = self.get_environ()
        self._call_greenlet(request.method, request.target.partition(b"?")[0])
        log = self.server.log
        if log is not None:
            self.time_start = time()
        begin = self._request_begin
        if begin is None:
            self.handle_one_response()
        elif debugging.named and (
            "HTTP_X_REQUEST_ID" in environ or "HTTP_TRACEPARENT" in environ or debugging.always_traced
        ):
            self._handle_named(begin, environ)
        else:  # nearly always, and so without another call
            number = begin(self._line)
            try:
                self.handle_one_response()
            except BaseException as error:
                self._record_failure(number, error)
                raise
            end = self._request_end
            end(number, self.code)
        if log is not None:
            self.time_finish = time()
            self.log_request()

    def _handle_named(self, begin: Callable[[bytes], int], environ: dict[str, Any]) -> None:
        """The same, of a request that has an id, from its client or a proxy, or whose trace somebody asks for."""
        text = self._line
        identity = environ.get("HTTP_X_REQUEST_ID")
        if identity:
            text = identity[:_ID].encode("latin-1", "replace") + text
        header = environ.get("HTTP_TRACEPARENT")
        if header or debugging.always_traced:  # else nobody asks, and the environ need not grow
            if any(path in self._asked_for for path in debugging.unrecorded):
                self.handle_one_response()
                return
            text, environ["greenscope.traceparent"] = traced(text, header)
            number = environ["greenscope.request"] = begin(text)
        else:
            number = begin(text)
        try:
            self.handle_one_response()
        except BaseException as error:
            self._record_failure(number, error)
            raise
        self._request_end(number, self.code)

    def _record_failure(self, number: int, error: BaseException) -> None:
        how = _KILLED if isinstance(error, GreenletExit) else _RAISED
        self._request_end(number, self.code, how, type(error).__name__)

    def get_environ(self) -> dict[str, Any]:
        """The environ of the request at hand."""
        environ = self.request.environ
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = self._remote
        return environ

    def handle_one_response(self) -> None:
        """Call the application and send what it says."""
        request = self.request
        body = request.input
        try:
            try:
                self.run_application()
            finally:
                self._close_result()
            if not body.complete and not self.close_connection and not self._drained():
                self.close_connection = True
        except GreenletExit:
            self.close_connection = self.broken = True
            raise
        except BaseException as error:
            self.close_connection = True
            self._failed(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        finally:
            body.end()
            self.result = None

    def run_application(self) -> None:
        """Call the application, and send what it returns."""
        self.result = self.application(self.environ, self.start_response)
        self.process_result()

    def process_result(self) -> None:
        """Send what the application returned."""
        result = self.result
        if result.__class__ is list or result.__class__ is tuple:
            self._send_whole(result)
        else:
            self._send_pieces(result)

    def _close_result(self) -> None:
        close = getattr(self.__dict__.get("result"), "close", None)
        if close is not None:
            close()

    def _drained(self) -> bool:
        """Whether the body was received to its end, which nobody wants, so that the next request can be."""
        return self.request.input.discard(self.server.max_drain)

    # What goes wrong.

    def _failed(self, error: BaseException) -> None:
        if self.broken and isinstance(error, OSError):  # the client went away: nobody's error
            return
        if isinstance(error, RequestError):
            status, text = error.status, error.reason
        else:
            self.handle_error(type(error), error, error.__traceback__)
            status, text = "500 Internal Server Error", "Internal Server Error"
        if not self.headers_sent and not self.broken:
            self._send_error(status, text)

    def handle_error(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        """Say in ``error_log`` what the application raised, and for which request."""
        log = self.server.error_log
        log.write("".join(format_exception(kind, value, trace)))
        self.log_error("%s failed with %s", self.requestline, kind.__name__)

    def _refuse(self, error: RequestError) -> None:
        """Answer what is no request; the rest of the connection makes no sense."""
        self._refused = True
        self.request = request = Request(b"")
        request.method = ""
        request.old = request.head_only = False
        request.input = NO_INPUT
        self._response_begins()
        self._send_error(error.status, error.reason)
        if self.server.log is not None:
            self.time_start = self.time_finish = time()
            self.log_request()

    def _send_error(self, status: str, text: str) -> None:
        self.close_connection = True
        self._response_begins()
        body = f"{text}\n".encode(errors="replace")
        self.start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        try:
            self._send_whole([body])
        except OSError:
            pass

    def _end(self) -> None:
        """Let the answer arrive: the kernel throws it away with what it has received and nobody has read."""
        if self.broken or not (self._refused or self._unread()):
            return
        left = self.server.max_drain
        self.deadline = self.server.tick + self._ticks.linger
        try:
            self.socket.shutdown(SHUT_WR)
            while left > 0 and (data := self.socket.recv(_BODY)):
                left -= len(data)
        except OSError:
            pass

    def _unread(self) -> bool:
        request = self.__dict__.get("request")
        return request is not None and not request.input.complete

    # Sending and receiving.

    def _send(self, data: bytes) -> None:
        self.deadline = self.server.tick + self._ticks.send
        try:
            self.socket.sendall(data)
        except OSError:
            self.broken = self.close_connection = True
            raise
        finally:
            self.deadline = NEVER

    def send_continue(self) -> None:
        """Tell the client to go on; the body asks for it."""
        if not self.headers_sent:
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def receive_body(self) -> bool:
        """Receive some more of the body; False if the client has gone."""
        self._raise_of_body()  # what was received together with what came before it
        parser = self._parser
        if parser.ahead:
            parser.go_on()
            self._raise_of_body()
            return True
        self.deadline = self.server.tick + self._ticks.body
        try:
            data = self.socket.recv(_BODY)
        except OSError:
            if self.expired:
                raise RequestError("408 Request Timeout", "the request's body did not come in time") from None
            data = b""
        self.deadline = NEVER
        if not data:
            self.broken = self.close_connection = True
            return False
        parser.feed(data)
        self._raise_of_body()
        return True

    def _raise_of_body(self) -> None:
        parser = self._parser
        if parser.error is not None and not self.request.input.complete:
            self.close_connection = True
            raise parser.error  # not a variable of this frame's, which its traceback knows

    def _received_by_now(self) -> bytes:
        """What has come in the moment in which the server stopped."""
        self.socket.settimeout(0)
        try:
            data: bytes = self.socket.recv(_HEAD)
        except OSError:
            return b""
        finally:
            self.socket.settimeout(None)
        return data

    def cut_off(self) -> None:
        """End the wait for the client; the server's, from the hub."""
        self.socket.cancel_wait()

    @property
    def rfile(self) -> BufferedReader:
        """What comes after a request that asked for an upgrade, for who speaks the other protocol from here on."""
        if self._rfile is None:
            self._rfile = rest_of(self._parser.take_rest(), self.socket)
            self.close_connection = True
        return self._rfile

    # What is said of it.

    def _call_greenlet(self, method: str, path: bytes) -> None:
        """Name the greenlet after the request, for whoever looks at the recording."""
        name = f"{method} {path.decode('latin-1')}"
        if name == self._asked_for:  # as it is said of a connection's requests more often than not
            return
        self._asked_for = name
        self._line = b"\n" + name.encode("latin-1", "replace")
        name = name_of_request(method, name[len(method) + 1 :])
        if name != self._name:
            self._name = name
            if isinstance(self.greenlet, Greenlet):
                self.greenlet.name = name

    @property
    def command(self) -> str:
        """The request's method."""
        return self.request.method

    @property
    def path(self) -> str:
        """The request's target, as it was sent."""
        return self.request.target.decode("latin-1")

    @property
    def request_version(self) -> str:
        """What the request came with."""
        return "HTTP/1.0" if self.request.old else "HTTP/1.1"

    @property
    def requestline(self) -> str:
        """The request's first line; nothing if it could not be read."""
        return f"{self.command} {self.path} {self.request_version}" if self.command else ""

    def log_request(self) -> None:
        """Write the request's line to the server's log."""
        self.server.log.write(f"{self.format_request()}\n")

    def format_request(self) -> str:
        """A line about the request that was answered, as gevent's."""
        now = strftime("%Y-%m-%d %H:%M:%S", localtime(self.time_finish))
        status = (self.status or "000").split()[0]
        took = f"{self.time_finish - self.time_start:.6f}"
        client = self._remote[0] or "-"
        return f'{client} - - [{now}] "{self.requestline}" {status} {self.response_length or "-"} {took}'

    def log_error(self, message: str, *arguments: Any) -> None:
        """Write a line to ``error_log``."""
        text = message % arguments if arguments else message
        now = strftime("%Y-%m-%d %H:%M:%S", localtime())
        self.server.error_log.write(f"{self._remote[0] or '-'} - - [{now}] {text}\n")
