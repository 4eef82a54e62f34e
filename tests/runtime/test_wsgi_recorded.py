"""Each request of the WSGI server is in the recording: its id, what it asks for, and what became of it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime.wsgi import WSGIHandler
from greenscope.trace.debugging import debugging
from greenscope.trace.events import Exit, Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from tests.runtime.wsgi_help import ask, connect, hello, one_answer, serving


def requests(hub: runtime.Hub) -> list[tuple[Any, ...]]:
    """(text, how it ended, status) of each, in the order in which they began."""
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
    begun = {event.arg: event.text for event in events if event.kind == Kind.REQUEST_BEGIN}
    ended = {event.arg & 0xFFFFFFFF: event for event in events if event.kind == Kind.REQUEST_END}
    assert set(ended) == set(begun)
    return [(text, Exit(ended[number].reason).name, ended[number].aux) for number, text in begun.items()]


def test_a_request_is_recorded_with_the_id_that_it_came_with_and_its_status(hub: runtime.Hub) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        environ["HTTP_X_REQUEST_ID"] = "another"
        if environ["PATH_INFO"] == "/missing":
            start_response("404 Not Found", [])
            return []
        if environ["PATH_INFO"] == "/broken":
            raise ValueError
        return hello(environ, start_response)

    with serving(application) as server, connect(server) as client, client.makefile("rb") as file:
        for path in (b"/orders?secret=1", b"/missing", b"/broken"):
            client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Request-ID: id" + path[:2] + b"\r\n\r\n")
            one_answer(file)
    assert requests(hub) == [
        ("id/o\nGET /orders", "RETURNED", 200),
        ("id/m\nGET /missing", "RETURNED", 404),
        ("id/b\nGET /broken", "RETURNED", 500),
    ]


def test_a_request_without_an_id_has_none_and_a_long_one_is_cut(hub: runtime.Hub) -> None:
    with serving(hello) as server:
        ask(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        ask(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: " + b"i" * 2000 + b"\r\n\r\n")
    assert requests(hub) == [("\nGET /", "RETURNED", 200), ("i" * 100 + "\nGET /", "RETURNED", 200)]


@pytest.mark.parametrize("by", ["handler", "server"])
def test_an_id_need_not_come_with_the_request(hub: runtime.Hub, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has never seen one looks for none; but a handler or a server may give one to each."""
    monkeypatch.setattr(debugging, "named", False)

    class Naming(WSGIHandler):
        def get_environ(self) -> dict[str, Any]:
            return {**super().get_environ(), "HTTP_X_REQUEST_ID": "ours"}

    given: dict[str, Any] = {"handler": {"handler_class": Naming}, "server": {"environ": {"HTTP_X_REQUEST_ID": "ours"}}}
    with serving(hello, **given[by]) as server:
        ask(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert requests(hub) == [("ours\nGET /", "RETURNED", 200)]


def test_a_request_whose_greenlet_is_killed_ends_so(hub: runtime.Hub) -> None:
    inside = runtime.Event()

    def never(_environ: Any, _start_response: Any) -> list[bytes]:
        inside.set()
        runtime.sleep(60)
        raise AssertionError

    with serving(never) as server, connect(server) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        inside.wait(20)
        server.stop(timeout=0)
    assert requests(hub) == [("\nGET /slow", "KILLED", 0)]


def test_a_trace_that_a_request_belongs_to_is_recorded_and_the_request_goes_on_as_it_came(hub: runtime.Hub) -> None:
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    came: list[dict[str, Any]] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        came.append(environ)
        return hello(environ, start_response)

    header = f"00-{trace}-{caller}-01"
    with serving(application) as server:
        ask(server, f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntraceparent: {header}\r\n\r\n".encode())
    ((text, *_),) = requests(hub)
    line = text.split("\n")[2]
    assert line == f"{came[0]['greenscope.traceparent'].header} {caller}" and trace in line
    assert came[0]["HTTP_TRACEPARENT"] == header
    assert came[0]["greenscope.request"] > 0
