"""The middleware around real frameworks, under real servers: what goes out is what they made, and says what it cost.

One process a server, which serves all the frameworks side by side.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenscope.trace.rings import rings_in
from tests.web.middleware.answers import BAR, Answer, requests_in

HERE = Path(__file__).parent
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GUNICORN = ["-m", "gunicorn", "--chdir", str(HERE), "--log-level", "error", "--graceful-timeout", "5"]
UVICORN = ["-m", "uvicorn", "--app-dir", str(HERE), "--log-level", "error", "--fd", "{fd}"]
APPS = "wsgi_apps:application()"
SCRIPT = str(HERE / "wsgi_apps.py")
# What starts each server on a listening descriptor, and whether its requests are recorded.
SERVERS = {
    "greenscope": ([SCRIPT, "greenscope", "{fd}"], True),
    "pywsgi": ([SCRIPT, "gevent", "{fd}"], True),
    "gunicorn sync": ([*GUNICORN, "--bind", "fd://{fd}", "--worker-class", "sync", APPS], False),
    "gunicorn gevent": ([*GUNICORN, "--bind", "fd://{fd}", "--worker-class", "gevent", APPS], False),
    "gunicorn greenscope": (
        [*GUNICORN, "--bind", "fd://{fd}", "--worker-class", "greenscope.integrations.gunicorn.GreenscopeWorker", APPS],
        True,
    ),
    "uvicorn": (
        [*["-m", "uvicorn", "--log-level", "error", "--app-dir"], str(HERE), "--fd", "{fd}", "asgi_apps:app"],
        True,
    ),
    "uvicorn on uvloop": (
        [
            *["-m", "uvicorn", "--loop", "uvloop", "--log-level", "error", "--app-dir"],
            str(HERE),
            "--fd",
            "{fd}",
            "asgi_apps:app",
        ],
        True,
    ),
}
WSGI = [name for name in SERVERS if not name.startswith("uvicorn")]
ASGI = [name for name in SERVERS if name.startswith("uvicorn")]
FRAMEWORKS = [
    *((server, framework) for server in WSGI for framework in ("flask", "django", "bottle", "pyramid")),
    *((server, framework) for server in ASGI for framework in ("starlette", "fastapi")),
]


@dataclass
class Served:
    """A server that runs."""

    name: str
    port: int
    directory: Path
    recorded: bool

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            body = response.read()
            length = response.headers["Content-Length"]
            assert method == "HEAD" or response.status == 304 or length in {None, str(len(body))}
            return Answer(response.status, response.headers, body)
        finally:
            connection.close()


@contextmanager
def serving(name: str, directory: Path) -> Iterator[Served]:
    command, recorded = SERVERS[name]
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory / "rings"), "GREENSCOPE_RING_MB": "1"}
    environment |= {"GREENSCOPE": "1", "PYTHONPATH": str(HERE.parent.parent.parent)}
    with socket.create_server(("127.0.0.1", 0)) as listener, open(directory / "log", "wb") as log:
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, *(part.format(fd=fd) for part in command)],
            env=environment, pass_fds=[fd], stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        served = Served(name, listener.getsockname()[1], directory / "rings", recorded)
    try:
        try:
            assert served.ask("/").status == 200  # it is queued until the server accepts
        except (OSError, AssertionError) as error:
            raise AssertionError((directory / "log").read_text()) from error
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server after the other: pytest sorts the tests by it."""
    with serving(request.param, tmp_path_factory.mktemp("server")) as found:
        yield found


everywhere = pytest.mark.parametrize(("served", "framework"), FRAMEWORKS, indirect=["served"], scope="module")


def recorded_of(served: Served, number: int, answer: Answer) -> tuple[str, str, int, str]:
    """What the ring that the answer's link names says of it, when its end has been written."""
    name = answer.link.partition("#ring=")[2].partition("&")[0]
    (ring,) = [ring.path for ring in rings_in(served.directory) if ring.path.stem == name]
    by = time.monotonic() + 20
    while (found := requests_in(ring)[number])[1] == "OPEN":  # the answer goes out before
        assert time.monotonic() < by
        time.sleep(0.005)
    return found


@everywhere
def test_pages_data_streams_files_and_errors_go_out_as_the_framework_made_them(served: Served, framework: str) -> None:
    page = served.ask(f"/{framework}/page", Sec_Fetch_Dest="document")
    assert page.status == 200
    assert page.page.decode().count(f"<h1>{framework}</h1></body></html>") == 1
    assert page.metrics["total"] >= 9

    data = served.ask(f"/{framework}/json", traceparent=f"00-{TRACE}-{CALLER}-01", X_Request_ID="id-1")
    said = json.loads(data.body)
    assert said["passed"].startswith(f"00-{TRACE}-") and CALLER not in said["passed"]

    stream = served.ask(f"/{framework}/stream")
    assert stream.page.decode() == f"<html><body>{framework}streamed</body></html>"
    assert "Content-Length" not in stream.headers

    missing = served.ask(f"/{framework}/missing")
    assert missing.status == 404 and "total" in missing.metrics

    file = served.ask(f"/{framework}/file")
    assert (file.status, file.body) == (
        200,
        (HERE / f"{'asgi' if served.name in ASGI else 'wsgi'}_apps.py").read_bytes(),
    )

    broken = served.ask(f"/{framework}/broken")
    assert broken.status == 500

    head = served.ask(f"/{framework}/page", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", None)

    frame = served.ask(f"/{framework}/page", Sec_Fetch_Dest="iframe")
    assert BAR not in frame.body


@everywhere
def test_an_answer_names_its_request_and_where_its_time_went_if_there_is_a_ring(served: Served, framework: str) -> None:
    header = f"00-{TRACE}-{CALLER}-01"
    answer = served.ask(f"/{framework}/json", traceparent=header, X_Request_ID="id-1")
    said = json.loads(answer.body)
    if not served.recorded:
        assert set(answer.metrics) == {"total"}
        assert answer.headers["Link"] is None and said["number"] == 0
        return
    assert {"total", "run", "ready"} <= set(answer.metrics)
    assert answer.link.startswith(f"/{framework}/__greenscope__/#ring=")
    assert said["number"] == answer.number
    text, *ended = recorded_of(served, answer.number, answer)
    assert text == f"id-1\nGET /{framework}/json\n{said['passed']} {CALLER}"
    assert ended == ["RETURNED", 200, ""]
    assert served.ask(f"/{framework}/page").metrics["wait-timer"] >= 9


@pytest.mark.parametrize(
    ("served", "framework"),
    [pair for pair in FRAMEWORKS if pair[1] != "bottle"],  # which makes no ETags
    indirect=["served"],
    scope="module",
)
def test_who_has_the_page_is_not_sent_it_again(served: Served, framework: str) -> None:
    first = served.ask(f"/{framework}/page")
    assert first.headers["ETag"].startswith("W/")
    again = served.ask(f"/{framework}/page", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert "total" in again.metrics


@pytest.mark.parametrize(
    ("served", "framework"),
    [pair for pair in FRAMEWORKS if pair[1] in {"django", "pyramid", "starlette", "fastapi"}],
    indirect=["served"],
    scope="module",
)
def test_a_page_that_the_framework_packs_is_packed_with_its_bar(served: Served, framework: str) -> None:
    answer = served.ask(f"/{framework}/packed", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    answer.body = gzip.decompress(answer.body)
    assert f"<h1>{framework}<p>".encode() in answer.page
    assert answer.page.endswith(b"</h1></body></html>")


@everywhere
def test_the_dashboard_is_for_who_is_here(served: Served, framework: str) -> None:
    assert served.ask(f"/{framework}/__greenscope__").headers["Location"] == "__greenscope__/"
    assert served.ask(f"/{framework}/__greenscope__/", X_Forwarded_For="10.0.0.1").status == 403
    assert served.ask(f"/{framework}/__greenscope__/", Host="evil.example").status == 403
