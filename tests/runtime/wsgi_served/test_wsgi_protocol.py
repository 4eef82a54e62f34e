"""The WSGI server as a stranger sees it: over the wire, with and without TLS, valid, ambiguous and too long.

The server is a process of its own (``wsgi_process``). Its own parts have ``test_wsgi``; where the network cuts
messages has ``test_wsgi_streams``. Set WSGI_SERVER=gevent to see what gevent's server does with the same.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from pathlib import Path

import pytest

from tests.runtime.wsgi_served.wsgi_wire import chunked, post, request

# What connections are kept for, and what not.


def test_a_connection_serves_one_request_after_the_other(server):
    connection = server.connect()
    for _ in range(3):
        got = connection.send(request("/hello")).answer()
        assert (got.status, got.body, got.version) == (200, b"hello", 11)


@pytest.mark.parametrize(
    ("version", "header", "kept"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: close", False),
        ("1.1", "Connection: CLOSE", False),
        ("1.1", "Connection: foo, close", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: keep-alive", True),
        ("1.0", "Connection: Keep-Alive", True),
    ],
)
def test_whether_it_is_kept_is_the_clients_to_say(server, version, header, kept):
    connection = server.connect().send(request("/hello", header, version=version))
    got = connection.answer()
    assert got.body == b"hello"
    if kept:
        if version == "1.0":
            assert got.headers["Connection"].lower() == "keep-alive"
        assert connection.send(request("/hello", header, version=version)).answer().body == b"hello"
    else:
        assert connection.ended()


def test_an_answer_without_length_is_in_chunks_for_1_1_and_ends_the_connection_for_1_0(server):
    connection = server.connect().send(request("/parts"))
    got = connection.answer()
    assert got.headers["Transfer-Encoding"] == "chunked" and got.body == b"abbccc"
    assert connection.send(request("/hello")).answer().body == b"hello"

    connection = server.connect().send(request("/parts", "Connection: keep-alive", version="1.0"))
    got = connection.answer()
    assert got.headers["Transfer-Encoding"] is None and got.body == b"abbccc"
    assert connection.ended()


def test_pipelined_requests_are_answered_in_order(server):
    connection = server.connect().send(
        request("/hello")
        + post("/echo", b"one")
        + chunked("/echo", b"t", b"wo")
        + request("/parts")
        + post("/ignore", b"z" * 9)
    )
    assert [connection.answer().body for _ in range(5)] == [b"hello", b"one", b"two", b"abbccc", b"ignored"]
    assert connection.send(request("/hello", "Connection: close")).answer().body == b"hello"
    assert connection.ended()


def test_what_follows_the_last_request_of_a_connection_is_not_served(server):
    connection = server.connect().send(request("/hello", "Connection: close") + request("/parts"))
    assert connection.answer().body == b"hello"
    assert connection.ended()
    assert server.noted()["seen"] == ["/forget", "/hello"][1:]


def test_HEAD_has_the_headers_of_GET_and_no_body(server):
    for path in ("/hello", "/parts", "/empty"):
        connection = server.connect().send(request(path, method="HEAD"))
        assert connection.answer("HEAD").status == 200
        assert connection.send(request("/hello")).answer().body == b"hello"
    assert server.ask(request("/hello", method="HEAD"), "HEAD").headers["Content-Length"] == "5"


@pytest.mark.parametrize(("path", "status"), [("/none", 204), ("/unchanged", 304)])
def test_an_answer_that_has_no_body_is_not_in_chunks(server, path, status):
    connection = server.connect().send(request(path))
    got = connection.answer()
    assert (got.status, got.headers["Transfer-Encoding"]) == (status, None)
    assert connection.send(request("/hello")).answer().body == b"hello"


def test_an_empty_answer_is_whole(server):
    connection = server.connect().send(request("/empty"))
    assert connection.answer().body == b""
    assert connection.send(request("/hello")).answer().body == b"hello"


# The body of a request.


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 1_500_000])
def test_a_body_arrives_whole_by_length_and_in_chunks(server, size):
    body = os.urandom(size)
    assert server.ask(post("/echo", body)).body == body
    pieces = [body[at : at + 9999] for at in range(0, size, 9999)]
    assert server.ask(chunked("/echo", *pieces)).body == body


def test_reading_ends_with_the_body(server):
    connection = server.connect().send(post("/over", b"12345") + chunked("/over", b"12", b"345") + request("/over"))
    assert [json.loads(connection.answer().body) for _ in range(3)] == [[5, 0, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]]


def test_a_body_is_read_in_bits_and_in_lines(server):
    body = b"first\nsecond\nthird\nfourth\nlast"
    lines = ["first\n", "se", "cond\n", "third\n", "fourth\n", "last"]
    for message in (post("/lines", body), chunked("/lines", body[:3], body[3:9], body[9:])):
        assert json.loads(server.ask(message).body) == lines
    for message in (post("/bits", b"abcdefgh"), chunked("/bits", b"abcd", b"efgh")):
        assert "".join(json.loads(server.ask(message).body)) == "abcdefgh"


@pytest.mark.parametrize("path", ["/ignore", "/some"])
@pytest.mark.parametrize("size", [10, 5000, 3_000_000])
def test_an_unread_body_is_never_taken_for_a_request(server, path, size):
    smuggled = request("/smuggled")
    body = (smuggled * (size // len(smuggled) + 1))[: max(size, len(smuggled))]
    for message in (post(path, body), chunked(path, body)):
        connection = server.connect()
        try:
            connection.send(message, request("/hello", "Connection: close"))
        except OSError:
            continue  # it hung up, as it may
        try:
            first = connection.answer()
        except ConnectionResetError:
            continue
        assert first.status == 200
        if not connection.ended():
            connection.rest()
    assert "/smuggled" not in server.noted()["seen"]


def test_a_client_that_expects_it_is_told_to_go_on_and_only_once(server):
    connection = server.connect().send(request("/lines", "Content-Length: 4", "Expect: 100-continue", method="POST"))
    assert connection.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    while connection.file.readline() != b"\r\n":
        pass
    connection.send(b"a\nbc")
    assert json.loads(connection.answer().body)[:2] == ["a\n", "bc"]


def test_a_client_whose_body_nobody_wants_gets_an_answer_at_once(server):
    connection = server.connect().send(
        request("/ignore", "Content-Length: 400000", "Expect: 100-continue", method="POST")
    )
    assert connection.answer().body == b"ignored"  # an interim answer would be skipped, and the body waited for


def test_the_trailer_of_chunks_is_no_header(server):
    connection = server.connect().send(chunked("/echo", b"abc", trailer=b"X-Late: 1\r\nHost: y\r\n"))
    assert connection.answer().body == b"abc"
    got = json.loads(connection.send(request("/environ")).answer().body)
    assert "HTTP_X_LATE" not in got and got["HTTP_HOST"] == "x"


@pytest.mark.parametrize("name", ["Content-Length: 99", "Transfer-Encoding: chunked"])
def test_a_trailer_does_not_frame_anything(server, name):
    connection = server.connect().send(chunked("/ignore", b"abc", trailer=f"{name}\r\n".encode()) + request("/hello"))
    assert connection.answer().status in {200, 400}  # the answer may come before the trailer does
    assert connection.ended()


# What is refused.

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
AMBIGUOUS = {
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "lengths in a list": POST + b"Content-Length: 0, 5\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +0\r\n\r\n",
    "length in words": POST + b"Content-Length: five\r\n\r\n",
    "length with underscore": POST + b"Content-Length: 1_0\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\n",
    "huge length": POST + b"Content-Length: 99999999999999999999999999\r\n\r\n",
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"Content-Length : 5\r\n\r\n",
    "folded header": POST + b"X: a\r\n Content-Length: 5\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "NUL in a header": b"GET /echo HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "bare CR in a header": b"GET /echo HTTP/1.1\r\nHost: x\r\nX: a\rContent-Length: 5\r\n\r\n",
    "no colon": b"GET /echo HTTP/1.1\r\nHost x\r\n\r\n",
    "no header name": b"GET /echo HTTP/1.1\r\n: x\r\n\r\n",
    "no version": b"GET /echo\r\n\r\n",
    "too many words": b"GET /echo a HTTP/1.1\r\nHost: x\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad method": b"G@T /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad version": b"GET /echo HTTP/1.x\r\nHost: x\r\n\r\n",
    "version 2": b"GET /echo HTTP/2.0\r\nHost: x\r\n\r\n",
    "version 9.9": b"GET /echo HTTP/9.9\r\nHost: x\r\n\r\n",
    "control character in the path": b"GET /ec\x01ho HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("message", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_two_servers_could_read_two_ways_is_refused_and_ends_the_connection(server, message):
    connection = server.connect().send(message + request("/smuggled"))
    first = connection.answer()
    assert 400 <= first.status < 600 and first.status not in {404, 500}
    assert connection.ended()
    assert set(server.noted()["seen"]) <= {"/echo"}


@pytest.mark.parametrize(
    "body",
    [b"x\r\nabc", b"-3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabcX\r\n0\r\n\r\n",
     b"0x3\r\nabc\r\n0\r\n\r\n",
     b"\r\n", b"fffffffffffffffff\r\nabc", b" 3\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n"],
)  # fmt: skip
def test_bad_chunks_are_an_error_of_the_clients_and_end_the_connection(server, body):
    message = request("/echo", "Transfer-Encoding: chunked", method="POST", body=body)
    connection = server.connect().send(message + request("/smuggled"))
    first = connection.answer()
    assert 400 <= first.status < 500
    assert connection.ended()
    assert "/smuggled" not in server.noted()["seen"]


@pytest.mark.parametrize(
    ("message", "statuses"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
        (b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", {431}),
        (b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", {431}),
        (b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"x" * 1_000_000, {400, 431}),
    ],
    ids=["line", "header", "headers", "name"],
)
def test_what_is_too_long_is_refused_before_it_is_all_there(server, message, statuses):
    connection = server.connect()
    with contextlib.suppress(OSError):  # it stops to read, and says so
        connection.send(message)
    with contextlib.suppress(ConnectionResetError):  # if the kernel's reset overtakes the answer
        assert connection.answer().status in statuses
    assert server.noted()["seen"] == []


def test_endless_trailers_are_refused(server):
    message = request("/echo", "Transfer-Encoding: chunked", method="POST", body=b"3\r\nabc\r\n0\r\n")
    connection = server.connect().send(message)
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
        for _ in range(2000):
            connection.send(b"X-Trailer: " + b"y" * 5000 + b"\r\n")
        assert 400 <= connection.answer().status < 500
        raise OSError("refused")


# What the application does.


@pytest.mark.parametrize("path", ["/error", "/early-error", "/never-started", "/text", "/twice", "/split"])
def test_an_application_that_fails_before_its_first_byte_is_500(server, path):
    got = server.ask(request(path))
    assert got.status == 500
    assert got.headers["X-Injected"] is None
    assert b"Traceback" not in got.body


@pytest.mark.parametrize("path", ["/late-error", "/too-little"])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(server, path):
    connection = server.connect().send(request(path))
    with pytest.raises(http.client.IncompleteRead):
        connection.answer()
    assert server.noted()["closed"] == [path]


def test_more_than_was_announced_is_never_sent(server):
    connection = server.connect().send(request("/too-much"))
    response = connection.answer()
    assert response.body == b"abc"
    assert b"HTTP/1.1 200" not in connection.send(request("/hello", "Connection: close")).rest().split(b"hello")[0][20:]
    assert server.noted()["closed"] == ["/too-much"]


def test_an_answer_may_be_replaced_until_its_first_byte(server):
    got = server.ask(request("/second-thoughts"))
    assert (got.status, got.body) == (503, b"sorry")


def test_what_is_written_comes_before_what_is_returned(server):
    assert server.get("/write").body == b"one two three"


@pytest.mark.parametrize("path", ["/parts", "/empty", "/none", "/early-error"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_iterable_is_closed_once(server, path, method):
    connection = server.connect().send(request(path, "Connection: close", method=method))
    connection.rest()
    assert server.noted()["closed"] == [path]


def test_an_iterable_is_closed_when_the_client_has_gone(server):
    for path in ("/slow", "/big"):
        connection = server.connect().send(request(path))
        assert connection.file.read(10)
        connection.reset()
    assert server.comes(lambda noted: set(noted["closed"]) == {"/slow", "/big"})


def test_files_arrive_whole(server):
    assert server.get("/file").body == bytes(range(256)) * 1000
    assert server.get("/real-file").body == Path(__file__).with_name("wsgi_process.py").read_bytes()
    assert server.ask(request("/real-file", "Connection: close", method="HEAD"), "HEAD").status == 200


def test_headers_are_latin_1_both_ways(server):
    assert server.get("/latin").headers["X-Latin"] == "caf\xe9"
    got = json.loads(server.ask(request("/environ", "X-Latin: caf\xe9")).body)
    assert got["HTTP_X_LATIN"] == "caf\xe9"


def test_the_environment_is_as_the_specification_has_it(server):
    got = json.loads(
        server.ask(
            request("/environ?a=b%20c&d", "Content-Type: text/x", "X-Two: 1", "X-Two: 2", "Cookie: a=1", "Cookie: b=2")
        ).body
    )
    assert got["REQUEST_METHOD"] == "GET" and got["SCRIPT_NAME"] == "" and got["PATH_INFO"] == "/environ"
    assert got["QUERY_STRING"] == "a=b%20c&d" and got["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert got["SERVER_PORT"] == str(server.port) and got["REMOTE_ADDR"] == "127.0.0.1"
    assert got["CONTENT_TYPE"] == "text/x" and "HTTP_CONTENT_TYPE" not in got and "HTTP_CONTENT_LENGTH" not in got
    assert got["HTTP_X_TWO"].replace(" ", "") == "1,2"
    assert got["HTTP_COOKIE"] == "a=1; b=2"  # RFC 6265; a comma would be part of the value
    assert (
        got["wsgi.url_scheme"] == server.scheme and got["wsgi.multithread"] is False and got["wsgi.run_once"] is False
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/\xc3\xa9"),
        ("/a%2Fb", "/a/b"),
        ("//a//b", "//a//b"),
        ("http://x/hello?q", "/hello"),
    ],
)
def test_paths_are_unquoted_to_latin_1(server, target, path):
    server.get(target)
    assert server.noted()["seen"] == [path]


def test_a_header_with_an_underscore_cannot_pose_as_one_with_a_hyphen(server):
    got = json.loads(server.ask(request("/environ", "X_Forwarded_For: evil", "X-Other: 1")).body)
    assert "HTTP_X_FORWARDED_FOR" not in got and got["HTTP_X_OTHER"] == "1"
