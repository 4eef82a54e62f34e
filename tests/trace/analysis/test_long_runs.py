"""Which runs are called too long: not those that had no processor, nor those that the table says are over."""

from __future__ import annotations

from greenscope.trace.analysis.diagnoses.long_runs import long_runs
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Blocked, Kind, Ready, Spawn, Wait
from greenscope.trace.records import Event, GreenletSlot, Site
from tests.trace.analysis.batches import batch

MS = 1_000_000


class Numbers:
    """Nothing is known of any number."""

    def string(self, number: int) -> str:
        return {1: "hub", 2: "serve", 3: "main", 4: "report"}.get(number, "")

    def site(self, number: int) -> Site | None:
        return Site("/srv/app.py", number, "wait") if number else None

    def stack(self, number: int) -> list[Site]:
        return []


def begun() -> list[Event]:
    """A greenlet that began to run after a millisecond."""
    return [
        Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 1, Kind.GREENLET_NAME, arg=1),
        Event(0, 2, Kind.GREENLET_SPAWN), Event(0, 2, Kind.GREENLET_NAME, arg=2),
        Event(MS, 2, Kind.GREENLET_SWITCH),
    ]  # fmt: skip


def slot(state: str, since: int) -> GreenletSlot:
    return GreenletSlot(2, "serve", False, 1, 0, state, 0, since, 0, None, "", 0, 0, 0, 0, 1)


def lengths(events: list[Event], now: int, *slots: GreenletSlot) -> list[int]:
    """How long each run was that is called too long, in milliseconds."""
    model = Model(0, Numbers())
    model.apply(batch(events))
    model.look(slots, now, "live")
    return [run.lasted(now) // MS for run in long_runs(model)]


def stall(computed_us: int, blocked: Blocked = Blocked.RUNNING, took: int = 200) -> list[Event]:
    """A run of so many milliseconds that the watchdog saw, and how much was computed in it."""
    return [
        *begun(),
        Event(101 * MS, 2, Kind.STALL_BEGIN, blocked, site=min(computed_us, 100_000) + 1, arg=MS, text="/a.py\t1\tf"),
        Event((took + 1) * MS, 2, Kind.STALL_END, site=computed_us + 1, arg=took * MS),
        Event((took + 1) * MS, 2, Kind.GREENLET_PARK, Wait.TIMER),
    ]


def test_a_run_that_computes_is_one():
    assert lengths(stall(180_000), 300 * MS) == [200]


def test_a_run_whose_thread_had_no_processor_is_none_however_long_it_took():
    assert lengths(stall(20_000), 300 * MS) == []


def test_a_run_that_had_a_processor_for_a_stalls_time_is_one_on_a_busy_machine_too():
    assert lengths(stall(150_000, took=900), 1000 * MS) == [900]


def test_a_thread_that_waits_in_a_call_computes_nothing_and_is_one_all_the_same():
    assert lengths(stall(100, Blocked.SLEEP), 300 * MS) == [200]


def test_what_goes_on_is_one_as_soon_as_its_stack_is_known_and_at_last_without():
    events = [*begun(), Event(101 * MS, 2, Kind.STALL_BEGIN, Blocked.RUNNING, arg=MS, text="/a.py\t1\tf")]
    assert lengths(events, 130 * MS, slot("running", MS)) == [129]
    assert lengths(begun(), 500 * MS, slot("running", MS)) == [499]


def test_what_the_table_says_is_over_is_none_though_its_end_was_not_read_yet():
    assert lengths(begun(), 500 * MS, slot("running", 400 * MS)) == []
    assert lengths(begun(), 500 * MS, slot("waiting", 300 * MS)) == []


def started(took: int) -> list[Event]:
    """A main greenlet that ran for so many milliseconds before it waited for the first time."""
    return [
        Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 1, Kind.GREENLET_NAME, arg=1),
        Event(1, 2, Kind.GREENLET_SPAWN, Spawn.MAIN), Event(1, 2, Kind.GREENLET_NAME, arg=3),
        Event(1, 2, Kind.GREENLET_SWITCH), Event(took * MS, 2, Kind.GREENLET_PARK, Wait.EVENT, site=40),
    ]  # fmt: skip


def later(greenlet: int, name: int, at: int, took: int, stack: str = "") -> list[Event]:
    """A greenlet that is spawned, runs, is seen if there is a stack, and waits in line 50; in milliseconds."""
    seen = [
        Event((at + 100) * MS, greenlet, Kind.STALL_BEGIN, Blocked.RUNNING, arg=at * MS, text=stack),
        Event((at + took) * MS, greenlet, Kind.STALL_END, arg=took * MS),
    ]
    return [
        Event(at * MS, greenlet, Kind.GREENLET_SPAWN), Event(at * MS, greenlet, Kind.GREENLET_NAME, arg=name),
        Event(at * MS, greenlet, Kind.GREENLET_READY, Ready.SPAWN), Event(at * MS, greenlet, Kind.GREENLET_SWITCH),
        *(seen if stack else []), Event((at + took) * MS, greenlet, Kind.GREENLET_PARK, Wait.READ, site=50),
    ]  # fmt: skip


def lines(events: list[Event], now: int) -> list[int | None]:
    """The line that each long run is said to have been in."""
    model = Model(0, Numbers())
    model.apply(batch(events))
    model.look((), now, "ended")
    return [run.site.line if run.site is not None else None for run in long_runs(model)]


def test_a_program_that_starts_keeps_nobody_from_anything():
    assert lengths(started(800), 1000 * MS) == []


def test_who_was_spawned_before_and_had_to_wait_for_it_was_kept():
    head, parked = started(800)[:-1], started(800)[-1]
    waiting = [Event(MS, 3, Kind.GREENLET_SPAWN), Event(MS, 3, Kind.GREENLET_READY, Ready.SPAWN)]
    ran = [Event(800 * MS + 1, 3, Kind.GREENLET_SWITCH), Event(800 * MS + 2, 3, Kind.GREENLET_PARK, Wait.TIMER)]
    assert lengths([*head, *waiting, parked, *ran], 1000 * MS) == [799]


def test_what_was_seen_of_one_function_is_not_said_of_another():
    seen = later(3, 4, 1000, 300, "/srv/app.py\t7\treport")
    assert lines([*started(800), *seen, *later(4, 2, 2000, 400)], 3000 * MS) == [7, None]


def test_a_first_run_that_was_not_seen_is_taken_for_that_of_another_of_its_function():
    seen = later(3, 4, 1000, 300, "/srv/app.py\t7\treport")
    assert lines([*started(800), *seen, *later(4, 4, 2000, 400)], 3000 * MS) == [7, 7]


def test_what_had_no_processor_says_nothing_of_what_was_not_seen():
    numbers = Event(1100 * MS, 3, Kind.STALL_BEGIN, Blocked.RUNNING, site=1001, arg=1000 * MS, text="/a.py\t7\tf")
    seen = later(3, 4, 1000, 150)
    seen[4:4] = [numbers, Event(1150 * MS, 3, Kind.STALL_END, site=1001, arg=150 * MS)]
    assert lines([*seen, *later(4, 4, 2000, 150)], 3000 * MS) == [None]


def test_one_line_alone_says_nothing_where_both_are_known():
    seen = later(3, 4, 1000, 300, "/srv/app.py\t7\treport")
    again = [
        Event(2000 * MS, 3, Kind.GREENLET_SWITCH), Event(2001 * MS, 3, Kind.GREENLET_PARK, Wait.TIMER, site=60),
        Event(2002 * MS, 3, Kind.GREENLET_SWITCH), Event(2402 * MS, 3, Kind.GREENLET_PARK, Wait.READ, site=70),
    ]  # fmt: skip
    assert lines([*seen, *again], 3000 * MS) == [7, 60]
