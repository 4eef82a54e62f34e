"""Which runs are called too long: not those that had no processor, nor those that the table says are over."""

from __future__ import annotations

from greenscope.trace.analysis.diagnoses.long_runs import long_runs
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Blocked, Kind, Spawn, Wait
from greenscope.trace.records import Event, GreenletSlot, Site
from tests.trace.analysis.batches import batch

MS = 1_000_000


class Numbers:
    """Nothing is known of any number."""

    def string(self, number: int) -> str:
        return {1: "hub", 2: "serve"}.get(number, "")

    def site(self, number: int) -> Site | None:
        return None

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
