"""Waiting for many things: as they become ready, in time, and for nothing to be left."""

from __future__ import annotations

import gc
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, Event, Queue, Semaphore


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def test_things_are_given_as_they_become_ready():
    event, result, semaphore, worker = Event(), AsyncResult(), Semaphore(0), runtime.Greenlet(int)
    order = [semaphore, worker, event, result]

    def make_ready():
        semaphore.release()
        runtime.sleep(0.001)
        worker.start()
        runtime.sleep(0.001)
        event.set()
        runtime.sleep(0.001)
        result.set(1)

    runtime.spawn(make_ready)
    assert list(runtime.iwait([event, result, semaphore, worker])) == order
    assert semaphore.counter == 1


def test_what_is_ready_before_is_given_too():
    event, worker = Event(), runtime.spawn(int)
    event.set()
    worker.join()
    assert runtime.wait([event, worker]) == [event, worker]
    assert runtime.wait([worker, worker]) == [worker, worker]


def test_the_time_is_for_all_together_and_leaves_no_links():
    event, other = Event(), Event()
    event.set()
    assert runtime.wait([event, other], timeout=0.001) == [event]
    assert runtime.wait([other], timeout=0) == []
    assert event.linkcount() == other.linkcount() == 0


def test_no_more_than_a_count_is_waited_for():
    slow, quick = runtime.spawn(runtime.sleep, 60), runtime.spawn(int)
    assert runtime.wait([slow, quick], count=1) == [quick]
    assert runtime.wait([slow], count=0) == []
    assert not slow.has_links()
    slow.kill()


def test_a_scope_ends_the_iteration_early():
    events = [Event(), Event()]
    events[0].set()
    with runtime.iwait(events) as ready:
        assert next(ready) is events[0]
        assert events[1].linkcount() == 1
    assert events[1].linkcount() == 0
    assert list(ready) == []


def test_who_iterates_may_wait_in_between():
    workers = [runtime.spawn(runtime.sleep, 0.001 * number) for number in range(3)]
    seen = []
    for one in runtime.iwait(workers):
        runtime.sleep(0.003)
        seen.append(one)
    assert seen == workers


def test_a_kill_leaves_no_links():
    event = Event()
    worker = runtime.spawn(runtime.wait, [event, Event()])
    settle()
    assert event.linkcount() == 1
    worker.kill()
    assert event.linkcount() == 0


def test_what_cannot_be_linked_is_refused_and_the_others_are_let_go():
    event = Event()
    with pytest.raises(AttributeError):
        runtime.wait([event, 5])
    assert event.linkcount() == 0


def test_without_objects_it_is_for_nothing_to_be_left():
    seen = []

    def work():
        runtime.sleep(0.002)
        seen.append(1)

    runtime.spawn(work)
    lost = runtime.spawn(Queue().get)
    assert runtime.wait() is True and seen == [1]
    slow = runtime.spawn(runtime.sleep, 60)
    assert runtime.wait(timeout=0.001) is False
    slow.kill()
    lost.kill()


def test_waiting_leaves_nothing_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        event = Event()
        event.set()
        runtime.wait([event, Event()], timeout=0.001)
        runtime.joinall([runtime.spawn(int) for _ in range(3)])
        reference = weakref.ref(event)
        del event
        settle()
        assert reference() is None and gc.collect() == 0
    finally:
        gc.enable()
