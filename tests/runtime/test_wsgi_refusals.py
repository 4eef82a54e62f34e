"""What the WSGI server refuses: requests that are none, that two readers could read differently, that are too much."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import greenscope.runtime as runtime
from greenscope.runtime.wsgi import WSGIServer
from greenscope.runtime.wsgi_parser import Limits, RequestParser
from tests.runtime.wsgi_help import GET, ask, connect, echo, head_and_body, hello, one_answer, read_all, serving

HOST = b"Host: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"

REFUSED = {
    "no request": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "501"),
    "no target": (b"GET\r\n\r\n", "400"),
    "HTTP/0.9": (b"GET /\r\n\r\n", "505"),
    "HTTP/0.9, said": (b"GET / HTTP/0.9\r\n\r\n", "505"),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", "505"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", "505"),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", "501"),
    "a method in lower case": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", "501"),
    "a tunnel": (b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n", "501"),
    "a relative target": (b"GET index.html HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    "a space in the target": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    "a byte that is not ASCII in the target": (b"GET /\xe4 HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", "400"),
    "two Hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", "400"),
    "a bare LF": (b"GET / HTTP/1.1\nHost: x\n\n", "400"),
    "a bare LF after a header": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "400"),
    "a bare CR in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: x\rB: y\r\n\r\n", "400"),
    "a NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: x\0y\r\n\r\n", "400"),
    "a folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", "400"),
    "a space before the first header": (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", "400"),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
    "a header without a name": (b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", "400"),
    "a header without a colon": (b"GET / HTTP/1.1\r\n" + HOST + b"abc\r\n\r\n", "400"),
    "a name that is not ASCII": (b"GET / HTTP/1.1\r\n" + HOST + b"A\xe4: x\r\n\r\n", "400"),
    "length and chunks": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400"),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"),
    "the same length twice": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"),
    "a list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", "400"),
    "a length with a plus": (POST + b"Content-Length: +3\r\n\r\nabc", "400"),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\nabc", "400"),
    "a hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", "400"),
    "an empty length": (POST + b"Content-Length:\r\n\r\nabc", "400"),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999\r\n\r\nabc", "400"),
    "chunks and something": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400"),
    "something and chunks": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
    "another coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", "501"),
    "nearly chunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    "a folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    "another expectation": (POST + b"Content-Length: 3\r\nExpect: 200-ok\r\n\r\nabc", "417"),
    "a long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", "414"),
    "a target without an end": (b"GET /" + b"a" * 1_000_000, "414"),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 101 + b"\r\n", "431"),
    "a long header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 70_000 + b"\r\n\r\n", "431"),
    "a header without an end": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 1_000_000, "431"),
    "a name without an end": (b"GET / HTTP/1.1\r\n" + HOST + b"b" * 1_000_000, "431"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_and_the_connection_closed(what):
    request, status = REFUSED[what]

    def never(environ, start_response):
        raise AssertionError(f"called for {environ['PATH_INFO']}")

    with serving(never) as server, connect(server) as client:
        sender = runtime.spawn(_send, client, request)
        answer = read_all(client)
        sender.join()
    got, headers, _ = head_and_body(answer)
    assert got.startswith(status)
    assert headers["connection"] == "close"
    assert server.errors.getvalue() == ""


def _send(client, data):
    with suppress(OSError):  # it had enough
        client.sendall(data)


BAD_CHUNKS = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "a size that is none": b"xyz\r\nabc\r\n0\r\n\r\n",
    "a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"fffffffffffffffff\r\nabc\r\n",
    "a space after the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk that is too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "bare LFs": b"3\nabc\n0\n\n",
    "an endless trailer": b"0\r\nA: " + b"b" * 100_000,
}


@pytest.mark.parametrize("what", BAD_CHUNKS)
def test_chunks_that_are_none_are_refused(what):
    with serving(echo) as server, connect(server) as client:
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        runtime.sleep(0)
        sender = runtime.spawn(_send, client, BAD_CHUNKS[what])
        status, headers, _ = head_and_body(read_all(client))
        sender.join()
    assert status[:3] in {"400", "431"} and headers["connection"] == "close"


def test_what_comes_before_a_bad_request_is_answered():
    with serving(hello) as server:
        answer = ask(server, GET + GET + b"nonsense\r\n\r\n" + GET)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"HTTP/1.1 501") == 1
    assert answer.index(b"501") > answer.rindex(b"200 OK")


def test_a_smuggled_request_is_not_served():
    served = []

    def application(environ, start_response):
        served.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    smuggled = b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(application) as server:
        for head in (
            b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(smuggled)),
            b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(smuggled),
            b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        ):
            ask(server, POST + head + smuggled)
    assert "/secret" not in served


def test_an_upgrade_that_nobody_wants_is_an_ordinary_request():
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with serving(hello) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(upgrade + GET + upgrade)
        assert [one_answer(file)[2] for _ in range(3)] == [b"hello"] * 3
        client.sendall(GET)
        assert one_answer(file)[2] == b"hello"


class Impatient(WSGIServer):
    header_timeout = keepalive_timeout = body_timeout = linger_timeout = 0.1


def test_a_head_that_does_not_end_in_time_is_refused_however_much_of_it_comes():
    with serving(hello, Impatient) as server, connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")

        def drip():
            try:
                while True:
                    client.sendall(b"A: b\r\n")
                    runtime.sleep(0.01)
            except OSError:
                pass

        dripping = runtime.spawn(drip)
        assert read_all(client).startswith(b"HTTP/1.1 408 ")
        dripping.kill()


def test_a_client_that_says_nothing_is_closed():
    with serving(hello, Impatient) as server, connect(server) as client:
        assert client.recv(1) == b""
    assert server.lines.getvalue() == ""


def test_a_connection_that_is_not_used_any_more_is_closed():
    with serving(hello, Impatient) as server, connect(server) as client:
        client.sendall(GET)
        assert read_all(client).endswith(b"hello")


def test_a_body_that_does_not_come_in_time_is_refused():
    with serving(echo, Impatient) as server, connect(server) as client:
        client.sendall(POST + b"Content-Length: 5\r\n\r\nab")
        assert read_all(client).startswith(b"HTTP/1.1 408 ")
    assert server.errors.getvalue() == ""


def test_an_application_has_all_the_time_it_wants():
    def slow(environ, start_response):
        runtime.sleep(0.4)
        return hello(environ, start_response)

    with serving(slow, Impatient) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(GET)
        assert one_answer(file)[2] == b"hello"


def test_a_client_that_does_not_take_its_answer_is_closed_if_that_is_wanted():
    class Pushing(WSGIServer):
        send_timeout = 0.1

    def much(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 100_000
        finally:
            ended.set()

    ended = runtime.Event()
    with serving(much, Pushing) as server, connect(server) as client:
        client.sendall(GET)
        assert ended.wait(10)


def test_timeouts_that_make_no_sense_are_refused():
    class Hasty(WSGIServer):
        header_timeout = 0

    with pytest.raises(ValueError, match="header"):
        Hasty(("127.0.0.1", 0), hello)


def test_continue_is_said_when_the_body_is_first_read():
    begun = runtime.Event()

    def application(environ, start_response):
        begun.wait()
        return echo(environ, start_response)

    with serving(application) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(POST + b"Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        begun.set()
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        status, headers, body = one_answer(file)
        assert (status, body) == ("200 OK", b"hello") and "connection" not in headers


def test_continue_is_not_said_to_a_body_that_has_come_nor_to_HTTP_1_0():
    with serving(echo) as server:
        for version in (b"1.1", b"1.0"):
            head = b"POST / HTTP/%b\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
            assert ask(server, head % version + b"Connection: close\r\n\r\nhello").startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_is_never_told_to_go_on_is_closed():
    with serving(hello) as server:
        status, headers, body = head_and_body(ask(server, POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"))
    assert (status, headers["connection"], body) == ("200 OK", "close", b"hello")


STREAM = (
    GET + POST + b"Content-Length: 5\r\n\r\nhello" + GET.replace(b"/ ", b"/x?y ", 1)
    + POST + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\nHost: y\r\n\r\n" + GET
)  # fmt: skip


class Gone:
    """A connection that nothing comes from any more."""

    def receive_body(self):
        return False

    def send_continue(self):
        pass


def parsed(pieces):
    parser = RequestParser({}, Limits(1000, 10_000, 100), Gone())
    requests = []
    for piece in pieces:
        parser.feed(piece)
        while parser.ahead and parser.error is None:
            parser.go_on()
    for request in parser.requests:
        environ = request.environ
        try:
            environ["body"] = environ.pop("wsgi.input").read()
        except ConnectionResetError:
            environ["body"] = None
        requests.append(environ)
    return requests, parser.error and parser.error.status


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
@settings(deadline=None)
def test_it_does_not_matter_in_which_pieces_the_bytes_come(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    got = parsed([STREAM[start:end] for start, end in pairwise(edges) if start < end])
    assert got == parsed([STREAM])
    assert [environ["body"] for environ in got[0]] == [b"", b"hello", b"", b"abcde", b""]


@given(st.integers(0, len(STREAM) - 1), st.binary(max_size=3))
@settings(deadline=None)
def test_bytes_that_are_changed_make_no_more_than_an_error(at, instead):
    for request in parsed([STREAM[:at] + instead + STREAM[at + 1 :]])[0]:
        assert request["REQUEST_METHOD"].isupper()


def test_a_client_that_asks_ahead_does_not_fill_the_memory_with_requests():
    most = [0]
    tiny = b"GET / HTTP/1.1\r\nHost:\r\n\r\n"

    def application(environ, start_response):
        (connection,) = server._connections
        most.append(len(connection._parser.requests))
        return hello(environ, start_response)

    with serving(application) as server, connect(server) as client, client.makefile("rb") as file:
        sender = runtime.spawn(client.sendall, tiny * 3000)
        assert all(one_answer(file)[2] == b"hello" for _ in range(3000))
        sender.join()
    assert max(most) <= 4096 // len(tiny)


@pytest.mark.parametrize("chunked", [False, True])
def test_requests_behind_a_long_body_are_served(chunked):
    body = b"x" * 100_000
    framed = (
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        if chunked
        else b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    with serving(echo) as server, connect(server) as client, client.makefile("rb") as file:
        sender = runtime.spawn(client.sendall, (POST + framed + GET * 500) * 2)
        for _ in range(2):
            assert one_answer(file)[2] == body
            assert all(one_answer(file)[2] == b"" for _ in range(500))
        sender.join()
