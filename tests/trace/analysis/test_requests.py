"""What became of each request, and how its time divides: whatever lies between, and however it is read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis import State, Timeline
from greenscope.trace.analysis import requests as requests_module
from greenscope.trace.analysis.request_text import route_of, said_by
from greenscope.trace.analysis.requests import Outcome, Request, Requests
from greenscope.trace.analysis.routes import routes_of
from greenscope.trace.events import Exit, Kind, Ready, Spawn, Wait, pack
from greenscope.trace.records import Event
from tests.trace.analysis.batches import batch
from tests.trace.analysis.scheduled import Program, drawn

NAMES = {0: "", 8: "ValueError"}
CHOICES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=150)


class Read:
    """A timeline and its requests, fed in pieces."""

    def __init__(self, keep: int = 1 << 15) -> None:
        self.timeline = Timeline(0, lambda number: NAMES.get(number, ""))
        self.requests = Requests(self.timeline, NAMES.__getitem__, keep)

    def take(self, events: Sequence[Event], lost: int = 0) -> None:
        self.requests.add(self.timeline.apply(batch(events, lost)), lost)

    def all(self, now: int | None = None) -> list[Request]:
        rows = self.requests.rows(self.timeline.last if now is None else now)
        return self.requests.shown(rows, range(len(rows)))


def read(program: Program) -> Read:
    found = Read()
    found.take(program.events)
    return found


def test_the_time_of_a_request_divides_into_what_its_greenlet_did() -> None:
    program = Program(step=0)
    program.spawn()
    program.park(Wait.JOIN)
    program.run(3)
    begin = program.now = 2000
    number = program.begin_request("abc\nGET /orders/17?all=1")
    program.now += 5
    program.park(Wait.READ)
    program.now += 100
    program.wake(3)
    program.now += 30
    program.run(3)
    program.now += 7
    program.park(Wait.TIMER)
    program.now += 50
    program.wake(3)
    program.run(3)
    program.end_request(number, 503)
    (request,) = read(program).all()
    assert (request.greenlet, request.start, request.wall) == (3, begin, 192)
    assert (request.running, request.ready, request.waits) == (12, 30, {Wait.READ: 100, Wait.TIMER: 50})
    assert (request.waiting, request.unknown, request.ended) == (150, 0, 0)
    assert (request.outcome, request.status, request.failed, request.ended_by) == (Outcome.DONE, 503, True, 3)
    said = request.said
    assert (said.id, said.method, said.path, said.query) == ("abc", "GET", "/orders/17", "all=1")
    assert said.route == "GET /orders/{id}"


def test_requests_of_one_kept_connection_do_not_mix() -> None:
    program = Program()
    for wait in (Wait.READ, Wait.LOCK):
        number = program.begin_request()
        program.park(wait)
        program.now += 100
        program.wake(2)
        program.run(2)
        program.end_request(number)
        program.now += 1000
    first, second = read(program).all()
    assert set(first.waits) == {Wait.READ}
    assert set(second.waits) == {Wait.LOCK}


def test_a_request_within_another_is_part_of_it() -> None:
    program = Program()
    outer = program.begin_request("outer")
    program.park(Wait.LOCK)
    program.wake(2)
    program.run(2)
    inner = program.begin_request("inner")
    program.park(Wait.READ)
    program.wake(2)
    program.run(2)
    program.end_request(inner)
    program.end_request(outer)
    one, other = read(program).all()
    assert set(one.waits) == {Wait.LOCK, Wait.READ}
    assert set(other.waits) == {Wait.READ}
    assert one.start < other.start < other.end < one.end


def test_one_that_goes_on_has_come_as_far_as_it_is_looked_at() -> None:
    program = Program()
    program.begin_request()
    at = program.now
    program.park(Wait.READ)
    (request,) = read(program).all(now=at + 1000)
    assert (request.outcome, request.end, request.wall) == (Outcome.GOING_ON, 0, 1000)
    assert request.running + request.waits[Wait.READ] == 1000


def test_an_exception_is_named_and_is_an_error() -> None:
    program = Program()
    program.end_request(program.begin_request(), 0, Exit.RAISED, 8)
    program.end_request(program.begin_request(), 404)
    raised, missed = read(program).all()
    assert (raised.how, raised.error, raised.failed) == (Exit.RAISED, "ValueError", True)
    assert not missed.failed


def test_one_whose_greenlet_ended_first_says_so() -> None:
    program = Program()
    program.spawn()
    program.park(Wait.EVENT)
    program.run(3)
    number = program.begin_request()
    program.end()
    ended = program.now
    program.wake(2)
    program.run(2)
    program.end_request(number)
    (request,) = read(program).all()
    assert (request.ended_by, request.ended, request.unknown) == (2, program.now - ended, 0)


def test_what_ended_after_its_beginning_was_overwritten_is_counted() -> None:
    found = Read()
    found.take([Event(50, 3, Kind.REQUEST_END, arg=9)], lost=10)
    assert (found.all(), found.requests.without_begin) == ([], 1)


def lost_while_going_on() -> Read:
    found = Read()
    found.take(
        [
            Event(10, 3, Kind.GREENLET_SPAWN, Spawn.GREENLET),
            Event(11, 3, Kind.GREENLET_READY, Ready.SPAWN),
            Event(12, 3, Kind.GREENLET_SWITCH),
            Event(20, 3, Kind.REQUEST_BEGIN, arg=5),
        ]
    )
    return found


def test_one_whose_end_may_have_been_overwritten_goes_on_until_its_greenlet_begins_another() -> None:
    found = lost_while_going_on()
    found.take([Event(100, 3, Kind.MARK)], lost=10)
    (request,) = found.all(200)
    assert (request.outcome, request.wall) == (Outcome.GOING_ON, 180)
    found.take([Event(300, 3, Kind.REQUEST_BEGIN, arg=6)])
    first, second = found.all(400)
    assert (first.outcome, first.end, first.until) == (Outcome.LOST, 0, 20)
    assert second.outcome is Outcome.GOING_ON
    assert found.requests.going_on == 1


def test_one_whose_end_may_have_been_overwritten_is_lost_when_its_greenlet_is_gone() -> None:
    found = lost_while_going_on()
    found.take([Event(300, 3, Kind.GREENLET_EXIT)], lost=10)
    (request,) = found.all(400)
    assert request.outcome is Outcome.LOST
    found.take([Event(310, 4, Kind.REQUEST_END, arg=5)])  # it was not
    (request,) = found.all(400)
    assert (request.outcome, request.wall) == (Outcome.DONE, 290)
    assert request.unknown > 0


def test_what_is_not_known_of_a_request_is_not_guessed() -> None:
    found = lost_while_going_on()
    found.take([Event(200, 3, Kind.GREENLET_SWITCH), Event(260, 3, Kind.REQUEST_END, arg=5)], lost=10)
    (request,) = found.all()
    assert (request.wall, request.running, request.unknown) == (240, 60, 180)


def test_the_newest_are_kept_and_what_goes_on() -> None:
    found, program = Read(keep=10), Program()
    open_one = program.begin_request("open")
    for _ in range(100):
        program.end_request(program.begin_request())
    for at in range(0, len(program.events), 20):
        found.take(program.events[at : at + 20])
    requests = found.all()
    assert requests[0].number == open_one
    assert [request.number for request in requests[1:]] == list(
        range(open_one + 101 - len(requests) + 1, open_one + 101)
    )
    assert 10 <= len(requests) - 1 <= 21
    assert found.requests.ended == 100
    assert found.requests.forgotten == 100 - (len(requests) - 1)


def test_those_that_nobody_ever_ends_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_module, "_KEEP_OPEN", 5)
    found, program = Read(keep=4), Program()
    for _ in range(50):
        program.begin_request()
    for at in range(0, len(program.events), 10):
        found.take(program.events[at : at + 10])
    assert found.requests.going_on == 5
    assert len(found.requests) <= 5 + 8


def slow_parts(timeline: Timeline, request: Request) -> dict[str, int]:
    """How a request's time divides, one span after the other."""
    sums: dict[str, int] = {}
    lane = timeline.lanes.get(request.greenlet)
    assert lane is not None
    spans = [(span.start, span.end, span.state, span.reason) for span in lane.spans()]
    if lane.open is not None:
        spans.append((lane.open.start, request.until, lane.open.state, lane.open.reason))
    for start, end, state, reason in spans:
        inside = min(end, request.until) - max(start, request.start)
        key = f"wait {reason}" if state is State.WAITING else "ready" if state is State.READY else "running"
        if inside > 0:
            sums[key] = sums.get(key, 0) + inside
    return sums


@given(CHOICES, st.lists(st.integers(0, 150), max_size=5))
def test_in_pieces_as_at_once_and_as_counted_one_by_one(choices: list[tuple[int, int]], cuts: list[int]) -> None:
    program = drawn(choices)
    events, now = program.events, program.now + 100
    whole, pieces = read(program), Read()
    edges = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for first, past in itertools.pairwise(edges):
        pieces.take(events[first:past])
    requests = whole.all(now)
    assert pieces.all(now) == requests
    assert len(requests) == sum(event.kind == Kind.REQUEST_BEGIN for event in events)
    for request in requests:
        parts = {"running": request.running, "ready": request.ready}
        parts |= {f"wait {reason}": ns for reason, ns in request.waits.items()}
        assert {key: ns for key, ns in parts.items() if ns} == slow_parts(whole.timeline, request)
        assert sum(parts.values()) + request.ended + request.unknown == request.wall
        assert request.unknown == 0
        assert whole.requests.find(request.number, now) == request


def test_routes_have_their_counts_errors_and_quantiles() -> None:
    program = Program(step=0)
    for number in range(1, 101):
        one = program.begin_request(f"\nGET /orders/{number}")
        program.now += number
        program.end_request(one, 500 if number % 10 == 0 else 200)
    program.end_request(program.begin_request("\nPOST /orders"), 201)
    program.begin_request("\nGET /orders/7")
    found = read(program)
    orders, created = routes_of(found.requests, found.requests.rows(program.now))
    assert (orders.route, orders.count, orders.errors, orders.going_on) == ("GET /orders/{id}", 100, 10, 1)
    assert (orders.p50, orders.p90, orders.p99, orders.longest, orders.total) == (50, 90, 99, 100, 5050)
    assert (created.route, created.count, created.longest, created.starved) == ("POST /orders", 1, 0, 0.0)
    assert routes_of(found.requests, found.requests.rows(0)[:0]) == []


def test_starved_is_the_mean_of_the_shares() -> None:
    program = Program(step=0)
    for ready in (25, 75):
        number = program.begin_request()
        program.park(Wait.READ)
        program.now += 100 - ready
        program.wake(2)
        program.now += ready
        program.run(2)
        program.end_request(number)
    found = read(program)
    (route,) = routes_of(found.requests, found.requests.rows(program.now))
    assert route.starved == 0.5


def test_there_are_only_so_many_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_module, "_MOST_ROUTES", 3)
    program = Program()
    for name in "abcdefg":
        program.end_request(program.begin_request(f"\nGET /{name}"))
    found = read(program)
    routes = routes_of(found.requests, found.requests.rows(program.now))
    assert sorted((route.route, route.count) for route in routes) == [
        ("GET /a", 1), ("GET /b", 1), ("GET /c", 1), ("all other routes", 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/orders/17/items/4", "/orders/{id}/items/{id}"),
        ("/users/3F2504E0-4F89-11D3-9A0C-0305E82C3301", "/users/{id}"),
        ("/commits/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commits/{id}"),
        ("/commits/9fceb02", "/commits/9fceb02"),
        ("/deadbeef/decade", "/deadbeef/decade"),
        ("/v2/orders", "/v2/orders"),
        ("/a//b/", "/a//b/"),
        ("*", "*"),
    ],
)
def test_a_route_is_the_path_without_its_ids(path: str, route: str) -> None:
    assert route_of(path) == route


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ("", "", "", "", "", "", "")),
        ("id", ("id", "", "", "", "", "", "")),
        ("\nGET /a?b?c", ("", "GET", "/a", "b?c", "GET /a", "", "")),
        ("id\ncheckout", ("id", "", "checkout", "", "checkout", "", "")),
        ("id\nGET http://host:1/a/2", ("id", "GET", "/a/2", "", "GET /a/{id}", "", "")),
        ("id\nCONNECT host:443", ("id", "CONNECT", "host:443", "", "CONNECT host:443", "", "")),
        (f"id\nGET /\n{TRACE} 53995c3f42cd8ad8", ("id", "GET", "/", "", "GET /", TRACE, "53995c3f42cd8ad8")),
        (f"id\nGET /\n{TRACE}", ("id", "GET", "/", "", "GET /", TRACE, "")),
        (f"id\nGET /\n{TRACE[:-2]} 5399", ("id", "GET", "/", "", "GET /", "", "")),
    ],
)
def test_a_requests_text_in_its_parts(text: str, said: tuple[str, ...]) -> None:
    assert said_by(text) == said


@given(st.text())
def test_any_text_has_parts(text: str) -> None:
    assert said_by(text).id == text.partition("\n")[0]


def test_an_error_without_a_name_is_none() -> None:
    found = Read()
    found.take([Event(1, 2, Kind.REQUEST_BEGIN, arg=3), Event(2, 2, Kind.REQUEST_END, arg=pack(3, 0))])
    assert found.all()[0].error == ""
