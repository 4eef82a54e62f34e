"""``greenscope requests`` of a WSGI server that is asked by real clients: living, recorded, dead; and of no ring."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.trace.rings import begin, new_ring

SERVER = """
from greenscope.runtime import Event, Semaphore, joinall, sleep, spawn
from greenscope.runtime.wsgi import WSGIServer

one = Semaphore(1)

def rows():
    with one:
        sleep(0.03)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/orders/"):
        joinall([spawn(rows), spawn(sleep, 0.001)])
    elif path == "/compute":
        sum(range(200_000))
        sleep(0)
    elif path == "/broken":
        raise ValueError
    elif path == "/hangs":
        spawn(Event().wait)
        print("hangs", flush=True)
        Event().wait()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

server = WSGIServer(("127.0.0.1", 0), application, log=None, error_log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass
class Shop:
    """A server, its snapshot, and what it is told by."""

    pid: int
    process: subprocess.Popen[str]
    snapshot: Path
    environment: dict[str, str]

    def requests(self, *arguments: object, code: int = 0) -> str:
        command = [sys.executable, "-m", "greenscope", "requests", *map(str, arguments)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert done.returncode == code, (command, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def hub(self, *arguments: object) -> dict[str, Any]:
        answer = json.loads(self.requests(*arguments, "--json"))
        assert answer["version"] == 1
        (hub,) = answer["hubs"]
        assert isinstance(hub, dict)
        return hub


def ask(port: int, path: str, identity: str = "") -> int:
    """Ask the server: the status of its answer."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"X-Request-ID": identity})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.read() == b"ok"
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0  # it was killed


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The server, asked for what it has; one request hangs."""
    directory = tmp_path_factory.mktemp("shop")
    (directory / "shop.py").write_text(SERVER)
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory / "rings")}
    with subprocess.Popen(
        [sys.executable, "shop.py"], cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            for together in (
                [(f"/orders/{number}?all=1", f"id-{number}") for number in range(4)],
                [("/compute", "")],
                [("/broken", "")],
            ):
                clients = [threading.Thread(target=ask, args=(port, *asked)) for asked in together]
                for client in clients:
                    client.start()
                for client in clients:
                    client.join(60)
            hanging = threading.Thread(target=ask, args=(port, "/hangs", "stuck"))
            hanging.start()
            assert process.stdout.readline() == "hangs\n"
            snapshot = directory / "shop.gsr"
            taken = [sys.executable, "-m", "greenscope", "snapshot", str(process.pid), "-o", str(snapshot)]
            subprocess.run(taken, env=environment, check=True, capture_output=True, timeout=60)
            yield Shop(process.pid, process, snapshot, environment)
        finally:
            process.kill()
    hanging.join(60)


def by_path(hub: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {request["path"]: request for request in hub["requests"]}


def test_a_person_reads_the_routes_and_the_slowest(shop: Shop) -> None:
    text = shop.requests(shop.pid)
    routes, slowest = text.split("\n\n")[1:]
    assert re.search(r" 4 +0 .* GET /orders/\{id\}$", routes, re.MULTILINE)
    assert re.search(r" 1 +1 .* GET /broken$", routes, re.MULTILINE)
    assert re.search(r" GET /hangs  \(1 going on\)$", routes, re.MULTILINE)
    assert slowest.startswith("the slowest of 7\n")
    first = slowest.splitlines()[2]
    assert "goes on  GET /hangs" in first
    assert re.search(r"stuck +event ", first)
    assert len(shop.requests(shop.pid, "--slowest", 2).split("the slowest")[1].splitlines()) == 2 + 2


def test_living_recorded_and_in_json_it_is_the_same(shop: Shop) -> None:
    living, recorded = shop.hub(shop.pid), shop.hub(shop.snapshot)
    assert (living["state"], recorded["state"]) == ("live", "snapshot")
    for hub in (living, recorded):
        assert (hub["kept"], hub["found"], hub["going_on"], hub["forgotten"]) == (7, 7, 1, 0)
        requests = by_path(hub)
        order = requests["/orders/2"]
        assert (order["id"], order["method"], order["status"], order["route"]) == (
            "id-2", "GET", 200, "GET /orders/{id}"
        )  # fmt: skip
        assert order["wall_ns"] >= 30_000_000
        parts = [order[part] for part in ("running_ns", "starved_ns", "ended_ns", "unknown_ns")]
        assert sum(parts) + sum(order["waits_ns"].values()) == order["wall_ns"]
        assert set(order["waits_ns"]) == {"join"}
        broken = requests["/broken"]
        assert (broken["status"], broken["failed"], broken["outcome"]) == (500, True, "done")
        assert requests["/compute"]["running_ns"] > requests["/broken"]["running_ns"]
        assert requests["/hangs"]["outcome"] == "going_on"
    ended = [each for each in recorded["requests"] if each["outcome"] == "done"]
    assert ended == [each for each in living["requests"] if each["outcome"] == "done"]


def test_only_those_that_are_asked_for_are_told(shop: Shop) -> None:
    hub = shop.hub(shop.snapshot, "--route", "/orders/{id}", "--slowest", 3)
    assert (hub["found"], len(hub["requests"]), [each["route"] for each in hub["routes"]]) == (
        4, 3, ["GET /orders/{id}"]
    )  # fmt: skip
    assert set(by_path(shop.hub(shop.snapshot, "--failed"))) == {"/broken"}
    assert "no such requests" in shop.requests(shop.snapshot, "--failed", "--route", "/compute")
    said = shop.requests(shop.snapshot, "--route", "/weather", code=2)
    assert said.startswith("greenscope: --route: no request of '/weather'; there are GET /broken, ")
    assert said.count("\n") == 1


def test_one_whole_has_its_greenlets_and_the_path_through_them(shop: Shop) -> None:
    last = max((each for each in by_path(shop.hub(shop.snapshot)).values() if each["route"].endswith("{id}")),
               key=lambda each: each["wall_ns"])  # fmt: skip
    hub = shop.hub(shop.snapshot, "--request", last["number"])
    assert hub["request"] == last
    assert hub["complete"] is True
    own, rows, nap = hub["greenlets"]
    assert (own["parent"], rows["parent"], nap["parent"]) == (None, own["id"], own["id"])
    path = hub["critical_path"]
    assert path[0]["start_ns"] == last["start_ns"]
    assert all(one["end_ns"] == other["start_ns"] for one, other in itertools.pairwise(path))
    assert path[-1]["end_ns"] == last["start_ns"] + last["wall_ns"]
    waits = {piece["what"] for piece in path if piece["greenlet"] == rows["id"]}
    assert {"waiting: lock", "waiting: timer"} <= waits
    assert nap["id"] not in {piece["greenlet"] for piece in path}
    text = shop.requests(shop.snapshot, "--request", last["number"])
    assert "3 greenlets" in text
    assert re.search(r"rows #\d+ +waiting: lock .*shop\.py:\d+ rows$", text, re.MULTILINE)
    assert "there is no request 999999" in shop.requests(shop.snapshot, "--request", 999_999, code=2)


def test_a_ring_without_requests_says_how_to_get_them(shop: Shop, tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    text = shop.requests(tmp_path / "a.gsr")
    file.close()
    assert "no requests\n" in text
    assert "greenscope.trace.request" in text


@pytest.mark.parametrize(
    "arguments", [("nothing.gsr",), ("999999999",), ("README.md",), ("README.md", "--slowest", "0")]
)
def test_what_cannot_be_is_said_in_one_line(shop: Shop, arguments: tuple[str, ...]) -> None:
    said = shop.requests(*arguments, code=2)
    assert said.startswith("greenscope")
    assert said.count("\n") == 1


def test_of_the_dead_it_says_that_the_request_did_not_end(shop: Shop) -> None:
    shop.process.kill()
    shop.process.wait(30)
    assert re.search(r"no end +GET /hangs", shop.requests(shop.pid))
    assert shop.hub(shop.pid)["state"] == "died"
