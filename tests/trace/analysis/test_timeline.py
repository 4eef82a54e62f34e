"""Folding events into lanes: states, stalls, what is illegal, what was lost; in pieces as at once."""

from __future__ import annotations

import pytest

from greenscope.trace.analysis import POLL, Span, State, Timeline
from greenscope.trace.analysis import watchers as watchers_module
from greenscope.trace.analysis.wake import Wake, wake_of
from greenscope.trace.events import Exit, Kind, Ready, Spawn, Timeouts, Wait, Watch, pack
from greenscope.trace.records import Event, Gap, GreenletSlot
from tests.trace.analysis.batches import apply

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
    apply(line, [*begin(), OPEN, *read_wait(100, 400)])
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
    apply(line, [*begin(), OPEN, *read_wait(100, 400)])
    assert spans(line, HUB) == [
        (100, 105, State.RUNNING, 0),
        (105, 405, State.WAITING, POLL),
        (405, 410, State.RUNNING, 0),
    ]
    assert line.lanes[HUB].open is None


def test_names_numbers_and_parents_are_known() -> None:
    line = timeline()
    apply(line, [*begin(), *spawn(5), Event(9, WORKER, Kind.GREENLET_NAME, arg=20)])
    assert (line.lanes[WORKER].label, line.lanes[WORKER].parent) == ("main", MAIN)
    apply(line, [Event(9, WORKER, Kind.GREENLET_NAME, aux=1, arg=30)])
    assert line.lanes[WORKER].label == "work #3"


def test_a_long_run_is_a_stall_with_who_waited_and_where_it_was() -> None:
    line = timeline(stall_ns=50 * MS)
    apply(line, [*begin(), OPEN, *read_wait(100, 400), *spawn(500)])
    assert line.stall_now(40 * MS) is None
    going_on = line.stall_now(60 * MS)
    assert going_on is not None
    assert (going_on.greenlet, going_on.end, going_on.ready, going_on.before) == (MAIN, 0, 1, 5)
    apply(line, [Event(70 * MS, MAIN, Kind.GREENLET_PARK, Wait.TIMER, site=6)])
    (stall,) = line.stalls.kept
    assert (stall.name, stall.start, stall.end, stall.ready) == ("main", 410, 70 * MS, 1)
    assert (stall.before, stall.after) == (5, 6)
    assert line.stalls.longest == stall
    assert spans(line, MAIN)[-1][2] is State.STALLED
    apply(line, [Event(71 * MS, HUB, Kind.POLL_BEGIN), Event(71 * MS, MAIN, Kind.GREENLET_READY, Ready.WATCHER)])
    apply(line, [Event(72 * MS, HUB, Kind.POLL_END), Event(73 * MS, HUB, Kind.POLL_END)])
    assert [stall.ready for stall in line.stalls.kept] == [3]
    assert line.stalls.longest == line.stalls.kept[-1]


def test_a_kill_or_a_timeout_may_overtake_a_ready_greenlet() -> None:
    line = timeline()
    apply(line, [
        *begin(), *spawn(5),
        Event(6, WORKER, Kind.GREENLET_READY, Ready.KILL, arg=MAIN),
        Event(7, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
        Event(8, WORKER, Kind.GREENLET_THROW),
        Event(9, WORKER, Kind.GREENLET_EXIT, Exit.KILLED),
    ])  # fmt: skip
    assert line.illegal == 0
    assert spans(line, WORKER) == [(5, 8, State.READY, Ready.SPAWN), (8, 9, State.RUNNING, 1)]
    assert (line.lanes[WORKER].alive, line.lanes[WORKER].exit) == (False, Exit.KILLED)
    assert [lane.greenlet for lane in line.lanes.exited()] == [WORKER]
    assert WORKER not in {lane.greenlet for lane in line.lanes.living()}


def test_what_cannot_be_is_counted_and_followed() -> None:
    line = timeline()
    apply(line, [*begin(), *spawn(5), Event(6, WORKER, Kind.GREENLET_SWITCH)])
    assert (line.illegal, line.running) == (1, WORKER)  # two ran at once
    apply(line, [Event(7, WORKER, Kind.GREENLET_SWITCH)])
    assert line.illegal == 2


def test_unknown_kinds_and_reasons_of_a_damaged_file_are_passed_over() -> None:
    line = timeline()
    apply(line, [*begin(), Event(1, MAIN, 255), Event(2, MAIN, Kind.GREENLET_PARK, 99)])
    apply(line, [Event(1 << 63, MAIN, Kind.GREENLET_READY), Event(3, MAIN, Kind.GREENLET_EXIT, 99)])
    assert line.lanes[MAIN].exit == 99


def test_latency_is_the_time_from_ready_to_running() -> None:
    line = timeline()
    apply(line, [*begin(), *read_wait(100, 400)])
    assert line.latency.quantile(0.99, 500) == 10


def test_what_ended_a_wait_is_told() -> None:
    line = timeline()
    apply(line, [*begin(), OPEN, *read_wait(100, 400)])
    lane = line.lanes[MAIN]
    told = [wake_of(line, lane, span) for span in lane.spans()]
    by_fd_7 = Wake(Ready.WATCHER, Watch.READ, fd=7)
    assert told == [None, by_fd_7, by_fd_7]
    assert lane.open is not None
    assert wake_of(line, lane, lane.open) == by_fd_7


@pytest.mark.parametrize(
    ("reason", "arg", "wake"),
    [
        (Ready.GREENLET, MAIN, Wake(Ready.GREENLET, greenlet=MAIN)),
        (Ready.GREENLET, 0, Wake(Ready.GREENLET, greenlet=HUB)),
        (Ready.KILL, 77, Wake(Ready.KILL, greenlet=77)),
        (Ready.TIMEOUT, 5, Wake(Ready.TIMEOUT)),
        (Ready.WATCHER, 99, Wake(Ready.WATCHER)),
        (99, MAIN, Wake(99, greenlet=MAIN)),
    ],
)
def test_who_ended_a_wait_is_told_as_far_as_it_is_known(reason: int, arg: int, wake: Wake) -> None:
    line = timeline()
    apply(line, [*begin(), *spawn(5)[:2], Event(6, WORKER, Kind.GREENLET_READY, reason, arg=arg)])
    lane = line.lanes[WORKER]
    assert lane.open is not None
    assert wake_of(line, lane, lane.open) == wake


def test_after_a_gap_the_table_says_who_waits_and_events_say_the_rest() -> None:
    line = timeline()
    apply(line, [*begin(), OPEN, *spawn(5), *read_wait(100, 400)])
    table = [
        slot(MAIN, "main", "waiting", since=1000, reason=Wait.READ, fd=7, peer="10.0.0.1:80", site=5),
        slot(9, "late", "waiting", since=9000, reason=Wait.TIMER),
    ]
    apply(line, [Gap(50), Event(5000, HUB, Kind.POLL_BEGIN), Event(8000, 9, Kind.GREENLET_SWITCH)], table)
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
    apply(line, [*begin(), *spawn(5), Event(10, MAIN, Kind.GREENLET_PARK, Wait.READ), Event(50, HUB, Kind.POLL_END)])
    table = [slot(HUB, "hub", "spawned", since=0, spawn_reason=Spawn.HUB),
             slot(MAIN, "main", "waiting", since=10, reason=Wait.READ),
             slot(WORKER, "work", "ready", since=5)]  # fmt: skip
    apply(line, [Gap(50), Event(100, HUB, Kind.POLL_BEGIN)], table)
    assert line.ready_count == 1
    apply(line, [Event(200, MAIN, Kind.GREENLET_READY, Ready.WATCHER)])
    assert spans(line, MAIN) == [(0, 10, State.RUNNING, 0), (10, 200, State.WAITING, Wait.READ)]
    assert line.lanes[MAIN].shares(0, 200, 200) == (10, 0, 190)
    assert line.ready_count == 2


def test_a_greenlet_that_the_table_missed_lives_on_with_its_next_event() -> None:
    line = timeline()
    apply(line, [*begin(), *spawn(5), *spawn(5, 4)])
    apply(line, [Gap(9), Event(100, HUB, Kind.POLL_BEGIN)], [slot(MAIN, "main", "running", since=0)])
    assert [lane.greenlet for lane in line.lanes.exited()] == [WORKER, 4]
    apply(
        line,
        [
            Event(200, 4, Kind.GREENLET_SWITCH),
            Event(300, 4, Kind.GREENLET_EXIT),
            Event(400, WORKER, Kind.GREENLET_READY),
        ],
    )
    assert line.lanes[WORKER].alive
    ended = [lane.ended_at for lane in line.lanes.exited()]
    assert ended == sorted(ended)
    assert line.lanes.exited()[-1].greenlet == 4


def slot(greenlet: int, name: str, state: str, since: int, **facts: object) -> GreenletSlot:
    values: dict[str, object] = {
        "numbered": False, "parent": 0, "spawn_reason": Spawn.GREENLET, "reason": 0, "resource": 0, "fd": None,
        "peer": "", "deadline_ns": 0, "site": 0, "spawn_site": 0, "run_ns": 0, "switches": 0,
    }  # fmt: skip
    return GreenletSlot(greenlet=greenlet, name=name, state=state, since_ns=since, **{**values, **facts})  # type: ignore[arg-type]


def test_memory_is_bounded_and_what_is_forgotten_is_said() -> None:
    line = timeline(keep_spans=1000)
    apply(line, begin())
    for number in range(1000):
        apply(line, read_wait(1000 + number * 1000, 1500 + number * 1000))
    kept = sum(len(lane) for lane in line.lanes.values())
    assert kept <= 1010
    assert line.forgotten_until > 0
    assert line.lanes[MAIN].begins >= line.forgotten_until - 1000


def test_memory_is_bounded_though_a_greenlet_waits_since_the_beginning() -> None:
    line = timeline(keep_spans=1000)
    apply(line, [*begin(), *spawn(5), Event(6, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
                Event(7, WORKER, Kind.GREENLET_SWITCH), Event(8, WORKER, Kind.GREENLET_PARK, Wait.READ),
                Event(9, MAIN, Kind.GREENLET_READY), Event(10, MAIN, Kind.GREENLET_SWITCH)])  # fmt: skip
    for number in range(2000):
        apply(line, read_wait(1000 + number * 1000, 1500 + number * 1000))
        assert sum(len(lane) for lane in line.lanes.values()) <= 1010
    assert line.lanes[WORKER].open == Span(8, State.WAITING, Wait.READ)


def test_greenlets_that_live_for_a_moment_do_not_fill_the_memory() -> None:
    line = timeline(keep_spans=1000)
    apply(line, begin())
    for number in range(500):
        at, greenlet = 1000 + number * 1000, 100 + number
        apply(line, [Event(at, greenlet, Kind.GREENLET_SPAWN), Event(at + 1, greenlet, Kind.GREENLET_EXIT)])
        assert len(line.lanes) < 100
    assert len(line.lanes.exited()) < 100


def test_watchers_whose_end_was_lost_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers_module, "_KEEP", 100)
    line = timeline()
    apply(line, [Event(1, MAIN, Kind.WATCHER_OPEN, Watch.READ, arg=pack(number, 7)) for number in range(1, 1000)])
    assert len(line.watchers) <= 100
    assert line.watchers.get(999) is not None


def test_exited_lanes_are_forgotten_whole() -> None:
    line = timeline(keep_spans=100)
    apply(line, begin())
    for number in range(100):
        at, greenlet = 1000 + number * 1000, 100 + number
        apply(line, [*spawn(at, greenlet), Event(at + 1, MAIN, Kind.GREENLET_PARK, Wait.JOIN),
                    Event(at + 2, greenlet, Kind.GREENLET_SWITCH), Event(at + 9, greenlet, Kind.GREENLET_EXIT),
                    Event(at + 9, MAIN, Kind.GREENLET_READY, Ready.GREENLET, arg=greenlet),
                    Event(at + 10, MAIN, Kind.GREENLET_SWITCH)])  # fmt: skip
    assert 100 not in line.lanes
    assert 199 in line.lanes
    assert len(line.lanes.exited()) < 100
    assert line.illegal == 0


def test_a_timer_says_when_it_is_due() -> None:
    line = timeline()
    apply(line, [
        *begin(),
        Event(100, MAIN, Kind.WATCHER_START, Watch.TIMER, arg=pack(9, 20)),
        Event(110, MAIN, Kind.GREENLET_PARK, Wait.TIMER, arg=9),
    ])  # fmt: skip
    assert line.lanes[MAIN].open == Span(110, State.WAITING, Wait.TIMER, resource=9, deadline=100 + 20 * MS)


def test_timeouts_change_no_state() -> None:
    line = timeline()
    apply(line, [*begin(), Event(3, MAIN, Kind.TIMEOUT_START, Timeouts.SOCKET), Event(4, MAIN, Kind.TIMEOUT_CANCEL)])
    assert spans(line, MAIN) == []
