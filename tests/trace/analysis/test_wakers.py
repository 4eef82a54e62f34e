"""Who ended waits for a queue or an event: all that are known, or the word that there are others."""

from __future__ import annotations

from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.wakers import OTHERS
from greenscope.trace.events import Kind, Ready, Resource, Wait, Watch, pack
from greenscope.trace.records import Event
from tests.trace.analysis.batches import batch
from tests.trace.analysis.test_holders import NoNumbers

HUB, MAIN, GETTER = 1, 2, 3
QUEUE = 7


def model(*batches: list[Event], lost: int = 0) -> Model:
    made = Model(0, NoNumbers())
    for number, events in enumerate(batches):
        made.apply(batch(events, lost if number == 0 else 0))
    return made


def woken(at: int, by: int, why: Ready = Ready.GREENLET, resource: int = QUEUE) -> list[Event]:
    """Somebody waits, and is woken, and runs."""
    return [
        Event(at, GETTER, Kind.GREENLET_PARK, Wait.QUEUE, arg=pack(resource, 0)),
        Event(at + 1, GETTER, Kind.GREENLET_READY, why, arg=by),
        Event(at + 2, GETTER, Kind.GREENLET_SWITCH),
    ]


def times(made: Model, resource: int = QUEUE) -> dict[int, int]:
    return {who: waker.times for who, waker in made.wakers.of(resource).items()}


def test_who_wakes_is_counted_over_batches():
    made = model([*woken(10, MAIN), *woken(20, 5)], woken(30, 5))
    assert times(made) == {MAIN: 1, 5: 2}
    assert made.wakers.of(QUEUE)[5].last == 31


def test_a_wait_that_is_parted_by_a_batch_counts():
    events = woken(10, 5)
    assert times(model(events[:1], events[1:])) == {5: 1}


def test_another_thread_or_the_hub_is_somebody_who_may_come_again():
    assert times(model(woken(10, 0, Ready.OTHER))) == {OTHERS: 1}


def test_a_timeout_and_a_kill_give_nothing():
    assert times(model([*woken(10, 9, Ready.TIMEOUT), *woken(20, MAIN, Ready.KILL)])) == {}


def test_what_is_put_while_nobody_waits_counts_where_it_is_recorded():
    put = Event(10, 5, Kind.RESOURCE_RELEASE, Resource.QUEUE, arg=pack(QUEUE, 1))
    unlocked = Event(11, 5, Kind.RESOURCE_RELEASE, Resource.LOCK, arg=pack(8, 1))
    made = model([put, unlocked])
    assert times(made) == {5: 1}
    assert times(made, 8) == {}


def test_many_are_not_named():
    assert times(model([event for who in range(10, 15) for event in woken(who * 10, who)])) == {OTHERS: 5}


def test_after_a_loss_what_is_older_may_have_had_others():
    begun = Event(9, MAIN, Kind.WATCHER_OPEN, Watch.READ, arg=pack(20, 4))
    made = model([begun, *woken(10, 5), *woken(20, 5, resource=21)], lost=3)
    assert times(made) == {OTHERS: 0, 5: 1}
    assert times(made, 21) == {5: 1}


def test_it_stays_small_and_forgets_what_was_used_once():
    once = [event for number in range(100, 70_000) for event in woken(number * 10, 5, resource=number)]
    often = [event for number in range(3) for event in woken(number * 10, 5)]
    made = model(often, once)
    assert len(made.wakers) < 1 << 16
    assert times(made) == {5: 3}
    assert times(made, 100) == {}
    made.apply(batch(woken(10_000_000, 6, resource=100), 0))
    assert times(made, 100) == {OTHERS: 0, 6: 1}
