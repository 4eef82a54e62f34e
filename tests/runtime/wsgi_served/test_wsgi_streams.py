"""The WSGI server and streams: requests of every kind in pieces of every size, cut off, and made of noise."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.wsgi_served.wsgi_wire import chunked, post, request

STREAM = (
    request("/hello")
    + post("/echo", b"one\r\n\r\n")
    + chunked("/echo", b"t", b"wo" * 20)
    + request("/hello", "Connection: close")
)
ANSWERS = [b"hello", b"one\r\n\r\n", b"t" + b"wo" * 20, b"hello"]


def test_it_does_not_matter_where_the_network_cuts(process):
    @settings(max_examples=40, deadline=None)
    @given(st.sets(st.integers(1, len(STREAM) - 1), max_size=12))
    def cut(places: set[int]) -> None:
        connection = process.connect()
        bounds = [0, *sorted(places), len(STREAM)]
        connection.send(*(STREAM[a:b] for a, b in pairwise(bounds)))
        assert [connection.answer().body for _ in range(4)] == ANSWERS
        assert connection.ended()
        process.hang_up()

    cut()


def test_a_byte_at_a_time_is_enough(server):
    connection = server.connect()
    connection.send(*(STREAM[at : at + 1] for at in range(len(STREAM))))
    assert [connection.answer().body for _ in range(4)] == ANSWERS


def test_a_client_may_go_at_every_point_and_nothing_is_left(server):
    message = post("/echo", b"abc") + chunked("/echo", b"abc")
    before = server.noted()["descriptors"]
    for length in range(len(message)):
        connection = server.connect().send(message[:length])
        if length % 2:
            connection.reset()
        else:
            connection.end()
    assert server.comes(lambda noted: noted["descriptors"] <= before)


def test_a_client_that_only_sends_no_more_gets_its_answer(server):
    connection = server.connect().send(post("/echo", b"abc"))
    connection.half_close()
    assert connection.answer().body == b"abc"
    assert connection.ended()


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(server):
    for message in (post("/echo", b"abcdef")[:-3], chunked("/echo", b"abcdef")[:-9]):
        connection = server.connect().send(message)
        connection.half_close()
        assert not connection.rest().startswith(b"HTTP/1.1 200")


@dataclass
class Asked:
    """A request that hypothesis made up, and what it has to be answered with."""

    message: bytes
    method: str
    status: int
    body: bytes
    last: bool


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    path = draw(
        st.sampled_from(["/hello", "/echo", "/bits", "/ignore", "/some", "/parts", "/write", "/none", "/nowhere"])
    )
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT"]))
    wish = draw(st.sampled_from(["", "", "Connection: close", "Connection: keep-alive"]))
    body = draw(st.binary(max_size=60)).replace(b"\n", b"\r\n\r\n")
    headers = [wish] if wish else []
    framing = draw(st.sampled_from(["none", "length", "chunks"] if version == "1.1" else ["none", "length"]))
    sent = body
    if framing == "none":
        sent = body = b""
    elif framing == "length":
        headers.append(f"Content-Length: {len(body)}")
    else:
        headers.append("Transfer-Encoding: chunked")
        cut = draw(st.integers(0, len(body)))
        pieces = [piece for piece in (body[:cut], body[cut:]) if piece]
        extension = draw(st.sampled_from([b"", b";name=value", b';name="quoted"']))
        trailer = draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"]))
        chunks = [b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces]
        sent = b"".join([*chunks, b"0\r\n", trailer, b"\r\n"])
    bits = json.dumps([body[at : at + 3].decode("latin-1") for at in range(0, len(body), 3)]).encode()
    answers = {
        "/hello": b"hello", "/echo": body, "/bits": bits, "/ignore": b"ignored", "/some": body[:3], "/parts": b"abbccc",
        "/write": b"one two three", "/none": b"", "/nowhere": b"no such page",
    }  # fmt: skip
    kept = wish != "Connection: close" if version == "1.1" else wish == "Connection: keep-alive"
    of_unknown_length = version == "1.0" and path in {"/parts", "/write"}
    return Asked(
        request(path, *headers, method=method, version=version, body=sent),
        method,
        {"/none": 204, "/nowhere": 404}.get(path, 200),
        b"" if method == "HEAD" else answers[path],
        last=not kept or of_unknown_length,
    )


def test_whatever_is_asked_in_whatever_pieces_is_answered_in_order_until_the_connection_ends(process):
    @settings(max_examples=150, deadline=None)
    @given(st.lists(asked(), min_size=1, max_size=8), st.randoms(use_true_random=False), st.integers(0, 10))
    def conversation(requests: list[Asked], random: Random, cuts: int) -> None:
        stream = b"".join(one.message for one in requests)
        places = sorted(random.sample(range(len(stream)), min(cuts, len(stream))))
        bounds = [0, *places, len(stream)]
        said_too_much = any(one.last for one in requests[:-1])
        connection = process.connect()
        try:
            connection.send(*(stream[a:b] for a, b in pairwise(bounds)))
        except OSError:
            assert said_too_much  # it was closed before we had said all
        try:
            for one in requests:
                got = connection.answer(one.method)
                assert (got.status, got.body) == (one.status, one.body)
                if one.last:
                    assert connection.ended()
                    break
        except (ConnectionResetError, http.client.IncompleteRead):
            assert said_too_much  # and a reset throws away what was answered before
        process.hang_up()

    conversation()


def test_noise_gets_an_error_or_nothing_and_never_a_page(process):
    seed = post("/hello", b"abc", "X-Header: value") + chunked("/hello", b"abc")

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def noise(data: st.DataObject) -> None:
        message = bytearray(seed)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(message) - 1))
            match data.draw(st.sampled_from(["change", "insert", "remove"])):
                case "change":
                    message[at] = data.draw(st.integers(0, 255))
                case "insert":
                    message[at:at] = data.draw(st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\xff", b"0"]))
                case "remove":
                    del message[at]
        connection = process.connect().send(bytes(message))
        connection.half_close()
        answered = connection.rest()
        process.hang_up()
        while answered:  # nothing but whole answers
            head, separator, rest = answered.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert separator and lines[0].startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
            status = int(lines[0].split()[1])
            assert status in {100, 200} or (400 <= status < 600 and status != 500), head
            headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
            if status == 100 or b"transfer-encoding" in headers:
                break
            answered = rest[int(headers.get(b"content-length", len(rest))) :]

    noise()
    assert process.get("/hello").body == b"hello"
