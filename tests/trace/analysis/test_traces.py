"""Which trace requests and spans are of, and what each is within, whatever is lost between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from greenscope.trace.analysis import Timeline, traces
from greenscope.trace.analysis.traces import Ended, Traces
from greenscope.trace.events import Exit, Kind, Spawn, pack
from greenscope.trace.records import Event
from tests.trace.analysis.batches import batch

NAMES = {0: "", 1: "load", 2: "price", 3: "ValueError"}
TRACE, OWN, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "53995c3f42cd8ad8", "00f067aa0ba902b7"


class Read:
    """Traces, fed with events that happen a microsecond apart."""

    def __init__(self, ring: str = "ring") -> None:
        self._timeline = Timeline(0, lambda number: NAMES.get(number, ""))
        self._now = 0
        self.traces = Traces(ring, NAMES.__getitem__)

    def take(self, *events: Event, lost: int = 0) -> list[Ended]:
        timed: list[Event] = []
        for event in events:
            self._now += 1000
            timed.append(event._replace(time_ns=self._now))
        return self._fold(timed, lost)

    def _fold(self, events: Sequence[Event], lost: int) -> list[Ended]:
        return self.traces.add(self._timeline.apply(batch(events, lost)), lost)


def begin_span(greenlet: int, number: int, name: int = 1) -> Event:
    return Event(0, greenlet, Kind.SPAN_BEGIN, arg=pack(number, name))


def end_span(greenlet: int, number: int) -> Event:
    return Event(0, greenlet, Kind.SPAN_END, arg=number)


def begin_request(greenlet: int, number: int, trace: str = "") -> Event:
    return Event(0, greenlet, Kind.REQUEST_BEGIN, arg=number, text=f"id\nGET /7{trace and chr(10) + trace}")


def end_request(greenlet: int, number: int, error: int = 0) -> Event:
    how = Exit.RAISED if error else Exit.RETURNED
    return Event(0, greenlet, Kind.REQUEST_END, how, 500 if error else 200, arg=pack(number, error))


def spawn(greenlet: int, parent: int) -> Event:
    return Event(0, greenlet, Kind.GREENLET_SPAWN, Spawn.GREENLET, arg=parent)


def test_what_begins_within_another_is_within_it_also_in_a_greenlet_that_was_spawned_there() -> None:
    ended = Read().take(
        begin_request(3, 1, f"00-{TRACE}-{OWN}-01 {CALLER}"),
        begin_span(3, 1),
        spawn(4, 3),
        begin_span(3, 2, 2),
        end_span(3, 2),
        end_span(3, 1),
        begin_span(4, 3, 2),
        end_span(4, 3),
        end_request(3, 1, error=3),
    )
    second, first, spawned, request = ended
    assert request.context == (TRACE, OWN, True)
    assert (request.parent, request.remote) == (CALLER, True)
    assert (request.error, request.status, request.how) == ("ValueError", 500, Exit.RAISED)
    assert request.said is not None
    assert request.said.path == "/7"
    assert (first.name, first.parent, first.remote) == ("load", OWN, False)
    assert second.parent == spawned.parent == first.context.span
    assert {each.context.trace for each in ended} == {TRACE}
    assert len({each.context.span for each in ended}) == 4
    assert (request.end - request.start, first.end - first.start) == (8000, 4000)


def test_what_is_in_nothing_begins_a_trace_and_the_same_ring_gives_the_same_ids() -> None:
    events = [
        begin_request(3, 1),
        end_request(3, 1),
        begin_span(3, 1),
        end_span(3, 1),
        begin_span(4, 2),
        end_span(4, 2),
    ]
    found = Read().take(*events)
    assert [each.parent for each in found] == ["", "", ""]
    assert len({each.context.trace for each in found}) == 3
    assert Read().take(*events) == found
    assert {each.context.span for each in Read("other").take(*events)}.isdisjoint({e.context.span for e in found})


def test_a_greenlet_that_was_spawned_outside_of_it_is_not_in_it() -> None:
    found = Read().take(spawn(4, 3), begin_request(3, 1), begin_span(4, 1), end_span(4, 1), end_request(3, 1))
    assert [each.parent for each in found] == ["", ""]
    found = Read().take(begin_request(3, 1), end_request(3, 1), spawn(4, 3), begin_span(4, 1), end_span(4, 1))
    assert [each.parent for each in found] == ["", ""]


@pytest.mark.parametrize(
    ("trace", "sampled", "own"),
    [
        (f"00-{TRACE}-{OWN}-00 {CALLER}", False, OWN),
        (f"00-{TRACE}-{OWN}-01", True, OWN),
        (f"00-{'0' * 32}-{OWN}-01", True, None),
        (f"00-{TRACE}-{'0' * 16}-01", True, None),
        ("00-nonsense", True, None),
    ],
)
def test_what_a_traceparent_says_is_taken_and_what_is_none_is_not(trace: str, sampled: bool, own: str | None) -> None:
    span, request = Read().take(begin_request(3, 1, trace), begin_span(3, 1), end_span(3, 1), end_request(3, 1))
    assert (request.context.sampled, span.context.sampled) == (sampled, sampled)
    assert (request.context.span == OWN) == (own is not None)
    assert span.parent == request.context.span


def test_after_a_gap_what_went_on_still_ends_and_what_is_new_is_within_nothing_that_may_be_over() -> None:
    read = Read()
    assert read.take(begin_request(3, 1), begin_span(3, 1)) == []
    inner, request, without = (*read.take(
        begin_span(3, 2), end_span(3, 2), end_request(3, 1), end_span(3, 99), lost=5
    ), read.traces.without_begin)  # fmt: skip
    assert (inner.number, inner.parent) == (2, "")
    assert request.number == 1
    assert without == 1


def test_what_nobody_ends_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_MOST_OPEN", 2)
    monkeypatch.setattr(traces, "_MOST_INHERITED", 1)
    read = Read()
    read.take(begin_span(3, 1), spawn(8, 3), spawn(9, 3), begin_span(3, 2), begin_span(4, 3))
    found = read.take(end_span(3, 1), begin_span(8, 4), begin_span(9, 5), end_span(9, 5), end_span(3, 2))
    assert [each.number for each in found] == [5, 2]
    assert read.traces.without_begin == 1
