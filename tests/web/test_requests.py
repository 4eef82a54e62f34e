"""Requests, as the page gets them: bounded, chosen, one whole, and as docs/protocol.md has them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenscope.trace.analysis.critical_path import ENDED, UNKNOWN, UNSTARTED
from greenscope.trace.analysis.request_list import Only, Order
from greenscope.trace.analysis.requests import Outcome
from greenscope.trace.analysis.states import State
from greenscope.trace.events import Wait
from greenscope.web.requests import request, requests
from greenscope.web.session import Session
from tests.web.conftest import Viewer

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROGRAM = f"""
import os
from greenscope.runtime import Semaphore, joinall, sleep, spawn
from greenscope.trace import request

lock = Semaphore(1)

def rows():
    with lock:
        sleep(0.01)

def order(number):
    with request(f"id-{{number}}", f"GET /orders/{{number}}?all=1") as served:
        joinall([spawn(rows), spawn(sleep, 0.001)])
        served.status = 200

sleep(0)
joinall([spawn(order, number) for number in range(3)])
for number in range(240):
    with request(None, "POST /baskets") as served:
        served.status = 503 if number == 100 else 201
try:
    with request("", "GET /broken\\n{TRACE}"):
        spawn(sleep, 10)
        raise KeyError
except KeyError:
    pass
request("open", "GET /feed").begin()
sleep(0.001)
os._exit(0)
"""


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a program that served some requests, and died while one went on."""
    directory = tmp_path_factory.mktemp("served")
    (directory / "app.py").write_text(PROGRAM)
    rings = directory / "rings"
    environment = {**os.environ, "GREENSCOPE_DIR": str(rings)}
    subprocess.run([sys.executable, str(directory / "app.py")], env=environment, check=True, timeout=60)
    (ring,) = rings.glob("*.gsr")
    return ring


@pytest.fixture
def session(ring: Path) -> Iterator[Session]:
    with closing(Session(ring)) as session:
        while session.follow():
            pass
        yield session


def asked(session: Session, **how: Any) -> dict[str, Any]:
    given = {"order": Order.SLOWEST, "route": "", "only": Only.ALL, "search": "", **how}
    return requests(session, **given)


def test_the_list_is_bounded_and_says_how_many_there_are(session: Session) -> None:
    answer = asked(session)
    assert (answer["total"], answer["found"], answer["going_on"], answer["lost"]) == (245, 245, 1, 0)
    assert len(answer["requests"]) == 200
    walls = [each["wall"] for each in answer["requests"]]
    assert walls == sorted(walls, reverse=True)
    starts = [each["start"] for each in asked(session, order=Order.NEWEST)["requests"]]
    assert starts == sorted(starts, reverse=True)
    starved = [each["starved"] for each in asked(session, order=Order.STARVED)["requests"]]
    assert starved == sorted(starved, reverse=True)


def test_the_time_of_each_divides_into_its_parts(session: Session) -> None:
    for each in asked(session)["requests"]:
        known = each["running"] + each["starved"] + each["waiting"] + each["ended"] + each["unknown"]
        assert known == each["wall"]
        assert sum(wait["total"] for wait in each["waits"]) == each["waiting"]


def test_what_is_chosen_is_found(session: Session) -> None:
    def found(**how: Any) -> list[str]:
        return sorted(f"{each['method']} {each['path']}" for each in asked(session, **how)["requests"])

    orders = [f"GET /orders/{number}" for number in range(3)]
    assert found(route="/orders/{id}") == found(route="GET /orders/{id}") == found(route="/orders/77?x=1") == orders
    assert found(route="POST /orders/{id}") == []
    assert found(only=Only.FAILED) == ["GET /broken", "POST /baskets"]
    assert found(only=Only.SERVER_ERROR) == ["POST /baskets"]
    assert found(only=Only.GOING_ON) == found(search="OPEN") == ["GET /feed"]
    assert found(only=Only.LOST) == []
    assert found(search="id-1") == ["GET /orders/1"]
    assert found(search="keyerror") == ["GET /broken"]
    assert found(search="all=1", only=Only.CLIENT_ERROR) == []


def test_the_routes_are_of_all_whatever_is_chosen(session: Session) -> None:
    routes = {route["route"]: route for route in asked(session, search="id-1")["routes"]}
    assert {name: (route["count"], route["errors"], route["going_on"]) for name, route in routes.items()} == {
        "GET /orders/{id}": (3, 0, 0),
        "POST /baskets": (240, 1, 0),
        "GET /broken": (1, 1, 0),
        "GET /feed": (0, 0, 1),
    }
    orders = routes["GET /orders/{id}"]
    assert 10_000_000 <= orders["p50"] <= orders["p90"] <= orders["p99"] == orders["longest"]


def whole(session: Session, search: str) -> dict[str, Any]:
    (each,) = asked(session, search=search)["requests"]
    found = request(session, each["number"])
    assert found is not None
    assert found["request"] == each
    return found


def test_one_has_its_greenlets_and_the_path_through_them(session: Session) -> None:
    found = whole(session, "id-2")  # whose rows had to wait for those of the others
    one = found["request"]
    begin, end = one["start"], one["start"] + one["wall"]
    own, slow, fast = found["greenlets"]
    assert (own["id"], own["depth"], own["name"]) == (one["greenlet"], 0, "GET /orders/2?all=1")
    assert [slow["parent"], fast["parent"], slow["depth"], fast["depth"]] == [own["id"], own["id"], 1, 1]
    assert (found["greenlets_total"], found["complete"]) == (3, True)
    for lane in found["greenlets"]:
        assert all(begin <= start <= stop <= end for start, stop, _, _ in lane["segments"])
        assert all(begin <= start < stop <= end for start, stop in lane["on_path"])
    assert fast["on_path"] == []
    edges = [(piece["start"], piece["end"]) for piece in found["path"]]
    assert edges[0][0] == begin
    assert edges[-1][1] == end
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges))
    longest, next_longest, *_ = found["path_sums"]
    assert {longest["label"], next_longest["label"]} == {"waiting: lock", "waiting: timer"}
    assert longest["greenlet"] == next_longest["greenlet"] == {"id": slow["id"], "name": slow["name"]}
    assert longest["total"] > 15_000_000
    assert sum(each["total"] for each in found["path_sums"]) == one["wall"]


def test_one_that_raised_says_what_and_of_which_trace_it_was(session: Session) -> None:
    found = whole(session, "broken")
    one = found["request"]
    assert (one["error"], one["failed"], one["status"], one["trace"]) == ("KeyError", True, None, TRACE)
    assert [lane["ended"] for lane in found["greenlets"]] == [None, None]  # what it spawned lives on


def test_one_that_never_ended_has_come_as_far_as_is_known(session: Session) -> None:
    one = whole(session, "feed")["request"]
    assert (one["outcome"], one["status"]) == ("going_on", None)
    assert [wait["label"] for wait in one["waits"]] == ["timer"]


def test_every_field_is_in_the_protocols_page_and_no_other(session: Session) -> None:
    answer, found = asked(session, search="id-1"), whole(session, "id-1")
    blocks = {name: PROTOCOL.split(f"\n{name} = {{")[1].split("\n```")[0] for name in ("Requests", "Waterfall")}
    listed, route = answer["requests"][0], answer["routes"][0]
    told = {*answer, *listed, *route, *listed["waits"][0]}
    assert told == set(re.findall(r'"(\w+)": ', blocks["Requests"]))
    piece, total, lane = found["path"][0], found["path_sums"][0], found["greenlets"][0]
    assert {*found, *piece, *piece["greenlet"], *total, *lane} == set(re.findall(r'"(\w+)": ', blocks["Waterfall"]))
    assert all(f'"{outcome.name.lower()}"' in blocks["Requests"] for outcome in Outcome)
    assert all(f"`{each}`" in PROTOCOL for each in (*Only, *Order))
    assert f"{UNKNOWN} nothing is known, {ENDED} its greenlet had ended, {UNSTARTED} not started" in PROTOCOL


def test_a_waterfall_is_bounded_by_what_a_screen_shows(session: Session, tmp_path: Path) -> None:
    program = """
from greenscope.runtime import joinall, sleep, spawn
from greenscope.trace import request
def busy():
    for _ in range(2000):
        sleep(0)
with request("many"):
    joinall([spawn(busy) for _ in range(3)] + [spawn(sleep, 0.001) for _ in range(200)])
"""
    environment = {**os.environ, "GREENSCOPE_DIR": str(tmp_path)}
    program = program.replace("with request", "sleep(0)\nwith request")
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    (path,) = tmp_path.glob("*.gsr")
    with closing(Session(path)) as many:
        while many.follow():
            pass
        found = whole(many, "many")
    assert (found["greenlets_total"], len(found["greenlets"])) == (204, 100)
    assert any(lane["on_path"] for lane in found["greenlets"])
    assert max(len(lane["segments"]) for lane in found["greenlets"]) <= 1002
    assert found["path_total"] > len(found["path"]) == 200
    assert {lane["segments"][0][2] for lane in found["greenlets"] if lane["depth"]} <= {State.READY, State.RUNNING,
                                                                                       State.WAITING}  # fmt: skip
    assert any(segment[2:] == [State.WAITING, Wait.JOIN] for segment in found["greenlets"][0]["segments"])


def test_the_viewer_answers_and_refuses_what_it_does_not_know(viewer: Viewer, ring: Path) -> None:
    copied = viewer.directory / "copied"
    copied.write_bytes(ring.read_bytes())
    copied.rename(viewer.directory / ring.name)  # the viewer sees all of it or nothing
    path = f"{viewer.url}/api/rings/{ring.stem}/requests"
    deadline = time.monotonic() + 20
    while httpx.get(path).status_code == 404 and time.monotonic() < deadline:
        pass  # until the viewer has seen the ring
    while httpx.get(path).json()["total"] < 245 and time.monotonic() < deadline:
        pass  # and has read it
    answer = httpx.get(path, params={"search": "id-0", "order": "newest"}).json()
    assert answer["found"] == 1
    number = answer["requests"][0]["number"]
    assert httpx.get(f"{path}/{number}").json()["request"]["id"] == "id-0"
    assert httpx.get(f"{path}/{number + 1_000_000}").status_code == 404
    assert httpx.get(f"{path}/first").status_code == 422
    assert httpx.get(path, params={"only": "nice"}).status_code == 422
    assert httpx.get(f"{viewer.url}/api/rings/none/requests").status_code == 404
