"""The greenlet table as rows: who is listed, in which order, and in which words."""

from __future__ import annotations

from pathlib import Path

from greenscope.trace.analysis.table import SORTS, Row, counts, hub_state, rows, stalled_in, waiting_on
from greenscope.trace.events import Kind, Ready, Spawn, Wait
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap, GreenletSlot, Site
from tests.trace.rings import begin, new_ring

SITES = {3: Site("app.py", 7, "work"), 4: Site("app.py", 9, "main")}


def slot(greenlet: int, state: str, since_ns: int, **fields: object) -> GreenletSlot:
    given: dict[str, object] = {
        "name": "work", "numbered": True, "parent": 2, "spawn_reason": Spawn.GREENLET, "reason": 0, "resource": 0,
        "fd": None, "peer": "", "deadline_ns": 0, "site": 0, "spawn_site": 4, "run_ns": 0, "switches": 0,
    }  # fmt: skip
    return GreenletSlot(greenlet=greenlet, state=state, since_ns=since_ns, **(given | fields))  # type: ignore[arg-type]


def table(*slots: GreenletSlot, now_ns: int = 1000) -> list[Row]:
    return rows(slots, SITES.get, now_ns)


def test_who_runs_comes_first_then_who_is_ready_then_who_has_waited_longest() -> None:
    found = table(
        slot(5, "spawned", 1),
        slot(6, "waiting", 500),
        slot(7, "waiting", 100),
        slot(8, "ready", 900),
        slot(9, "running", 950),
        slot(1, "waiting", 0, spawn_reason=Spawn.HUB),
    )
    assert [row.greenlet for row in found] == [9, 8, 7, 6, 5]
    assert counts(found) == {"running": 1, "ready": 1, "waiting": 2, "spawned": 1}


def test_times_are_relative_to_the_look_and_never_negative_but_a_deadline_that_is_over() -> None:
    late, early, ahead = table(
        slot(5, "waiting", 400, deadline_ns=700),
        slot(6, "waiting", 400, deadline_ns=1700),
        slot(7, "waiting", 1001),  # it parked after the clock was read
    )
    assert (late.for_ns, late.deadline_ns) == (600, -300)
    assert (early.deadline_ns, ahead.deadline_ns) == (700, None)
    assert ahead.for_ns == 0


def test_the_run_that_goes_on_counts() -> None:
    (row,) = table(slot(5, "running", 400, run_ns=50))
    assert row.run_ns == 650


def test_what_a_greenlet_waits_for_is_said_only_while_it_waits() -> None:
    wait = {"reason": Wait.READ, "fd": 7, "peer": "10.0.0.5:6379", "deadline_ns": 5000, "resource": 12}
    (waiting,) = table(slot(5, "waiting", 1, **wait))
    assert waiting_on(waiting) == "read fd 7 10.0.0.5:6379"
    (running,) = table(slot(5, "running", 1, **wait))
    assert (waiting_on(running), running.fd, running.peer, running.deadline_ns) == ("", None, "", None)
    (ready,) = table(slot(5, "ready", 1, **(wait | {"reason": Ready.TIMEOUT})))
    assert (waiting_on(ready), ready.fd) == ("its turn (timeout)", None)


def test_a_number_is_shown_of_what_others_may_wait_for_as_well() -> None:
    lock, timer = table(
        slot(5, "waiting", 1, reason=Wait.LOCK, resource=12), slot(6, "waiting", 1, reason=Wait.TIMER, resource=13)
    )
    assert (waiting_on(lock), waiting_on(timer)) == ("lock 12", "timer")


def test_a_line_is_where_it_parked_or_else_where_it_was_spawned() -> None:
    parked, spawned, unknown = table(
        slot(5, "waiting", 1, site=3), slot(6, "spawned", 1), slot(7, "spawned", 2, spawn_site=99)
    )
    assert (parked.site, spawned.site, unknown.site) == (SITES[3], SITES[4], None)


def test_a_name_from_a_function_is_shown_with_the_greenlets_number() -> None:
    numbered, named = table(slot(5, "waiting", 1), slot(6, "waiting", 1, name="pump", numbered=False))
    assert (numbered.name, named.name) == ("work #5", "pump")


def test_numbers_of_reasons_and_states_that_nobody_knows_are_no_trouble() -> None:
    (row,) = table(slot(5, "waiting", 1, reason=250), slot(6, "free", 1))
    assert (row.greenlet, row.reason) == (5, "other")


def test_every_order_has_all_rows() -> None:
    found = table(*(slot(number, "waiting", number, switches=number, run_ns=number) for number in range(5, 9)))
    for key in SORTS.values():
        assert sorted(row.greenlet for row in sorted(found, key=key)) == [5, 6, 7, 8]
    assert [row.greenlet for row in sorted(found, key=SORTS["run-time"])] == [8, 7, 6, 5]
    assert [row.greenlet for row in sorted(found, key=SORTS["since"])] == [5, 6, 7, 8]


def test_the_newest_poll_says_what_the_hub_does() -> None:
    events: list[Event | Gap] = [
        Gap(3), Event(10, 1, Kind.POLL_BEGIN), Event(20, 1, Kind.POLL_END), Event(30, 2, Kind.GREENLET_SWITCH),
    ]  # fmt: skip
    away, polling = hub_state(events), hub_state(events[:2])
    assert away is not None
    assert polling is not None
    assert (away.polling, away.since_ns, polling.polling, polling.since_ns) == (False, 20, True, 10)
    assert hub_state([Gap(1), Event(30, 2, Kind.GREENLET_SWITCH)]) is None


def test_a_stall_that_goes_on_says_where_it_was_seen_and_one_that_ended_does_not() -> None:
    begun = Event(10, 5, Kind.STALL_BEGIN, text="/lib/re.py\t166\tmatch\n/srv/app.py\t13\treport\n… cut")
    assert stalled_in([Gap(1), begun, Event(20, 6, Kind.GREENLET_READY)]) == (
        Site("/lib/re.py", 166, "match"),
        Site("/srv/app.py", 13, "report"),
        Site("… cut", 0, ""),
    )
    assert stalled_in([begun, Event(20, 5, Kind.STALL_END)]) == ()


def test_the_rows_of_a_real_ring(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    _, main = begin(ring)
    ring.spawn(Spawn.GREENLET, ring.string("work"), 1, main)
    ring.park(Wait.READ, 9, 7, 2, b"peer:1")
    reader = RingReader(tmp_path / "a.gsr")
    found = rows(reader.greenlets(), reader.site, 3000)
    assert [(row.name, row.state, waiting_on(row), row.for_ns) for row in found] == [
        ("main", "waiting", "read fd 7 peer:1", 2000),
        ("work #3", "spawned", "", 2000),
    ]
    assert found[0].site is not None
    assert found[0].site.file == __file__
    reader.close()
