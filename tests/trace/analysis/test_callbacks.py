"""Watchers with functions: who started them, and whether anything came of the call."""

from __future__ import annotations

import pytest

from greenscope.trace.analysis.callbacks import Called
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Kind, Ready, Spawn, Wait, Watch, pack
from greenscope.trace.records import Event
from tests.trace.analysis.batches import batch
from tests.trace.analysis.test_holders import NoNumbers

HUB, MAIN, ONE, TWO = 1, 2, 3, 4
WATCHER, FD = 7, 5
ABOUT = pack(WATCHER, FD)

STARTS = [
    Event(1, HUB, Kind.GREENLET_SPAWN, Spawn.HUB),
    Event(2, ONE, Kind.GREENLET_SWITCH),
    Event(3, ONE, Kind.WATCHER_START, Watch.READ, arg=ABOUT),
    Event(4, ONE, Kind.GREENLET_PARK, Wait.OTHER),
    Event(5, HUB, Kind.POLL_BEGIN, aux=1),
]
FIRES = [
    Event(6, HUB, Kind.WATCHER_FIRE, Watch.READ, arg=ABOUT),
    Event(7, HUB, Kind.POLL_END, aux=1),
]
STOPS = [Event(9, HUB, Kind.WATCHER_STOP, Watch.READ, arg=ABOUT)]
GOES_ON = [
    Event(10, HUB, Kind.POLL_BEGIN),
    Event(11, HUB, Kind.POLL_END),
    Event(12, TWO, Kind.GREENLET_SWITCH),
    Event(13, TWO, Kind.GREENLET_PARK, Wait.YIELD),
    Event(14, HUB, Kind.POLL_BEGIN),
    Event(15, HUB, Kind.GREENLET_READY, Ready.OTHER),  # of a later round: nothing that this call did
]


def called(events: list[Event], size: int = 1000, by: int = ONE, lost: int = 0) -> list[Called]:
    model = Model(0, NoNumbers())
    for begin in range(0, len(events), size):
        model.apply(batch(events[begin : begin + size], 0 if begin else lost))
    return model.callbacks.by(by, 0)


@pytest.mark.parametrize("size", range(1, 8))
def test_a_call_that_nothing_came_of_is_idle_however_the_events_are_parted(size: int):
    assert called([*STARTS, *FIRES, *STOPS, *GOES_ON], size) == [Called(WATCHER, 3, 6, 9, FD, Watch.READ, True)]


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize(
    "did",
    [
        Event(8, ONE, Kind.GREENLET_READY, Ready.OTHER),
        Event(8, TWO, Kind.GREENLET_READY, Ready.GREENLET, arg=HUB),
        Event(8, TWO, Kind.GREENLET_SPAWN, Spawn.GREENLET, arg=HUB),
        Event(8, HUB, Kind.WATCHER_START, Watch.TIMER, arg=pack(9, 10)),
    ],
    ids=["ready", "gave", "spawned", "started"],
)
def test_a_call_that_something_came_of_is_not(did: Event, size: int):
    (one,) = called([*STARTS, *FIRES, did, *STOPS, *GOES_ON], size)
    assert not one.idle


def test_what_others_do_in_that_round_did_not_come_of_the_call():
    other = [Event(8, MAIN, Kind.GREENLET_SPAWN, Spawn.GREENLET, arg=TWO)]
    (one,) = called([*STARTS, *FIRES, *other, *STOPS, *GOES_ON])
    assert one.idle


def test_as_long_as_the_hub_has_not_gone_round_it_is_not_known_what_came_of_a_call():
    (one,) = called([*STARTS, *FIRES, *STOPS])
    assert (one.fired, one.over, one.idle) == (6, 9, False)


def test_a_watcher_that_is_started_again_has_not_fired():
    again = [Event(20, ONE, Kind.WATCHER_START, Watch.READ, arg=ABOUT), Event(21, ONE, Kind.GREENLET_PARK, Wait.OTHER)]
    (one,) = called([*STARTS, *FIRES, *STOPS, *GOES_ON, *again])
    assert (one.started, one.fired, one.over, one.idle) == (20, 0, 0, False)


def test_who_waits_on_the_watcher_itself_needs_no_function():
    events = [
        Event(2, ONE, Kind.GREENLET_SWITCH),
        Event(3, ONE, Kind.WATCHER_START, Watch.READ, arg=ABOUT),
        Event(3, ONE, Kind.GREENLET_PARK, Wait.READ, aux=FD + 1, arg=pack(WATCHER, 0)),
    ]
    assert called(events) == []


def test_what_was_started_before_a_loss_is_forgotten():
    model = Model(0, NoNumbers())
    model.apply(batch(STARTS))
    assert len(model.callbacks) == 1
    model.apply(batch(FIRES, 5))
    assert len(model.callbacks) == 0
