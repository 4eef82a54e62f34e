"""How requests and connections of the WSGI server end: errors, kills, clients that go away, stop, TLS."""

from __future__ import annotations

import http.client
import socket as stdlib
import struct
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, socket, ssl
from greenscope.runtime.pool import Pool
from greenscope.runtime.wsgi import WSGIServer
from tests.runtime.wsgi_help import (
    CLOSING,
    GET,
    ask,
    connect,
    echo,
    head_and_body,
    hello,
    one_answer,
    read_all,
    serving,
)

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))


def until(condition):
    """Let others run until it is so."""
    with runtime.Timeout(20):
        while not condition():
            runtime.sleep(0.001)


class Pieces:
    """An iterable that says whether it was closed, and fails when told to."""

    def __init__(self, pieces, error=None):
        self.pieces = pieces
        self.error = error
        self.closed = 0

    def __iter__(self):
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed += 1


# Errors of the application.


def test_an_application_that_fails_is_a_500_and_its_traceback_is_in_the_error_log():
    def fail(environ, start_response):
        raise ValueError("application")

    with serving(fail) as server:
        status, headers, body = head_and_body(ask(server, GET))
        assert (status, headers["connection"]) == ("500 Internal Server Error", "close")
        assert b"ValueError" not in body
    said = server.errors.getvalue()
    assert "Traceback" in said and "ValueError: application" in said
    assert said.rstrip().endswith("GET / HTTP/1.1 failed with ValueError")
    assert '"GET / HTTP/1.1" 500 ' in server.lines.getvalue()


def test_an_error_after_start_response_is_a_500_too():
    pieces = Pieces([], ValueError("late"))

    def fail(environ, start_response):
        start_response("200 OK", [("X-Secret", "1")])
        return pieces

    with serving(fail) as server:
        status, headers, _ = head_and_body(ask(server, GET))
    assert status.startswith("500") and "x-secret" not in headers
    assert pieces.closed == 1


def test_an_error_in_the_middle_of_the_body_cuts_it_off_where_the_client_sees_it():
    pieces = Pieces([b"one"], ValueError("later"))

    def fail(environ, start_response):
        start_response("200 OK", [])
        return pieces

    with serving(fail) as server:
        answer = ask(server, GET)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"3\r\none\r\n")
    assert pieces.closed == 1 and "ValueError: later" in server.errors.getvalue()


def test_start_response_may_change_its_mind_with_exc_info_until_something_is_sent():
    def application(environ, start_response):
        write = start_response("200 OK", [("X-Old", "1")])
        if environ["PATH_INFO"] == "/sent":
            write(b"sent")
        try:
            raise KeyError("why")
        except KeyError:
            start_response("503 Sorry", [], sys.exc_info())
        return [b"sorry"]

    with serving(application) as server:
        status, headers, body = head_and_body(ask(server, CLOSING))
        assert (status, body) == ("503 Sorry", b"sorry") and "x-old" not in headers
        assert not server.errors.getvalue()
        assert ask(server, CLOSING.replace(b"/", b"/sent", 1)).endswith(b"4\r\nsent\r\n")
    assert "KeyError: 'why'" in server.errors.getvalue()


BAD_ANSWERS = {
    "twice": lambda start: (start("200 OK", []), start("200 OK", []), [b""])[-1],
    "never": lambda start: [b"body"],
    "never, and nothing": lambda start: [],
    "None": lambda start: start("200 OK", []) and None,
    "text": lambda start: start("200 OK", []) and ["text"],
    "texts": lambda start: start("200 OK", []) and ["te", "xt"],
    "text in an iterable": lambda start: start("200 OK", []) and iter(["text"]),
    "text written": lambda start: start("200 OK", [])("text"),
    "no status": lambda start: start("OK", []) and [b""],
    "a number": lambda start: start(200, []) and [b""],
    "a status in two lines": lambda start: start("200 OK\r\nX: y", []) and [b""],
    "a header in two lines": lambda start: start("200 OK", [("A", "b\r\nX: y")]) and [b""],
    "a name in two lines": lambda start: start("200 OK", [("A\n", "b")]) and [b""],
    "a lone CR": lambda start: start("200 OK", [("A", "b\rc")]) and [b""],
    "a NUL": lambda start: start("200 OK", [("A", "\0")]) and [b""],
    "bytes in a header": lambda start: start("200 OK", [("A", b"b")]) and [b""],
    "bytes for a name": lambda start: start("200 OK", [(b"A", "b")]) and [b""],
    "a number in a header": lambda start: start("200 OK", [("A", 1)]) and [b""],
    "more than Latin-1": lambda start: start("200 OK", [("A", "\u20ac")]) and [b""],
    "a length that is none": lambda start: start("200 OK", [("Content-Length", "five")]) and [b"12345"],
    "a list that is too short": lambda start: start("200 OK", [("Content-Length", "6")]) and [b"12345"],
    "a list that is too long": lambda start: start("200 OK", [("Content-Length", "4")]) and [b"12345"],
    "nothing, for a length": lambda start: start("200 OK", [("Content-Length", "4")]) and iter([]),
    "a first piece that is too long": lambda start: start("200 OK", [("Content-Length", "4")]) and iter([b"12345"]),
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_an_answer_that_is_none_is_a_500(what):
    with serving(lambda environ, start_response: BAD_ANSWERS[what](start_response)) as server:
        answer = ask(server, CLOSING)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert "Traceback" in server.errors.getvalue()


@pytest.mark.parametrize("pieces", [[b"12"], [b"12", b"345"]])
def test_a_body_that_breaks_its_promise_once_it_is_being_sent_ends_the_connection(pieces):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return iter(pieces)

    with serving(application) as server:
        answer = ask(server, GET)  # which would be kept
    assert answer.endswith(b"\r\n\r\n12")
    assert "Content-Length" in server.errors.getvalue()


def test_headers_may_be_Latin_1_and_the_coding_of_an_upstream_is_dropped():
    def application(environ, start_response):
        start_response("200 \xdc", [("X-A", "\xe9"), ("Transfer-Encoding", "chunked"), ("Date", "today")])
        return [b"x"]

    with serving(application) as server:
        status, headers, body = head_and_body(ask(server, CLOSING))
    assert (status, headers["x-a"], headers["date"], body) == ("200 \xdc", "\xe9", "today", b"x")
    assert "transfer-encoding" not in headers


def test_an_application_may_close_the_connection():
    def application(environ, start_response):
        start_response("200 OK", [("Connection", "close")])
        return [b"x"]

    with serving(application) as server:
        answer = ask(server, GET + GET)
    assert answer.count(b"HTTP/1.1") == 1 and answer.count(b"Connection: ") == 1


def test_an_iterable_is_closed_however_it_ends():
    all_of_them = []

    def application(environ, start_response):
        start_response("204 No Content" if environ["PATH_INFO"] == "/204" else "200 OK", [])
        all_of_them.append(Pieces([b"x"] * 3))
        return all_of_them[-1]

    with serving(application) as server:
        ask(server, GET + GET.replace(b"/", b"/204", 1) + CLOSING.replace(b"GET", b"HEAD"))
    assert [one.closed for one in all_of_them] == [1, 1, 1]


def test_what_close_raises_is_an_error_of_the_application():
    class Closing(Pieces):
        def close(self):
            raise ValueError("close")

    def application(environ, start_response):
        start_response("200 OK", [])
        return Closing([b"x"])

    with serving(application) as server:
        assert ask(server, GET).endswith(b"0\r\n\r\n")
    assert "ValueError: close" in server.errors.getvalue()


def test_a_timeout_that_strikes_an_application_is_a_500():
    def application(environ, start_response):
        with runtime.Timeout(0.01):
            runtime.sleep(60)

    with serving(application) as server:
        assert ask(server, GET).startswith(b"HTTP/1.1 500 ")


def test_an_application_that_cannot_reach_its_database_is_a_500():
    def application(environ, start_response):
        raise ConnectionRefusedError("database")

    with serving(application) as server:
        assert ask(server, GET).startswith(b"HTTP/1.1 500 ")
    assert "database" in server.errors.getvalue()


# Clients that go away.


def reset(client):
    """Close so that the other side gets a RST."""
    client.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


EXCHANGE = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("end", [socket.socket.close, reset])
def test_a_client_may_go_away_at_any_byte(end):
    with serving(echo) as server:
        for length in range(len(EXCHANGE) + 1):
            client = connect(server)
            client.sendall(EXCHANGE[:length])
            runtime.sleep(0)
            end(client)
        until(lambda: not server._connections)
    assert server.errors.getvalue() == ""


def test_a_body_that_ends_early_is_an_error_that_the_application_can_catch():
    caught = []

    def application(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except ConnectionResetError as error:
            caught.append(str(error))
        return hello(environ, start_response)

    with serving(application) as server:
        with connect(server) as client:
            client.sendall(EXCHANGE[:-2])
            client.shutdown(stdlib.SHUT_WR)
            read_all(client)
    assert "3 of 5 bytes" in caught[0]


def test_a_client_that_goes_away_while_it_is_answered_is_nobodys_error():
    pieces = Pieces(b"x" * 100_000 for _ in range(1000))

    def application(environ, start_response):
        start_response("200 OK", [])
        return pieces

    with serving(application) as server:
        client = connect(server)
        client.sendall(GET)
        client.recv(1000)
        reset(client)
        until(lambda: pieces.closed)
    assert server.errors.getvalue() == ""


def test_an_input_that_is_kept_beyond_its_request_cannot_be_read():
    inputs = []

    def application(environ, start_response):
        inputs.append(environ["wsgi.input"])
        return hello(environ, start_response)

    with serving(application) as server:
        ask(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n")
    with pytest.raises(ValueError, match="answered"):
        inputs[0].read()


# Kills, and the end of the server.


def test_a_handler_that_is_killed_closes_its_connection_and_its_iterable():
    handlers, pieces = [], Pieces([])

    class Waiting(Pieces):
        def __iter__(self):
            yield b"one"
            runtime.sleep(60)

    pieces = Waiting([])

    def application(environ, start_response):
        handlers.append(runtime.getcurrent())
        start_response("200 OK", [])
        return pieces

    with serving(application) as server, connect(server) as client:
        client.sendall(GET)
        until(lambda: handlers)
        handlers[0].kill()
        assert read_all(client).endswith(b"one\r\n")
    assert pieces.closed == 1 and server.errors.getvalue() == ""


@pytest.mark.parametrize("sent", [b"", GET[:10], GET, EXCHANGE[:-2]])
def test_a_handler_is_killed_wherever_it_waits(sent):
    with serving(echo) as server, connect(server) as client:
        client.sendall(sent)
        until(lambda: server._connections)
        runtime.sleep(0.002)
        next(iter(server._connections)).greenlet.kill()
        with suppress(ConnectionResetError):  # it may not have read what was sent
            read_all(client)
        assert not server._connections
    assert server.errors.getvalue() == ""


def held(release, begun):
    def application(environ, start_response):
        begun.set()
        release.wait()
        return hello(environ, start_response)

    return application


@pytest.mark.parametrize("spawn", ["default", 5, "raw"])
def test_stop_finishes_what_is_being_answered_and_closes_what_is_idle(spawn):
    release, begun = Event(), Event()
    server = WSGIServer(("127.0.0.1", 0), held(release, begun), log=None, spawn=spawn)
    server.start()
    idle, busy = connect(server), connect(server)
    busy.sendall(GET + GET)
    begun.wait()
    stopping = runtime.spawn(server.stop, 20)
    assert idle.recv(1) == b""
    assert not stopping.dead
    release.set()
    answer = read_all(busy)
    assert answer.count(b"HTTP/1.1 200 OK") == 1 and b"Connection: close\r\n" in answer
    stopping.join()
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    idle.close()
    busy.close()


@pytest.mark.parametrize("spawn", ["default", 5, "raw"])
def test_stop_kills_what_does_not_end_in_time(spawn):
    begun = Event()
    server = WSGIServer(("127.0.0.1", 0), held(Event(), begun), log=None, spawn=spawn)
    server.start()
    with connect(server) as client:
        client.sendall(GET)
        begun.wait()
        server.stop(timeout=0.01)
        assert read_all(client) == b""
    assert not server._connections


def test_an_answer_that_is_given_while_the_server_stops_says_that_the_connection_ends():
    def application(environ, start_response):
        until(lambda: server.stopping)
        return hello(environ, start_response)

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    with connect(server) as client:
        client.sendall(GET)
        runtime.sleep(0.01)
        runtime.spawn(server.stop, 20)
        assert head_and_body(read_all(client))[2] == b"hello"


def test_an_application_may_stop_its_server():
    def application(environ, start_response):
        server.stop()
        return hello(environ, start_response)

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    with connect(server) as client, connect(server) as idle:
        runtime.sleep(0.01)
        client.sendall(GET)
        assert read_all(client).endswith(b"hello")
        assert idle.recv(1) == b""
    server.serve_forever() if server.started else None


def test_with_no_spawning_connections_are_served_one_after_the_other():
    with serving(hello, spawn=None) as server:
        for _ in range(2):
            assert ask(server, CLOSING).endswith(b"hello")


def test_it_serves_on_a_unix_socket(tmp_path):
    seen = []

    def application(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    with WSGIServer(listener, application, log=None) as server:
        server.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(CLOSING)
            assert read_all(client).endswith(b"hello")
    assert (seen[0]["REMOTE_ADDR"], seen[0]["SERVER_PORT"], seen[0]["SERVER_NAME"]) == ("", "", "localhost")


def test_a_pool_limits_how_many_are_served():
    release, begun = Event(), Event()
    with serving(held(release, begun), spawn=Pool(1)) as server:
        first, second = connect(server), connect(server)
        first.sendall(CLOSING)
        begun.wait()
        second.sendall(CLOSING)
        runtime.sleep(0.01)
        assert len(server._connections) == 1
        release.set()
        assert read_all(first).endswith(b"hello") and read_all(second).endswith(b"hello")
        first.close()
        second.close()


# TLS.


def trusting():
    return ssl.create_default_context(cafile=CERTIFICATE)


def test_it_talks_HTTPS():
    def application(environ, start_response):
        start_response("200 OK", [])
        return iter([environ["wsgi.url_scheme"].encode(), b" ", environ["wsgi.input"].read()])

    with serving(application, certfile=CERTIFICATE) as server:
        with trusting().wrap_socket(connect(server), server_hostname="localhost") as client:
            connection = http.client.HTTPConnection("localhost")
            connection.sock = client
            for length in (3, 300_000):
                connection.request("POST", "/", b"x" * length)
                assert connection.getresponse().read() == b"https " + b"x" * length
            connection.close()
    assert server.errors.getvalue() == ""


def test_a_client_that_does_not_speak_TLS_is_told_nothing_and_a_line_is_written(capsys):
    with serving(hello, certfile=CERTIFICATE) as server:
        with suppress(ConnectionResetError):
            ask(server, GET)
        until(lambda: not server._connections)
    assert server.errors.getvalue().startswith("127.0.0.1 did not get through TLS: ")
    assert capsys.readouterr().err == ""


def test_a_client_that_is_too_slow_for_TLS_is_cut_off():
    class Impatient(WSGIServer):
        header_timeout = 0.1

    with serving(hello, Impatient, certfile=CERTIFICATE) as server, connect(server) as client:
        assert client.recv(1) == b""
    assert server.errors.getvalue() == ""


def test_stop_ends_what_has_not_got_through_TLS_and_what_is_idle_behind_it():
    with serving(hello, certfile=CERTIFICATE) as server:
        silent = connect(server)
        with trusting().wrap_socket(connect(server), server_hostname="localhost") as client:
            with client.makefile("rb") as file:
                client.sendall(GET)
                assert one_answer(file)[2] == b"hello"
                server.stop(20)
                assert file.read() == b""
        assert silent.recv(1) == b""
        silent.close()
