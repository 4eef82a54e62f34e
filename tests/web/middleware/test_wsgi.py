"""The WSGI middleware under a real server: each kind of response goes out as it should, and the ring has its request.

Every application stands between two validators of the standard library's, one on each side of the middleware.
"""

from __future__ import annotations

import gzip
import io
import logging
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.error import HTTPError
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

import greenscope.runtime as runtime
from greenscope.runtime.current import current
from greenscope.web import DebugMiddleware
from greenscope.web.middleware import served
from tests.runtime import wsgi_help
from tests.web.middleware.answers import BAR, Answer, parsed, requests_in

PAGE = b"<!doctype html><html><body><h1>hi</h1></body></html>"
HTML = ("Content-Type", "text/html; charset=utf-8")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Ask = Callable[..., Answer]


@pytest.fixture
def hub() -> Iterator[runtime.Hub]:
    if current.hub is not None:
        current.hub.destroy()
    made = runtime.get_hub()
    yield made
    left = made.loop.active
    made.destroy()
    assert left == 0


@pytest.fixture
def ask(hub: runtime.Hub) -> Ask:
    """Serves an application through the middleware for one request, and gives the answer."""

    def asked(application: Any, path: str = "/", method: str = "GET", validated: bool = True, **more: Any) -> Answer:
        inner = validator(application) if validated else application
        middle = DebugMiddleware(inner, enabled=True)
        lines = "".join(f"{name}: {value}\r\n" for name, value in more.get("headers", ()))
        with wsgi_help.serving(validator(middle) if validated else middle) as server:
            data = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"
            answer = wsgi_help.ask(server, data.encode())
            assert not validated or server.errors.getvalue() == ""
            return parsed(answer, method)

    return asked


def answering(body: Any, *headers: tuple[str, str], status: str = "200 OK") -> Any:
    """An application that always answers this; callable bodies are called for it."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return body() if callable(body) else body

    return application


def sized(body: bytes) -> tuple[str, str]:
    return "Content-Length", str(len(body))


# -- figures ----------------------------------------------------------------------------------------


def test_a_response_says_what_became_of_its_time_and_where_its_timeline_is(ask: Ask, hub: runtime.Hub) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        children = [runtime.spawn(runtime.sleep, 0.001) for _ in range(3)]
        runtime.sleep(0.01)
        runtime.joinall(children)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    answer = ask(application, "/orders?secret=1")
    assert answer.body == b"done"
    assert set(answer.metrics) == {"total", "run", "ready", "wait-timer", "spawned"}
    assert answer.metrics["wait-timer"] >= 9
    parts = answer.metrics["run"] + answer.metrics["ready"] + answer.metrics["wait-timer"]
    assert answer.metrics["total"] == pytest.approx(parts, abs=0.01)
    path = hub.recorder.path
    assert path is not None
    assert answer.link == f"/__greenscope__/#ring={path.stem}&request={answer.number}"
    found = requests_in(path)
    assert list(found) == [answer.number]  # the server's own record of it, and no second one
    text, *rest = found[answer.number]
    assert re.fullmatch(r"\nGET /orders\n00-[0-9a-f]{32}-[0-9a-f]{16}-01", text)
    assert rest == ["RETURNED", 200, ""]


def test_it_says_nothing_and_records_nothing_more_when_it_is_off(hub: runtime.Hub) -> None:
    middle = DebugMiddleware(answering([PAGE], HTML))
    with wsgi_help.serving(middle) as server:
        answer = parsed(wsgi_help.ask(server, wsgi_help.CLOSING))
    assert answer.body == PAGE
    assert answer.headers.keys() == ["Content-Type", "Content-Length", "Connection", "Date"]


def test_a_middleware_within_another_does_nothing(ask: Ask) -> None:
    answer = ask(DebugMiddleware(answering([PAGE], HTML, sized(PAGE)), enabled=True))
    assert answer.page == PAGE
    assert len(answer.headers.get_all("Server-Timing", [])) == 1


# -- traces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [f"00-{TRACE}-{CALLER}-01", None, "nonsense"])
def test_a_trace_is_taken_over_and_passed_on_with_the_span_that_is_recorded(
    ask: Ask, hub: runtime.Hub, header: str | None
) -> None:
    passed: dict[str, Any] = {}

    def application(environ: Any, start_response: Any) -> list[bytes]:
        passed.update(environ)
        return answering([b""], ("Content-Type", "text/plain"))(environ, start_response)

    given = [("traceparent", header)] if header else []
    answer = ask(application, headers=[*given, ("tracestate", "a=b"), ("X-Request-ID", "id-1")])
    assert hub.recorder.path is not None
    identity, what, line = requests_in(hub.recorder.path)[answer.number][0].split("\n")
    assert (identity, what) == ("id-1", "GET /")
    assert line.split()[0] == passed["HTTP_TRACEPARENT"]
    taken_over = header is not None and header.startswith("00")
    assert (TRACE in line, line.endswith(f" {CALLER}")) == (taken_over, taken_over)
    assert passed.get("HTTP_TRACESTATE") == ("a=b" if taken_over else None)
    assert passed["greenscope.request"] == answer.number


# -- kinds of responses -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Internal Server Error"])
def test_a_page_with_a_length_has_its_bar_and_the_new_length(ask: Ask, status: str) -> None:
    answer = ask(answering([PAGE], HTML, sized(PAGE), ("ETag", '"a"'), status=status))
    assert answer.page == PAGE
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["ETag"] == 'W/"a"'
    assert f'href="{answer.link.replace("&", "&amp;")}"'.encode() in answer.body


@pytest.mark.parametrize("cut", [1, 10, len(PAGE) - 3])
@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_a_page_in_pieces_is_the_same_page(ask: Ask, kind: Any, length: bool, cut: int) -> None:
    headers = [HTML, sized(PAGE)] if length else [HTML]
    answer = ask(answering(lambda: kind([PAGE[:cut], b"", PAGE[cut:]]), *headers))
    assert answer.page == PAGE
    assert ("Content-Length" in answer.headers) is length


def test_pieces_go_out_when_they_come(hub: runtime.Hub) -> None:
    """Nothing is kept back of a page that is streamed: the second piece is made when the first has arrived."""
    go_on = runtime.Event()

    def pieces() -> Iterator[bytes]:
        yield b"<html><body>one"
        assert go_on.wait(20)
        yield b"two</body></html>"

    middle = DebugMiddleware(answering(pieces, HTML), enabled=True)
    with wsgi_help.serving(validator(middle)) as server, wsgi_help.connect(server) as client:
        client.sendall(wsgi_help.CLOSING)
        data = b""
        while b"one" not in data:
            data += client.recv(65536)
        go_on.set()
        answer = parsed(data + wsgi_help.read_all(client))
    assert answer.page == b"<html><body>onetwo</body></html>"
    assert answer.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<p>fragment</p>", [HTML]),
        (b"{}", [("Content-Type", "application/json")]),
        (PAGE, [("Content-Type", "text/plain")]),
        (PAGE.decode().encode("utf-16"), [("Content-Type", "text/html; charset=utf-16")]),
        (PAGE[:10], [HTML, ("Content-Range", "bytes 0-9/99")]),
        (PAGE, [HTML, ("Content-Security-Policy", "default-src 'self'")]),
        (b"br</body>", [HTML, ("Content-Encoding", "br")]),
        (gzip.compress(b"<p>fragment</p>"), [HTML, ("Content-Encoding", "gzip")]),
        (b"no gzip</body>", [HTML, ("Content-Encoding", "gzip")]),
    ],
)
@pytest.mark.parametrize("length", [True, False])
def test_what_is_no_page_goes_out_byte_for_byte(ask: Ask, body: bytes, headers: Any, length: bool) -> None:
    status = "206 Partial Content" if any(name == "Content-Range" for name, _ in headers) else "200 OK"
    headers = [*headers, ("ETag", '"a"'), *([sized(body)] if length else [])]
    answer = ask(answering([body], *headers, status=status))
    assert answer.body == body
    assert "total" in answer.metrics
    if length or "Content-Encoding" in answer.headers or HTML not in headers:
        assert answer.headers["ETag"] == '"a"'


def test_a_compressed_page_is_compressed_again(ask: Ask) -> None:
    packed = gzip.compress(PAGE)
    answer = ask(answering([packed], HTML, ("Content-Encoding", "gzip"), sized(packed)))
    assert answer.headers["Content-Length"] == str(len(answer.body))
    answer.body = gzip.decompress(answer.body)
    assert answer.page == PAGE


def test_a_latin1_page_stays_one(ask: Ask) -> None:
    page = "<body>é</body>".encode("latin-1")
    assert ask(answering([page], ("Content-Type", "text/html; charset=latin-1"), sized(page))).page == page


def test_a_nonce_of_the_policy_is_the_styles(ask: Ask) -> None:
    policy = "Content-Security-Policy", "default-src 'self'; style-src 'self' 'nonce-AbC1'"
    answer = ask(answering([PAGE], HTML, sized(PAGE), policy))
    assert answer.page == PAGE
    assert b'<style nonce="AbC1">' in answer.body


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_what_has_no_body_has_none(ask: Ask, status: str) -> None:
    answer = ask(answering([], ("ETag", '"a"'), status=status))
    assert (answer.status, answer.body, answer.headers["ETag"]) == (int(status[:3]), b"", '"a"')
    assert "total" in answer.metrics


def test_the_answer_to_head_does_not_say_a_length_that_get_would_not_have(ask: Ask) -> None:
    answer = ask(answering([b""], HTML, sized(PAGE)), method="HEAD")
    assert (answer.body, answer.headers["Content-Length"]) == (b"", None)
    answer = ask(answering([b""], ("Content-Type", "text/css"), ("Content-Length", "20")), method="HEAD")
    assert answer.headers["Content-Length"] == "20"


@pytest.mark.parametrize("length", [True, False])
def test_what_is_written_goes_out_in_its_order(ask: Ask, length: bool) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [HTML, sized(PAGE)] if length else [HTML])
        write(PAGE[:9])
        write(PAGE[9:40])
        return [PAGE[40:]]

    answer = ask(application)
    assert (answer.body if length else answer.page) == PAGE


def test_a_second_start_with_the_reason_takes_the_place_of_the_first(ask: Ask) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        import sys

        start_response("200 OK", [HTML, sized(PAGE)])
        try:
            raise ValueError("made up")
        except ValueError:
            error = b"<body>sorry</body>"
            start_response("503 Service Unavailable", [HTML, sized(error)], sys.exc_info())
            return [error]

    answer = ask(application)
    assert (answer.status, answer.page) == (503, b"<body>sorry</body>")


def test_a_second_start_after_the_first_piece_raises_its_reason(ask: Ask, hub: runtime.Hub) -> None:
    def pieces(start_response: Any) -> Iterator[bytes]:
        import sys

        start_response("200 OK", [HTML])
        yield b"<body>some"
        try:
            raise ValueError("made up")
        except ValueError:
            start_response("500 Sorry", [HTML], sys.exc_info())
        yield b"never"

    with wsgi_help.serving(DebugMiddleware(lambda _, start: pieces(start), enabled=True)) as server:
        data = wsgi_help.ask(server, wsgi_help.CLOSING)
        assert "ValueError: made up" in server.errors.getvalue()
    assert data.endswith(b"<body>some\r\n")  # and no end of the chunks
    assert hub.recorder.path is not None


def test_a_second_start_without_a_reason_is_refused(ask: Ask) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [HTML, sized(PAGE)])
        with pytest.raises(AssertionError, match="called twice"):
            start_response("200 OK", [HTML, sized(PAGE)])
        return [PAGE]

    assert ask(application, validated=False).page == PAGE


def test_a_file_keeps_its_wrapper(hub: runtime.Hub) -> None:
    kinds = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/html"), sized(PAGE)])
        return environ["wsgi.file_wrapper"](io.BytesIO(PAGE))

    middle = DebugMiddleware(application, enabled=True)

    def outer(environ: Any, start_response: Any) -> Any:
        result = middle(environ, start_response)
        kinds.append(type(result) is environ["wsgi.file_wrapper"])
        return result

    with wsgi_help.serving(outer) as server:
        answer = parsed(wsgi_help.ask(server, wsgi_help.CLOSING))
    assert (answer.body, kinds) == (PAGE, [True])


def test_the_applications_iterable_is_closed_and_its_errors_are_the_servers(ask: Ask, hub: runtime.Hub) -> None:
    closed = []

    class Body:
        def __init__(self, *pieces: bytes) -> None:
            self.pieces = list(pieces)

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            if not self.pieces:
                raise StopIteration
            piece = self.pieces.pop(0)
            if piece == b"raise":
                raise KeyError("made up")
            return piece

        def close(self) -> None:
            closed.append(self)

    assert ask(answering(lambda: Body(PAGE), HTML)).page == PAGE
    broken = answering(lambda: Body(b"<body>", b"raise"), HTML, ("Content-Length", "99"))
    with wsgi_help.serving(DebugMiddleware(broken, enabled=True)) as server:
        answer = parsed(wsgi_help.ask(server, wsgi_help.CLOSING))
        assert "KeyError: 'made up'" in server.errors.getvalue()
    assert answer.status == 500 and b"greenscope-bar" not in answer.body
    assert len(closed) == 2


@pytest.mark.parametrize("promised", [len(PAGE) + 5, len(PAGE) - 5])
def test_a_body_that_is_not_as_long_as_was_said_is_the_servers_to_judge(hub: runtime.Hub, promised: int) -> None:
    broken = answering([PAGE], HTML, ("Content-Length", str(promised)))
    bare, through = [], []
    for said, application in ((bare, broken), (through, DebugMiddleware(broken, enabled=True))):
        with wsgi_help.serving(application) as server:
            said.append(wsgi_help.ask(server, wsgi_help.CLOSING).split(b"\r\n")[0])
            said.append("Content-Length says" in server.errors.getvalue() or "longer than" in server.errors.getvalue())
    assert bare[1] and through[1] and BAR not in b"".join(map(bytes, (bare[0], through[0])))


def test_what_the_application_raises_goes_on_to_the_server(ask: Ask, hub: runtime.Hub) -> None:
    def broken(environ: Any, start_response: Any) -> list[bytes]:
        raise KeyError("made up")

    with wsgi_help.serving(DebugMiddleware(broken, enabled=True)) as server:
        answer = parsed(wsgi_help.ask(server, wsgi_help.CLOSING))
        assert "KeyError: 'made up'" in server.errors.getvalue()
    assert answer.status == 500


@pytest.mark.parametrize("place", ["bar_of", "plan_of", "asked_for", "with_bar"])
def test_a_fault_of_our_own_is_logged_once_and_the_response_goes_out(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(served, "_said", set())
    monkeypatch.setattr(f"greenscope.web.middleware.wsgi.{place}", broken)
    caplog.set_level(logging.ERROR, "greenscope")
    for headers in ([HTML, sized(PAGE)], [HTML], [HTML, sized(PAGE)]):
        answer = ask(answering([PAGE], *headers))
        assert (answer.status, answer.body) == (200, PAGE)
    assert [record.message[:27] for record in caplog.records] == ["the debug middleware failed"]


# -- where it is ------------------------------------------------------------------------------------


def test_below_another_application_the_link_leads_to_where_it_is(ask: Ask) -> None:
    middle = DebugMiddleware(answering([b"x"], ("Content-Type", "text/plain")), enabled=True)

    def mounted(environ: Any, start_response: Any) -> Any:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop/é".encode().decode("latin-1"), "/orders"
        return middle(environ, start_response)

    with wsgi_help.serving(mounted) as server:
        answer = parsed(wsgi_help.ask(server, wsgi_help.CLOSING))
    assert answer.link.startswith("/shop/%C3%A9/__greenscope__/#ring=")


def test_the_dashboards_own_requests_are_no_requests_of_the_application(ask: Ask, hub: runtime.Hub) -> None:
    answer = ask(answering([b""]), "/__greenscope__?x=1")
    assert (answer.status, answer.headers["Location"]) == (307, "__greenscope__/?x=1")
    answer = ask(answering([b"mine"], ("Content-Type", "text/plain")), "/__greenscope__s")
    assert answer.body == b"mine"
    answer = ask(answering([b""]), "/__greenscope__/", "DELETE", validated=False)
    assert answer.status == 405
    assert hub.recorder.path is not None
    assert [text.split("\n")[1] for text, *_ in requests_in(hub.recorder.path).values()] == [
        "GET /__greenscope__", "GET /__greenscope__s",
    ]  # fmt: skip


def test_a_client_from_elsewhere_is_not_let_in_without_the_token(ask: Ask) -> None:
    for headers in ([("X-Forwarded-For", "10.0.0.1")], [("Origin", "http://evil.example")]):
        assert ask(answering([b""]), "/__greenscope__/", headers=headers).status == 403


# -- servers that are not green -----------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def threaded(application: Any) -> Iterator[str]:
    """The standard library's server, in a thread without a hub."""
    with make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fetch(url: str) -> Answer:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return Answer(response.status, response.headers, response.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def test_without_a_hub_it_says_less_and_makes_none() -> None:
    hubs = []

    def application(environ: Any, start_response: Any) -> Any:
        hubs.append(current.hub)
        return answering([PAGE], HTML, sized(PAGE))(environ, start_response)

    with threaded(validator(DebugMiddleware(validator(application), enabled=True))) as url:
        answer = fetch(url)
    assert answer.page == PAGE
    assert set(answer.metrics) == {"total"}
    assert answer.headers["Link"] is None
    assert hubs == [None]


def test_a_server_that_counts_the_pieces_of_a_list_can() -> None:
    with threaded(DebugMiddleware(answering([b"{}"], ("Content-Type", "application/json")), enabled=True)) as url:
        answer = fetch(url)
    assert (answer.body, answer.headers["Content-Length"]) == (b"{}", "2")


# -- servers that record nothing themselves, in a thread that has a ring ----------------------------------


def handled(application: Any, environ: dict[str, str] | None = None) -> bytes:
    """What the standard library's handler makes of a request, in this thread."""
    out, errors = io.BytesIO(), io.StringIO()
    given = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/orders", "QUERY_STRING": "", "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", **(environ or {}),
    }  # fmt: skip
    handler = SimpleHandler(io.BytesIO(), out, errors, given, multithread=False)
    handler.wsgi_file_wrapper = FileWrapper
    handler.run(application)
    return out.getvalue()


def test_under_any_other_server_of_a_recorded_thread_it_records_the_request_itself(hub: runtime.Hub) -> None:
    passed = {}

    def application(environ: Any, start_response: Any) -> Any:
        passed.update(environ)
        runtime.sleep(0.005)
        return answering([PAGE], HTML, sized(PAGE))(environ, start_response)

    given = {"HTTP_TRACEPARENT": f"00-{TRACE}-{CALLER}-01", "HTTP_X_REQUEST_ID": "id-7"}
    answer = parsed(handled(validator(DebugMiddleware(validator(application), enabled=True)), given))
    assert answer.page == PAGE
    assert answer.metrics["wait-timer"] >= 4.9
    assert hub.recorder.path is not None
    assert requests_in(hub.recorder.path) == {
        answer.number: (f"id-7\nGET /orders\n{passed['HTTP_TRACEPARENT']} {CALLER}", "RETURNED", 200, "")
    }


def test_a_long_path_is_cut_so_that_the_trace_fits(hub: runtime.Hub) -> None:
    given = {
        "HTTP_TRACEPARENT": f"00-{TRACE}-{CALLER}-01",
        "HTTP_X_REQUEST_ID": "i" * 500,
        "PATH_INFO": "/" + "p" * 500,
    }
    handled(DebugMiddleware(answering([b""]), enabled=True), given)
    assert hub.recorder.path is not None
    ((text, *_),) = requests_in(hub.recorder.path).values()
    identity, what, line = text.split("\n")
    assert (identity, what, line[-17:]) == ("i" * 100, "GET /" + "p" * (len(what) - 5), f" {CALLER}")
    assert len(text.encode()) == 196


def breaking(_environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [HTML])
    yield b"<body>"
    raise KeyError("made up")


class CloseFails:
    def __iter__(self) -> Iterator[bytes]:
        return iter([b"x"])

    def close(self) -> None:
        raise KeyError("made up")


def raising(_environ: Any, _start: Any) -> Any:
    raise KeyError("made up")


@pytest.mark.parametrize(
    ("application", "how", "status"),
    [
        (answering([b"x"], ("Content-Type", "text/plain")), ("RETURNED", ""), 200),
        (answering(lambda: iter([b"x"]), HTML, status="404 Not Found"), ("RETURNED", ""), 404),
        (answering(lambda: FileWrapper(io.BytesIO(b"x")), HTML, ("Content-Length", "1")), ("RETURNED", ""), 200),
        (answering(lambda: iter([PAGE]), HTML, sized(PAGE)), ("RETURNED", ""), 200),
        (raising, ("RAISED", "KeyError"), 0),
        (breaking, ("RAISED", "KeyError"), 200),
        (answering(CloseFails, HTML), ("RAISED", "KeyError"), 200),
    ],
)
def test_the_record_of_a_request_ends_with_its_body(
    hub: runtime.Hub, application: Any, how: tuple[str, str], status: int
) -> None:
    with suppress(TypeError):  # the standard library's handler, when it says what close() has raised
        handled(DebugMiddleware(application, enabled=True))
    assert hub.recorder.path is not None
    ((text, *ended),) = requests_in(hub.recorder.path).values()
    assert text.split("\n")[1] == "GET /orders"
    assert ended == [how[0], status, how[1]]
