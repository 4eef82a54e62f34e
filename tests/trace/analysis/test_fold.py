"""The fold against the one that takes an event at a time: for any events, gaps and tables, in any pieces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.analysis import Timeline
from greenscope.trace.analysis import fold as fold_module
from greenscope.trace.analysis import spans as spans_module
from greenscope.trace.analysis.latency import AwaySeries, LatencyHistogram
from greenscope.trace.analysis.states import Life
from greenscope.trace.events import NO_FD, Exit, Kind, Ready, Spawn, Wait, Watch, pack
from greenscope.trace.records import EVENT_DTYPE, Batch, Event, Gap, GreenletSlot
from tests.trace.analysis.batches import apply, batch
from tests.trace.analysis.reference import ReferenceTimeline

MS = 1_000_000
STALL_NS = 5 * MS


def slot(greenlet: int, state: str, since: int, fd: int | None, large: int) -> GreenletSlot:
    return GreenletSlot(
        greenlet=greenlet, name=f"slot {greenlet}", numbered=True, parent=large, spawn_reason=greenlet & 1,
        state=state, reason=2, since_ns=since, resource=3, fd=fd, peer="peer", deadline_ns=large, site=1, spawn_site=2,
        run_ns=large, switches=large,
    )  # fmt: skip


kinds = st.sampled_from([*Kind, 77])
some_events = st.lists(
    st.one_of(
        st.builds(
            Event,
            time_ns=st.integers(0, 300 * MS) | st.integers(0, (1 << 64) - 1),
            greenlet=st.integers(1, 5) | st.just((1 << 64) - 1),
            kind=kinds.map(int),
            reason=st.integers(0, 9),
            aux=st.integers(0, 20),
            site=st.integers(0, 3),
            arg=st.integers(0, 40).flatmap(
                lambda low: st.sampled_from([low, pack(low, 9), pack(low, NO_FD), pack(low, NO_FD - 1)])
            ),
        ),
        st.builds(Gap, lost=st.integers(1, 50)),
    ),
    max_size=120,
)

some_slots = st.lists(
    st.builds(
        slot,
        st.integers(1, 7),
        st.sampled_from(["free", "spawned", "ready", "running", "waiting"]),
        st.integers(0, 300 * MS) | st.integers(0, (1 << 64) - 1),
        st.none() | st.integers(0, (1 << 32) - 2),
        st.integers(0, (1 << 64) - 1),
    ),
    max_size=6,
)


@st.composite
def programs(draw: st.DrawFn) -> list[Event]:
    """What a hub and its greenlets might well do: most of it legal, some greenlets short, some runs long."""
    at, alive, following, running = 0, {2: "running"}, 3, 2
    events = [
        Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 2, Kind.GREENLET_SPAWN, Spawn.MAIN),
        Event(0, 2, Kind.GREENLET_SWITCH),
    ]  # fmt: skip
    for _ in range(draw(st.integers(0, 60))):
        at += draw(st.sampled_from([0, 1, 1000, MS, 7 * MS, 1200 * MS]))
        what = draw(st.sampled_from(["spawn", "park", "exit", "switch", "ready", "poll", "watch"]))
        if what == "spawn":
            events += [
                Event(at, following, Kind.GREENLET_SPAWN, Spawn.GREENLET, site=3, arg=running),
                Event(at, following, Kind.GREENLET_NAME, aux=1, arg=following),
                Event(at, following, Kind.GREENLET_READY, Ready.SPAWN, arg=running),
            ]
            alive[following] = "ready"
            following += 1
        elif what == "watch":
            resource = draw(st.integers(1, 4))
            kind = draw(st.sampled_from([Kind.WATCHER_OPEN, Kind.WATCHER_CLOSE, Kind.WATCHER_START]))
            reason = draw(st.sampled_from([Watch.READ, Watch.TIMER]))
            text = f"10.0.0.{resource}" if kind is Kind.WATCHER_OPEN else ""
            events.append(Event(at, running or 1, kind, reason, arg=pack(resource, len(events)), text=text))
        elif what in {"park", "exit"} and running:
            if what == "park":
                reason = draw(st.sampled_from([Wait.READ, Wait.TIMER, Wait.LOCK]))
                arg = pack(draw(st.integers(1, 5)), draw(st.sampled_from([0, 30])))
                events.append(Event(at, running, Kind.GREENLET_PARK, reason, 8, len(events), arg))
                alive[running] = "waiting"
            else:
                events.append(Event(at, running, Kind.GREENLET_EXIT, Exit.RAISED))
                del alive[running]
            running = 0
        elif what == "poll" and not running:
            events += [Event(at, 1, Kind.POLL_BEGIN), Event(at + 500, 1, Kind.POLL_END)]
        elif what in {"ready", "switch"} and not (what == "switch" and running):
            wanted = "waiting" if what == "ready" else "ready"
            chosen = [greenlet for greenlet, state in alive.items() if state == wanted]
            if chosen:
                one = draw(st.sampled_from(chosen))
                if what == "ready":
                    events.append(Event(at, one, Kind.GREENLET_READY, Ready.WATCHER, arg=draw(st.integers(1, 5))))
                    alive[one] = "ready"
                else:
                    kind = draw(st.sampled_from([Kind.GREENLET_SWITCH, Kind.GREENLET_THROW]))
                    events.append(Event(at, one, kind))
                    alive[one], running = "running", one
    return events


def name(number: int) -> str:
    return f"name {number}"


def lanes_of(line: Timeline | ReferenceTimeline) -> dict[int, object]:
    fields = ("label", "numbered", "parent", "spawn_reason", "spawn_site", "site", "timer_due", "life", "exit",
              "switches", "run_time", "ends", "open")  # fmt: skip
    return {
        number: (*(getattr(lane, field) for field in fields), lane.exit is not None and lane.ended_at,
                 list(lane.spans()) if callable(lane.spans) else lane.spans)
        for number, lane in line.lanes.items()
    }  # fmt: skip


def counts_of(line: Timeline | ReferenceTimeline) -> dict[str, int]:
    names = ("events", "lost", "gaps", "illegal", "switches", "run_time", "last", "hub", "running", "ready_count")
    return {name: getattr(line, name) for name in names}


def assert_equal(line: Timeline, reference: ReferenceTimeline) -> None:
    """Whether the two saw the same."""
    assert counts_of(line) == counts_of(reference)
    assert lanes_of(line) == lanes_of(reference)
    assert list(line.stalls.kept) == list(reference.stalls)
    assert (line.stalls.count, line.stalls.longest) == (reference.stall_count, reference.longest_stall)
    assert {n: w for n in range(64) if (w := line.watchers.get(n)) is not None} == reference.watchers
    assert len(line.watchers) == len(reference.watchers)
    latency, away = LatencyHistogram(), AwaySeries(0)
    for at, length in reference.latencies:
        latency.add(np.array([at]), np.array([length]))
    for begin, end in reference.absences:
        away.add(np.array([begin]), np.array([end]))
    for share in (0.5, 0.9, 0.99):
        assert line.latency.quantile(share, line.last) == latency.quantile(share, line.last)
    assert line.away.values(0, 300 * MS, 50) == away.values(0, 300 * MS, 50)
    alive = [lane.greenlet for lane in line.lanes.living()]
    assert alive == sorted(reference.living)
    assert {lane.greenlet for lane in line.lanes.exited()} == {lane.greenlet for lane in reference.exited}


def in_time(records: list[Event | Gap]) -> list[Event]:
    return sorted((r for r in records if isinstance(r, Event)), key=lambda event: event.time_ns)


@settings(deadline=None, max_examples=300)
@given(programs() | some_events.map(in_time), st.lists(st.integers(0, 120), max_size=5))
def test_in_pieces_as_at_once_as_an_event_at_a_time(events: list[Event], cuts: list[int]) -> None:
    at_once, in_pieces = Timeline(0, name, STALL_NS), Timeline(0, name, STALL_NS)
    reference = ReferenceTimeline(0, name, STALL_NS)
    reference.apply(events)
    at_once.apply(batch(events))
    edges = [0, *sorted(cut for cut in cuts if cut <= len(events)), len(events)]
    for first, last in itertools.pairwise(edges):
        in_pieces.apply(batch(events[first:last]))
    assert_equal(at_once, reference)
    assert_equal(in_pieces, reference)


@settings(deadline=None, max_examples=300)
@given(some_events, some_slots)
def test_any_sequence_with_gaps_and_a_table_folds_as_an_event_at_a_time(
    records: list[Event | Gap], table: list[GreenletSlot]
) -> None:
    line, reference = Timeline(0, name, STALL_NS), ReferenceTimeline(0, name, STALL_NS)
    apply(line, records, table)
    reference.apply(records, table)
    assert_equal(line, reference)
    for lane in line.lanes.values():
        ends = 0
        for span in lane.spans():
            assert ends <= span.start <= span.end
            ends = span.end
    assert line.ready_count == sum(lane.life is Life.READY for lane in line.lanes.values())
    ended = [lane.ended_at for lane in line.lanes.exited()]
    assert ended == sorted(ended)


@settings(deadline=None)
@given(programs(), st.integers(1, 7))
def test_with_chunks_that_do_not_grow_and_with_more_lanes_than_a_radix_sorts(events: list[Event], step: int) -> None:
    line, reference = Timeline(0, name, STALL_NS), ReferenceTimeline(0, name, STALL_NS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_module, "_RADIX", 2)
        patch.setattr(spans_module, "_MOST_IN_CHUNK", 3)
        for first in range(0, len(events), step):
            line.apply(batch(events[first : first + step]))
    reference.apply(events)
    assert_equal(line, reference)


@given(programs(), st.integers(0, 1 << 40))
def test_what_nobody_uses_any_more_is_dropped_and_the_rest_keeps_its_text(events: list[Event], seed: int) -> None:
    line, reference = Timeline(0, name, STALL_NS), ReferenceTimeline(0, name, STALL_NS)
    for number in range(seed % 5):
        line._texts.number(f"nobody's {number}")
    line.apply(batch(events))
    line._texts._limit = 0
    line.apply(batch([]))
    assert all("nobody" not in line._texts[number] for number in range(len(line._texts)))
    reference.apply(events)
    assert_equal(line, reference)


@settings(deadline=None)
@given(programs(), programs(), st.integers(1, 40))
def test_what_is_not_forgotten_is_as_if_nothing_had_been(first: list[Event], then: list[Event], keep: int) -> None:
    """The second program's greenlets are others, so that the first's end; the clock goes on."""
    end = first[-1].time_ns + MS
    later = [e._replace(time_ns=e.time_ns + end, greenlet=e.greenlet + 100 * (e.greenlet > 1)) for e in then]
    whole, bounded = Timeline(0, name, STALL_NS), Timeline(0, name, STALL_NS, keep_spans=keep)
    for line in (whole, bounded):
        line.apply(batch(first))
        line.apply(batch(later))
    start, now = bounded.forgotten_until, whole.last + 5
    assert counts_of(bounded) == counts_of(whole)
    for number, lane in whole.lanes.items():
        kept = bounded.lanes.get(number)
        if kept is None:
            assert not lane.alive
            assert lane.ended_at < start
            continue
        assert (kept.open, kept.life, kept.switches, kept.run_time) == (
            lane.open, lane.life, lane.switches, lane.run_time
        )  # fmt: skip
        assert list(kept.spans()) == [span for span in lane.spans() if span.end > start]
        assert kept.shares(start, now, now) == lane.shares(start, now, now)
        assert kept.segments(start, now, now, 1000) == lane.segments(start, now, now, 1000)
        spans = list(kept.spans())
        assert len(kept) == len(spans) + (kept.open is not None)
        assert kept.begins == (spans[0].start if spans else kept.open.start if kept.open else 0)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 4))
def test_no_bytes_break_the_fold_or_what_is_asked_of_it(data: st.DataObject, pieces: int) -> None:
    """Records of any bytes, their kinds mostly known."""
    line = Timeline(0, name, STALL_NS, keep_spans=100)
    for _ in range(pieces):
        raw = data.draw(st.binary(max_size=40 * EVENT_DTYPE.itemsize))
        events = np.frombuffer(raw[: len(raw) // 32 * 32], EVENT_DTYPE).copy()
        known = np.array([*Kind, 200], np.uint8)
        events["kind"] = known[events["kind"] % len(known)]
        events["greenlet"] &= np.uint64(data.draw(st.sampled_from([3, (1 << 64) - 1])))
        events["time_ns"] &= np.uint64(data.draw(st.sampled_from([(1 << 30) - 1, (1 << 62) - 1, (1 << 64) - 1])))
        texts = dict.fromkeys(range(0, len(events), 3), "text")
        line.apply(Batch(data.draw(st.integers(0, 1)), events, texts), data.draw(some_slots))
        now = line.last
        for lane in line.lanes.values():
            shares = lane.shares(0, now, now)
            assert min(shares) >= 0
            assert sum(shares) <= now
            lane.segments(0, now, now, max(now // 50, 1))
            span = lane.span_at(now // 2, now)
            assert span is None or span.start <= now // 2 <= span.end
        line.away.values(0, now, 100)
        line.latency.quantile(0.99, now)
