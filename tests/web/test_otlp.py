"""Requests and spans of real processes, as a collector gets them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from greenscope.errors import GreenscopeError
from greenscope.web.otlp import Export, endpoint_of
from greenscope.web.session import Session
from tests.web.otlp_receiver import Got, Receiver, receiving

SHOP = """
import sys
from greenscope.runtime import sleep, spawn
from greenscope.runtime.pywsgi import WSGIServer
from greenscope.trace import request, span
from greenscope.web import DebugMiddleware

def price():
    with span("price"):
        sleep(0.005)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("broken")
    with span("load"):
        sleep(0.02)
        spawn(price).join()
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"ok"]

sleep(0)  # only then is there a hub, and its ring
with span("begin"):
    sleep(0.001)
server = WSGIServer(("127.0.0.1", 0), DebugMiddleware(app, enabled=True), log=None, error_log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
"""
PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "opentelemetry.md").read_text()
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@contextlib.contextmanager
def shop() -> Iterator[str]:
    """The shop's address."""
    with subprocess.Popen([sys.executable, "-c", SHOP], stdout=-1, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A viewer that listens."""
    command = [sys.executable, "-m", "greenscope", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=-1, text=True, env={**os.environ, **environment}) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "http://127.0.0.1:" in line, line
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """What a viewer said until it ended in good order."""
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    return said


def traced(flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"}


def children(of: Got, receiver: Receiver) -> list[Got]:
    return [each for each in receiver.got if each.parent == of.id]


def test_requests_and_spans_reach_a_collector_once_with_their_times_their_trace_and_their_waits(
    receiver: Receiver,
) -> None:
    with serving("--otlp", receiver.url) as viewer, shop() as url:
        before = time.time_ns()
        assert httpx.get(f"{url}/orders/7?secret=1", headers=traced()).status_code == 200
        assert httpx.get(f"{url}/orders/8", headers=traced("00")).status_code == 200  # its caller keeps none
        assert httpx.get(f"{url}/broken").status_code == 500
        receiver.until(lambda: receiver.named("GET /broken") and len(receiver.named("load")) == 1)

        (served,) = receiver.named("GET /orders/{id}")
        assert (served.trace, served.parent) == (TRACE, CALLER)
        assert served.span.kind == Span.SPAN_KIND_SERVER
        assert before <= served.span.start_time_unix_nano < served.span.end_time_unix_nano <= time.time_ns()
        attributes = served.attributes
        assert attributes["http.request.method"] == "GET"
        assert attributes["url.path"] == "/orders/7"
        assert attributes["http.response.status_code"] == 200
        assert "secret" not in str(receiver.got)
        assert served.resource["service.name"] == "-c"
        assert served.resource["host.name"] == socket.gethostname()
        assert served.resource["process.pid"] > 0

        below = children(served, receiver)
        (load,) = [each for each in below if each.span.name == "load"]
        waits = [each for each in below if each.span.name.startswith("waiting")]
        assert {"waiting: timer", "waiting: join"} <= {each.span.name for each in waits}
        assert all(each.trace == TRACE for each in below)
        for each in [*below, *children(load, receiver)]:
            assert served.span.start_time_unix_nano <= each.span.start_time_unix_nano
            assert each.span.end_time_unix_nano <= served.span.end_time_unix_nano
        slept = next(each for each in waits if each.span.name == "waiting: timer")
        assert slept.span.end_time_unix_nano - slept.span.start_time_unix_nano >= 19_000_000
        assert slept.attributes["code.function.name"] == "app"
        (price,) = children(load, receiver)  # in a greenlet that was spawned within
        assert (price.span.name, price.trace) == ("price", TRACE)

        (broken,) = receiver.named("GET /broken")
        assert broken.span.status.code == Status.STATUS_CODE_ERROR
        assert (broken.parent, broken.trace == TRACE) == ("", False)
        (begin,) = receiver.named("begin")
        assert (begin.parent, begin.trace in {TRACE, broken.trace}) == ("", False)

        # Another viewer sends nothing a second time.
        assert ended(viewer) == ""
        sent = len(receiver.got)
        with serving("--otlp", receiver.url) as another:
            assert httpx.get(f"{url}/late").status_code == 200
            receiver.until(lambda: receiver.named("GET /late"))
            assert ended(another) == ""
        assert {each.trace for each in receiver.got[sent:]} == {receiver.named("GET /late")[0].trace}
        ids = [each.id for each in receiver.got]
        assert len(ids) == len(set(ids))


SHORT = """
from greenscope.runtime import sleep
from greenscope.trace import span
sleep(0)
with span("short"):
    pass
"""


def test_a_process_that_is_over_before_it_was_seen_is_sent_too(receiver: Receiver) -> None:
    with serving("--otlp", "env", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as viewer:
        for _ in range(3):
            subprocess.run([sys.executable, "-c", SHORT], check=True, timeout=30)
        receiver.until(lambda: len(receiver.named("short")) == 3)
        assert ended(viewer) == ""
    assert len({each.resource["process.pid"] for each in receiver.got}) == 3


def test_a_dead_collector_costs_a_line_and_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with serving("--otlp", f"http://127.0.0.1:{port}") as viewer, shop() as url:
        for _ in range(5):
            assert httpx.get(f"{url}/").status_code == 200
        assert viewer.stderr is not None
        first = viewer.stderr.readline()
        assert "does not take spans; those are lost, and counted" in first
        assert httpx.get(f"{url}/").status_code == 200
        (last,) = ended(viewer).splitlines()
    lost = re.search(r"(\d+) spans did not reach http://127\.0\.0\.1:\d+/v1/traces; 0 did", last)
    assert lost
    assert int(lost[1]) >= 12


def test_what_has_no_room_is_dropped_and_counted_and_said_once(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    recorded(tmp_path)
    said: list[str] = []
    export = Export(f"{receiver.url}/v1/traces", 0, said.append, most_queued=100)
    with contextlib.closing(Session(tmp_path / "app.gsr")) as session:
        assert export.follow(session)
        assert not export.follow(session)  # once
        while session.follow():  # in one go, and so faster than any collector
            pass
    export.close()
    assert len(receiver.got) == export.sent >= 100
    assert export.lost >= 400
    first, last = said
    assert "takes spans too slowly: 100 wait to be sent" in first
    assert last.startswith(f"{export.lost} spans did not reach")


PROGRAM = """
from greenscope.runtime import sleep
from greenscope.trace import request, span
sleep(0)  # only then is there a hub, and its ring
for number in range(300):
    with request(what=f"GET /{number}") as served, span("work"):
        sleep(0)
        served.status = 200
"""


def test_the_page_has_the_commands_that_are_tested_here() -> None:
    commands = re.findall(r"^    (greenscope .*)$", PAGE, re.MULTILINE)
    url = "http://127.0.0.1:4318"
    assert commands == [f"greenscope serve --otlp {url}", f"greenscope export otlp app.gsr {url}"]


def recorded(directory: Path) -> None:
    command = [sys.executable, "-m", "greenscope", "record", "-o", "app.gsr", "app.py"]
    subprocess.run(command, cwd=directory, check=True, timeout=60)


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenscope", "export", "otlp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_recording_is_sent_whole_and_with_the_same_ids_each_time(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    recorded(tmp_path)
    recording = str(tmp_path / "app.gsr")
    once = export(recording, receiver.url)
    assert (once.returncode, once.stderr) == (0, "")
    assert once.stdout == f"{len(receiver.got)} spans sent\n"
    assert len(receiver.named("work")) == len(receiver.named("GET /{id}")) == 300
    ids = {each.id for each in receiver.got}
    assert len(ids) == len(receiver.got)
    assert {each.resource["service.name"] for each in receiver.got} == {"app.py"}
    assert export(recording, f"{receiver.url}/v1/traces").returncode == 0
    assert {each.id for each in receiver.got} == ids
    receiver.refuses = True
    refused = export(recording, receiver.url)
    assert (refused.returncode, refused.stdout) == (1, "0 spans sent\n")
    assert "spans did not reach" in refused.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("127.0.0.1:4318", "is no collector's address: give one as http://127.0.0.1:4318"),
        ("grpc://127.0.0.1", "is no collector's address"),
        ("http://", "is no collector's address"),
        ("http://x:99999", "is no collector's address"),
        ("env", "neither OTEL_EXPORTER_OTLP_ENDPOINT nor OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set"),
    ],
)
def test_what_is_no_collector_is_said(url: str, says: str) -> None:
    with pytest.raises(GreenscopeError, match=says):
        endpoint_of(url)


def test_a_mistake_on_the_command_line_is_one_line() -> None:
    command = [sys.executable, "-m", "greenscope", "serve", "--port", "0", "--otlp", "4318"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "'4318' is no collector's address" in done.stderr
