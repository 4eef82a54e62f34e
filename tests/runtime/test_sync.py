"""Locks, events and queues: who is woken, in which order, and what a kill on the way leaves."""

from __future__ import annotations

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, BoundedSemaphore, Event, Lock, Queue, Semaphore, Timeout
from greenscope.runtime.queue import Empty, Full


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def test_a_lock_is_handed_over_in_order():
    lock, order = Lock(), []

    def work(number):
        with lock:
            order.append(number)
            runtime.sleep(0)

    runtime.joinall([runtime.spawn(work, number) for number in range(5)])
    assert order == [0, 1, 2, 3, 4]
    assert not lock.locked()


def test_a_lock_that_nobody_holds_cannot_be_released():
    with pytest.raises(RuntimeError):
        Lock().release()
    with pytest.raises(ValueError, match="2"):
        BoundedSemaphore(2).release()
    with pytest.raises(ValueError, match="-1"):
        Semaphore(-1)


def test_acquire_gives_up_when_told_to():
    lock = Lock()
    assert lock.acquire()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0.01)
    lock.release()
    assert lock.acquire(timeout=-1)


def test_a_semaphore_lets_so_many_in():
    semaphore, inside, most = Semaphore(2), [0], [0]

    def work():
        with semaphore:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            runtime.sleep(0)
            inside[0] -= 1

    runtime.joinall([runtime.spawn(work) for _ in range(6)])
    assert most == [2]


def test_a_turn_given_to_a_greenlet_that_is_killed_passes_on():
    lock = Lock()
    lock.acquire()
    victim, heir = runtime.spawn(lock.acquire), runtime.spawn(lock.acquire)
    settle()
    lock.release()  # the victim has it now, and does not know yet
    victim.kill()
    assert heir.get() is True
    lock.release()
    assert not lock.locked()


def test_an_event_wakes_everybody():
    event = Event()
    workers = [runtime.spawn(event.wait) for _ in range(3)]
    settle()
    assert not any(worker.ready() for worker in workers)
    event.set()
    runtime.joinall(workers)
    assert [worker.value for worker in workers] == [True] * 3
    event.clear()
    assert not event.is_set() and event.wait(timeout=0.01) is False


def test_a_result_is_provided_once_for_all():
    result = AsyncResult()
    worker = runtime.spawn(result.get)
    with pytest.raises(Timeout):
        result.get(timeout=0.01)
    with pytest.raises(Timeout):
        result.get_nowait()
    result.set(5)
    assert worker.get() == result.get() == result.wait() == 5 and result.successful()
    result.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        result.get()


def test_a_queue_is_first_in_first_out_on_both_sides():
    queue, got = Queue(1), []

    def consume():
        for _ in range(4):
            got.append(queue.get())

    producers = [runtime.spawn(queue.put, number) for number in range(4)]
    settle()
    assert queue.full() and len(queue) == 1
    runtime.spawn(consume).join()
    runtime.joinall(producers)
    assert got == [0, 1, 2, 3] and queue.empty()


def test_a_queue_says_when_it_is_empty_or_full():
    queue = Queue(1)
    with pytest.raises(Empty):
        queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put(1)
    with pytest.raises(Full):
        queue.put_nowait(2)
    with pytest.raises(Full):
        queue.put(2, timeout=0.01)
    assert queue.get() == 1 and queue.empty()


def test_an_item_given_to_a_greenlet_that_is_killed_is_not_lost():
    queue = Queue()
    victim = runtime.spawn(queue.get)
    settle()
    queue.put("precious")
    victim.kill()
    assert queue.get_nowait() == "precious"


def test_an_item_given_as_the_time_is_over_is_got_or_kept():
    queue = Queue()

    def get():
        try:
            return queue.get(timeout=0.01)
        except Empty:
            return queue.get_nowait()

    worker = runtime.spawn(get)
    settle()
    runtime.sleep(0.005)
    queue.put(1)
    assert worker.get() == 1
