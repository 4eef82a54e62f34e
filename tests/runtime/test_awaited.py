"""Whom a wait for a lock, or for an end, is up to: the greenlet table says it, and keeps it right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, sleep, spawn
from greenscope.runtime.lock import BoundedSemaphore, Lock, RLock, Semaphore
from greenscope.runtime.pool import Pool
from greenscope.trace.events import NOT_STARTED, Kind, Wait, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event as Record

Table = Callable[[], dict[int, int]]


@pytest.fixture
def awaits(hub: runtime.Hub) -> Table:
    """Gives whom each greenlet that waits for one other waits for, by their numbers."""

    def read() -> dict[int, int]:
        assert hub.recorder.path is not None
        with contextlib.closing(RingReader(hub.recorder.path)) as reader:
            return {slot.greenlet: slot.awaits for slot in reader.greenlets() if slot.awaits}

    return read


def number(greenlet: Any) -> int:
    return int(greenlet._handle) & ((1 << 40) - 1)


MAIN = 2


def take(lock: Any) -> None:
    lock.acquire()


def hold(lock: Any) -> None:
    with lock:
        sleep(60)


@pytest.mark.parametrize("make", [Lock, RLock, BoundedSemaphore])
def test_who_waits_for_a_lock_waits_for_its_holder(awaits: Table, make: Any) -> None:
    lock = make()
    with lock:
        waiter = spawn(take, lock)
        sleep(0)
        assert awaits() == {number(waiter): MAIN}
    waiter.join()


def test_who_waits_for_a_semaphore_of_many_waits_for_nobody(awaits: Table) -> None:
    for semaphore in (BoundedSemaphore(2), Semaphore(1)):
        while semaphore.acquire(blocking=False):
            pass
        waiter = spawn(semaphore.acquire)
        sleep(0)
        assert awaits() == {}
        semaphore.release()
        waiter.join()


def test_the_first_in_line_is_told_when_the_lock_goes_to_another(awaits: Table) -> None:
    def hold(go: Event) -> None:
        with lock:
            go.wait()

    lock, goes = Lock(), [Event() for _ in range(3)]
    lock.acquire()
    first, second, third = holders = [spawn(hold, go) for go in goes]
    sleep(0)
    assert awaits() == {number(one): MAIN for one in holders}
    lock.release()
    sleep(0)
    assert awaits() == {number(second): number(first), number(third): MAIN}
    goes[0].set()
    first.join()
    assert awaits() == {number(third): number(second)}
    goes[1].set()
    goes[2].set()
    runtime.joinall(holders)


def test_when_the_first_gives_up_the_next_is_told(awaits: Table) -> None:
    lock = Lock()
    lock.acquire()
    first, second, third = (spawn(hold, lock) for _ in range(3))
    sleep(0)
    lock.release()
    sleep(0)
    second.kill()
    assert awaits() == {number(third): number(first)}
    runtime.killall([first, third])


def test_a_lock_that_others_than_its_holder_release_is_a_signal_and_up_to_nobody(awaits: Table) -> None:
    lock = Lock()
    lock.acquire()
    waiters = [spawn(take, lock) for _ in range(3)]
    sleep(0)
    lock.release()
    sleep(0)
    lock.release()  # which the first of them holds
    sleep(0)
    assert awaits() == {}
    lock.release()
    runtime.joinall(waiters)


def test_a_lock_that_is_taken_twice_may_be_a_signal_unless_it_is_with_a_with(awaits: Table) -> None:
    def twice() -> None:
        with lock, lock:
            pass

    def signal() -> None:
        other.acquire()
        other.acquire()

    lock, other = Lock(), Lock()
    stuck, waits = spawn(twice), spawn(signal)
    sleep(0)
    assert awaits() == {number(stuck): number(stuck)}
    other.release()
    waits.join()
    stuck.kill()


def test_a_wait_for_one_end_is_at_that_ones_number_and_one_for_many_is_not(hub: runtime.Hub) -> None:
    def joins() -> list[tuple[bool, int]]:
        """Of each wait for an end: whether it has a number, and whom it named."""
        assert hub.recorder.path is not None
        with contextlib.closing(RingReader(hub.recorder.path)) as reader:
            parks = [one for one in reader.read() if isinstance(one, Record) and one.kind == Kind.GREENLET_PARK]
            return [(unpack(one.arg)[0] > 0, one.aux) for one in parks if one.reason == Wait.JOIN]

    over = spawn(sleep, 0)
    over.join()
    one, another, both = [spawn(sleep, 0)], [over, spawn(sleep, 0.01)], [spawn(sleep, 0.02), spawn(sleep, 0.03)]
    for workers in (one, another, both):
        runtime.joinall(workers)
        assert joins()[-1] == (workers is not both, number(workers[-1]))
    assert joins()[0] == (True, number(over))


def test_who_joins_waits_for_that_greenlet(awaits: Table) -> None:
    worker = spawn(sleep, 60)
    joiner, getter = spawn(worker.join), spawn(worker.get)
    sleep(0)
    assert awaits() == {number(joiner): number(worker), number(getter): number(worker)}
    worker.kill()
    runtime.joinall([joiner, getter])


def test_who_joins_a_greenlet_that_was_not_started_is_told_when_it_is(awaits: Table) -> None:
    worker = runtime.Greenlet(sleep, 60)
    joiner = spawn(worker.join)
    sleep(0)
    assert awaits() == {number(joiner): NOT_STARTED}
    worker.start()
    assert awaits() == {number(joiner): number(worker)}
    worker.kill()
    joiner.join()


def test_who_joins_all_waits_for_the_last_that_has_not_ended(awaits: Table) -> None:
    workers = [spawn(sleep, 60) for _ in range(3)]
    joiner, any_of = spawn(runtime.joinall, workers), spawn(runtime.joinall, workers, count=1)
    sleep(0)
    assert awaits() == {number(joiner): number(workers[2])}
    workers[1].kill()
    any_of.join()
    assert awaits() == {number(joiner): number(workers[2])}
    workers[2].kill()
    assert awaits() == {number(joiner): number(workers[0])}
    workers[0].kill()
    joiner.join()


def test_a_greenlet_that_was_joined_before_it_is_started_in_a_pool(awaits: Table) -> None:
    pool = Pool(2)
    worker = runtime.Greenlet(sleep, 60)
    joiner = spawn(worker.join)
    sleep(0)
    pool.start(worker)
    assert awaits() == {number(joiner): number(worker)}
    pool.kill()
    joiner.join()
