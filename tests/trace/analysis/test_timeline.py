"""Folding events into lanes: states, stalls, what is illegal, what was lost; in pieces as at once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis import POLL, Span, State, Timeline
from greenscope.trace.analysis import timeline as timeline_module
from greenscope.trace.analysis.describe import woken_by
from greenscope.trace.analysis.states import Life
from greenscope.trace.events import NO_FD, Exit, Kind, Ready, Spawn, Timeouts, Wait, Watch, pack
from greenscope.trace.records import Event, Gap, GreenletSlot

HUB, MAIN, WORKER = 1, 2, 3
NAMES = {10: "hub", 20: "main", 30: "work"}
MS = 1_000_000


def timeline(**options: int) -> Timeline:
    return Timeline(0, lambda number: NAMES.get(number, "?"), **options)


def begin(at: int = 0) -> list[Event]:
    """A hub, and a main greenlet that runs."""
    return [
        Event(at, HUB, Kind.GREENLET_SPAWN, Spawn.HUB),
        Event(at, HUB, Kind.GREENLET_NAME, arg=10),
        Event(at, MAIN, Kind.GREENLET_SPAWN, Spawn.MAIN),
        Event(at, MAIN, Kind.GREENLET_NAME, arg=20),
        Event(at, MAIN, Kind.GREENLET_SWITCH),
    ]


def spawn(at: int, greenlet: int = WORKER) -> list[Event]:
    return [
        Event(at, greenlet, Kind.GREENLET_SPAWN, Spawn.GREENLET, aux=1, arg=MAIN),
        Event(at, greenlet, Kind.GREENLET_NAME, aux=1, arg=30),
        Event(at, greenlet, Kind.GREENLET_READY, Ready.SPAWN, arg=MAIN),
    ]


def read_wait(start: int, end: int, greenlet: int = MAIN, site: int = 5) -> list[Event]:
    """It waits to read descriptor 7 from ``start`` on; the poll sees it ready at ``end``; it runs 10 ns later."""
    return [
        Event(start, greenlet, Kind.WATCHER_START, Watch.READ, arg=pack(4, 7)),
        Event(start, greenlet, Kind.GREENLET_PARK, Wait.READ, aux=8, site=site, arg=pack(4, 30)),
        Event(start + 5, HUB, Kind.POLL_BEGIN, aux=1),
        Event(end, greenlet, Kind.WATCHER_FIRE, Watch.READ, arg=pack(4, 7)),
        Event(end, greenlet, Kind.GREENLET_READY, Ready.WATCHER, arg=4),
        Event(end + 5, HUB, Kind.POLL_END, aux=1),
        Event(end + 10, greenlet, Kind.GREENLET_SWITCH),
        Event(end + 10, greenlet, Kind.WATCHER_STOP, Watch.READ, arg=pack(4, 7)),
    ]


OPEN = Event(0, MAIN, Kind.WATCHER_OPEN, Watch.READ, arg=pack(4, 7), text="10.0.0.1:80")


def spans(line: Timeline, greenlet: int) -> list[tuple[int, int, State, int]]:
    return [(span.start, span.end, span.state, span.reason) for span in line.lanes[greenlet].spans()]


def test_a_read_becomes_running_waiting_ready_running() -> None:
    line = timeline()
    line.apply([*begin(), OPEN, *read_wait(100, 400)])
    assert spans(line, MAIN) == [
        (0, 100, State.RUNNING, 0),
        (100, 400, State.WAITING, Wait.READ),
        (400, 410, State.READY, Ready.WATCHER),
    ]
    waiting = list(line.lanes[MAIN].spans())[1]
    assert (waiting.fd, waiting.peer, waiting.resource) == (7, "10.0.0.1:80", 4)
    assert (waiting.deadline, waiting.site) == (100 + 30 * MS, 5)
    assert line.lanes[MAIN].open == Span(410, State.RUNNING, site=5)
    assert (line.illegal, line.switches, line.running) == (0, 2, MAIN)


def test_the_hub_runs_polls_and_gives_way() -> None:
    line = timeline()
    line.apply([*begin(), OPEN, *read_wait(100, 400)])
    assert spans(line, HUB) == [
        (100, 105, State.RUNNING, 0),
        (105, 405, State.WAITING, POLL),
        (405, 410, State.RUNNING, 0),
    ]
    assert line.lanes[HUB].open is None


def test_names_numbers_and_parents_are_known() -> None:
    line = timeline()
    line.apply([*begin(), *spawn(5), Event(9, WORKER, Kind.GREENLET_NAME, arg=20)])
    assert (line.lanes[WORKER].label, line.lanes[WORKER].parent) == ("main", MAIN)
    line.apply([Event(9, WORKER, Kind.GREENLET_NAME, aux=1, arg=30)])
    assert line.lanes[WORKER].label == "work #3"


def test_a_long_run_is_a_stall_with_who_waited_and_where_it_was() -> None:
    line = timeline(stall_ns=50 * MS)
    line.apply([*begin(), OPEN, *read_wait(100, 400), *spawn(500)])
    assert line.stall_now(40 * MS) is None
    going_on = line.stall_now(60 * MS)
    assert going_on is not None
    assert (going_on.greenlet, going_on.end, going_on.ready, going_on.before) == (MAIN, 0, 1, 5)
    line.apply([Event(70 * MS, MAIN, Kind.GREENLET_PARK, Wait.TIMER, site=6)])
    (stall,) = line.stalls
    assert (stall.name, stall.start, stall.end, stall.ready) == ("main", 410, 70 * MS, 1)
    assert (stall.before, stall.after) == (5, 6)
    assert line.longest_stall == stall
    assert spans(line, MAIN)[-1][2] is State.STALLED
    line.apply([Event(71 * MS, HUB, Kind.POLL_BEGIN), Event(71 * MS, MAIN, Kind.GREENLET_READY, Ready.WATCHER)])
    line.apply([Event(72 * MS, HUB, Kind.POLL_END), Event(73 * MS, HUB, Kind.POLL_END)])
    assert [stall.ready for stall in line.stalls] == [3]
    assert line.longest_stall == line.stalls[-1]


def test_a_kill_or_a_timeout_may_overtake_a_ready_greenlet() -> None:
    line = timeline()
    line.apply([
        *begin(), *spawn(5),
        Event(6, WORKER, Kind.GREENLET_READY, Ready.KILL, arg=MAIN),
        Event(7, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
        Event(8, WORKER, Kind.GREENLET_THROW),
        Event(9, WORKER, Kind.GREENLET_EXIT, Exit.KILLED),
    ])  # fmt: skip
    assert line.illegal == 0
    assert spans(line, WORKER) == [(5, 8, State.READY, Ready.SPAWN), (8, 9, State.RUNNING, 1)]
    assert (line.lanes[WORKER].alive, line.lanes[WORKER].exit) == (False, Exit.KILLED)
    assert [lane.greenlet for lane in line.exited] == [WORKER]
    assert WORKER not in line.living


def test_what_cannot_be_is_counted_and_followed() -> None:
    line = timeline()
    line.apply([*begin(), *spawn(5), Event(6, WORKER, Kind.GREENLET_SWITCH)])
    assert (line.illegal, line.running) == (1, WORKER)  # two ran at once
    line.apply([Event(7, WORKER, Kind.GREENLET_SWITCH)])
    assert line.illegal == 2


def test_unknown_kinds_and_reasons_of_a_damaged_file_are_passed_over() -> None:
    line = timeline()
    line.apply([*begin(), Event(1, MAIN, 255), Event(2, MAIN, Kind.GREENLET_PARK, 99)])
    line.apply([Event(1 << 63, MAIN, Kind.GREENLET_READY), Event(3, MAIN, Kind.GREENLET_EXIT, 99)])
    assert line.lanes[MAIN].exit == 99


def test_latency_is_the_time_from_ready_to_running() -> None:
    line = timeline()
    line.apply([*begin(), *read_wait(100, 400)])
    assert line.latency.quantile(0.99, 500) == 10


def test_what_ended_a_wait_is_told_in_words() -> None:
    line = timeline()
    line.apply([*begin(), OPEN, *read_wait(100, 400)])
    lane = line.lanes[MAIN]
    told = [woken_by(line, lane, span) for span in lane.spans()]
    assert told == [None, "fd 7 readable", "fd 7 readable"]
    assert lane.open is not None
    assert woken_by(line, lane, lane.open) == "fd 7 readable"


def test_after_a_gap_the_table_says_who_waits_and_events_say_the_rest() -> None:
    line = timeline()
    line.apply([*begin(), OPEN, *spawn(5), *read_wait(100, 400)])
    table = [
        slot(MAIN, "main", "waiting", since=1000, reason=Wait.READ, fd=7, peer="10.0.0.1:80", site=5),
        slot(9, "late", "waiting", since=9000, reason=Wait.TIMER),
    ]
    line.apply([Gap(50), Event(5000, HUB, Kind.POLL_BEGIN), Event(8000, 9, Kind.GREENLET_SWITCH)], table)
    assert (line.lost, line.gaps, line.illegal) == (50, 1, 0)
    main = line.lanes[MAIN].open
    assert main is not None
    assert (main.start, main.state, main.fd, main.peer) == (1000, State.WAITING, 7, "10.0.0.1:80")
    late = line.lanes[9]
    assert late.open is not None
    assert (late.label, late.open.start, late.open.state) == ("late", 8000, State.RUNNING)
    assert not line.lanes[WORKER].alive  # it is not in the table


def test_a_wait_that_outlasts_a_gap_is_one_wait() -> None:
    line = timeline()
    line.apply([*begin(), *spawn(5), Event(10, MAIN, Kind.GREENLET_PARK, Wait.READ), Event(50, HUB, Kind.POLL_END)])
    table = [slot(HUB, "hub", "spawned", since=0, spawn_reason=Spawn.HUB),
             slot(MAIN, "main", "waiting", since=10, reason=Wait.READ),
             slot(WORKER, "work", "ready", since=5)]  # fmt: skip
    line.apply([Gap(50), Event(100, HUB, Kind.POLL_BEGIN)], table)
    assert line.ready_count == 1
    line.apply([Event(200, MAIN, Kind.GREENLET_READY, Ready.WATCHER)])
    assert spans(line, MAIN) == [(0, 10, State.RUNNING, 0), (10, 200, State.WAITING, Wait.READ)]
    assert line.lanes[MAIN].shares(0, 200, 200) == (10, 0, 190)
    assert line.ready_count == 2


def test_a_greenlet_that_the_table_missed_lives_on_with_its_next_event() -> None:
    line = timeline()
    line.apply([*begin(), *spawn(5), *spawn(5, 4)])
    line.apply([Gap(9), Event(100, HUB, Kind.POLL_BEGIN)], [slot(MAIN, "main", "running", since=0)])
    assert [lane.greenlet for lane in line.exited] == [WORKER, 4]
    line.apply(
        [
            Event(200, 4, Kind.GREENLET_SWITCH),
            Event(300, 4, Kind.GREENLET_EXIT),
            Event(400, WORKER, Kind.GREENLET_READY),
        ]
    )
    assert (line.lanes[WORKER].alive, WORKER in line.living) == (True, True)
    ended = [lane.ended_at for lane in line.exited]
    assert ended == sorted(ended)
    assert line.exited[-1].greenlet == 4


def slot(greenlet: int, name: str, state: str, since: int, **facts: object) -> GreenletSlot:
    values: dict[str, object] = {
        "numbered": False, "parent": 0, "spawn_reason": Spawn.GREENLET, "reason": 0, "resource": 0, "fd": None,
        "peer": "", "deadline_ns": 0, "site": 0, "spawn_site": 0, "run_ns": 0, "switches": 0,
    }  # fmt: skip
    return GreenletSlot(greenlet=greenlet, name=name, state=state, since_ns=since, **{**values, **facts})  # type: ignore[arg-type]


def test_memory_is_bounded_and_what_is_forgotten_is_said() -> None:
    line = timeline(keep_spans=1000)
    line.apply(begin())
    for number in range(1000):
        line.apply(read_wait(1000 + number * 1000, 1500 + number * 1000))
    kept = sum(len(lane) for lane in line.lanes.values())
    assert kept <= 1010
    assert line.forgotten_until > 0
    assert line.lanes[MAIN].begins >= line.forgotten_until - 1000


def test_memory_is_bounded_though_a_greenlet_waits_since_the_beginning() -> None:
    line = timeline(keep_spans=1000)
    line.apply([*begin(), *spawn(5), Event(6, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
                Event(7, WORKER, Kind.GREENLET_SWITCH), Event(8, WORKER, Kind.GREENLET_PARK, Wait.READ),
                Event(9, MAIN, Kind.GREENLET_READY), Event(10, MAIN, Kind.GREENLET_SWITCH)])  # fmt: skip
    for number in range(2000):
        line.apply(read_wait(1000 + number * 1000, 1500 + number * 1000))
        assert sum(len(lane) for lane in line.lanes.values()) <= 1010
    assert line.lanes[WORKER].open == Span(8, State.WAITING, Wait.READ)


def test_greenlets_that_live_for_a_moment_do_not_fill_the_memory() -> None:
    line = timeline(keep_spans=1000)
    line.apply(begin())
    for number in range(500):
        at, greenlet = 1000 + number * 1000, 100 + number
        line.apply([Event(at, greenlet, Kind.GREENLET_SPAWN), Event(at + 1, greenlet, Kind.GREENLET_EXIT)])
        assert len(line.lanes) < 100
    assert len(line.exited) < 100


def test_watchers_whose_end_was_lost_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "_KEEP_WATCHERS", 100)
    line = timeline()
    line.apply([Event(1, MAIN, Kind.WATCHER_OPEN, Watch.READ, arg=pack(number, 7)) for number in range(1, 1000)])
    assert len(line.watchers) <= 100
    assert 999 in line.watchers


def test_exited_lanes_are_forgotten_whole() -> None:
    line = timeline(keep_spans=100)
    line.apply(begin())
    for number in range(100):
        at, greenlet = 1000 + number * 1000, 100 + number
        line.apply([*spawn(at, greenlet), Event(at + 1, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
                    Event(at + 2, greenlet, Kind.GREENLET_SWITCH), Event(at + 9, greenlet, Kind.GREENLET_EXIT),
                    Event(at + 9, MAIN, Kind.GREENLET_READY, Ready.GREENLET, arg=greenlet),
                    Event(at + 10, MAIN, Kind.GREENLET_SWITCH)])  # fmt: skip
    assert 100 not in line.lanes
    assert 199 in line.lanes
    assert len(line.exited) < 100
    assert line.illegal == 0


kinds = st.sampled_from([*Kind, 77])
some_events = st.lists(
    st.one_of(
        st.builds(
            Event,
            time_ns=st.integers(0, 300 * MS) | st.integers(0, (1 << 64) - 1),
            greenlet=st.integers(1, 5),
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
        lambda greenlet, state, since, fd, end: slot(
            greenlet, "?", state, since, fd=fd, deadline_ns=end, run_ns=end, spawn_reason=greenlet & 1
        ),
        st.integers(1, 7),
        st.sampled_from(["free", "spawned", "ready", "running", "waiting"]),
        st.integers(0, 300 * MS) | st.integers(0, (1 << 64) - 1),
        st.none() | st.integers(0, (1 << 32) - 2),
        st.integers(0, (1 << 64) - 1),
    ),
    max_size=6,
)


def seen(line: Timeline) -> object:
    return (
        {number: (lane.label, lane.exit, lane.switches, lane.run_time, lane.open, list(lane.spans()))
         for number, lane in line.lanes.items()},
        line.events, line.lost, line.illegal, line.switches, list(line.stalls), line.watchers, line.ready_count,
        line.running, line.latency.quantile(0.5, 300 * MS), line.away.values(0, 300 * MS, 50),
    )  # fmt: skip


@given(some_events, st.lists(st.integers(0, 120), max_size=5))
def test_folding_in_pieces_gives_what_folding_at_once_gives(records: list[Event | Gap], cuts: list[int]) -> None:
    records.sort(key=lambda record: record.time_ns if isinstance(record, Event) else 0)
    # A reader gives a gap only together with the event after it.
    records = [r for r in records if isinstance(r, Event)]
    at_once, in_pieces = timeline(), timeline()
    at_once.apply(records)
    edges = [0, *sorted(cut for cut in cuts if cut <= len(records)), len(records)]
    for first, last in itertools.pairwise(edges):
        in_pieces.apply(records[first:last])
    assert seen(at_once) == seen(in_pieces)


@given(some_events, some_slots)
def test_no_sequence_of_events_breaks_the_fold_and_spans_never_overlap(
    records: list[Event | Gap], table: list[GreenletSlot]
) -> None:
    line = timeline()
    line.apply(records, table)
    for lane in line.lanes.values():
        ends = 0
        for span in lane.spans():
            assert ends <= span.start <= span.end
            ends = span.end
    assert set(line.living) == {lane.greenlet for lane in line.lanes.values() if lane.alive}
    assert line.ready_count == sum(lane.life is Life.READY for lane in line.lanes.values())
    ended = [lane.ended_at for lane in line.exited]
    assert ended == sorted(ended)


def test_a_timer_says_when_it_is_due() -> None:
    line = timeline()
    line.apply([
        *begin(),
        Event(100, MAIN, Kind.WATCHER_START, Watch.TIMER, arg=pack(9, 20)),
        Event(110, MAIN, Kind.GREENLET_PARK, Wait.TIMER, arg=9),
    ])  # fmt: skip
    assert line.lanes[MAIN].open == Span(110, State.WAITING, Wait.TIMER, resource=9, deadline=100 + 20 * MS)


def test_timeouts_change_no_state() -> None:
    line = timeline()
    line.apply([*begin(), Event(3, MAIN, Kind.TIMEOUT_START, Timeouts.SOCKET), Event(4, MAIN, Kind.TIMEOUT_CANCEL)])
    assert spans(line, MAIN) == []
