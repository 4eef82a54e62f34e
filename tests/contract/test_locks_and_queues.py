"""The same cases over the standard library's locks, queues and locals with threads, and over ours with greenlets."""

from __future__ import annotations

import queue as stdlib_queue
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import lock as green_lock
from greenscope.runtime import queue as green_queue
from greenscope.runtime.local import local as green_local


class _Thread:
    def __init__(self, function, *arguments, **keywords):
        self._value, self._error = None, None
        self._thread = threading.Thread(target=self._run, args=(function, arguments, keywords), daemon=True)
        self._thread.start()

    def _run(self, function, arguments, keywords):
        try:
            self._value = function(*arguments, **keywords)
        except Exception as error:
            self._error = error

    def get(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        return self._value


STDLIB = SimpleNamespace(
    spawn=_Thread,
    sleep=time.sleep,
    Lock=threading.Lock,
    RLock=threading.RLock,
    Condition=threading.Condition,
    Semaphore=threading.Semaphore,
    BoundedSemaphore=threading.BoundedSemaphore,
    Event=threading.Event,
    local=threading.local,
    queue=stdlib_queue,
)
GREEN = SimpleNamespace(
    spawn=runtime.spawn,
    sleep=runtime.sleep,
    Lock=green_lock.Lock,
    RLock=green_lock.RLock,
    Condition=green_lock.Condition,
    Semaphore=green_lock.Semaphore,
    BoundedSemaphore=green_lock.BoundedSemaphore,
    Event=runtime.Event,
    local=green_local,
    queue=green_queue,
)


@pytest.fixture(params=["stdlib", "green"])
def kit(request, capsys):
    if request.param == "stdlib":
        yield STDLIB
    else:
        yield GREEN
        runtime.get_hub().destroy()


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_arguments_of_acquire_that_are_refused(kit, name):
    lock = getattr(kit, name)()
    with pytest.raises(ValueError, match="non-blocking"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError):
        lock.acquire(timeout=-2)
    with pytest.raises(OverflowError):
        lock.acquire(timeout=threading.TIMEOUT_MAX * 2)
    assert lock.acquire(True, -1) is True
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_an_rlock_belongs_to_who_acquired_it(kit):
    lock = kit.RLock()
    with lock, lock:
        assert kit.spawn(lock.acquire, False).get() is False
        assert kit.spawn(lock.acquire, timeout=0.001).get() is False
        with pytest.raises(RuntimeError):
            kit.spawn(lock.release).get()
    heir = kit.spawn(lambda: lock.acquire() and lock.release())
    assert heir.get() is None


@pytest.mark.parametrize("name", ["Lock", "RLock", None])
def test_a_condition_wakes_who_waits(kit, name):
    condition = kit.Condition(getattr(kit, name)()) if name else kit.Condition()
    items, got = [], []

    def consume():
        with condition:
            condition.wait_for(lambda: items, timeout=10)
            got.append(items.pop(0))

    workers = [kit.spawn(consume) for _ in range(3)]
    for number in range(3):
        with condition:
            items.append(number)
            condition.notify()
    for one in workers:
        one.get()
    assert sorted(got) == [0, 1, 2]
    with condition:
        assert condition.wait(timeout=0.001) is False
        assert condition.wait_for(list, timeout=0.001) == []
        condition.notify_all()
    with pytest.raises(RuntimeError):
        condition.notify()
    with pytest.raises(RuntimeError):
        condition.wait()


def test_a_semaphore_counts(kit):
    semaphore = kit.Semaphore(2)
    assert [semaphore.acquire(blocking=False) for _ in range(3)] == [True, True, False]
    assert semaphore.acquire(timeout=0.001) is False
    assert semaphore.acquire(timeout=-1) is False
    waiter = kit.spawn(semaphore.acquire)
    semaphore.release()
    assert waiter.get() is True
    with pytest.raises(ValueError):
        kit.Semaphore(-1)
    bounded = kit.BoundedSemaphore(1)
    with pytest.raises(ValueError):
        bounded.release()


def test_an_event_can_be_set_again(kit):
    event = kit.Event()
    assert event.wait(0) is False
    waiters = [kit.spawn(event.wait, 10) for _ in range(3)]
    event.set()
    assert [one.get() for one in waiters] == [True] * 3
    assert event.wait() is True
    event.clear()
    assert event.is_set() is False and event.wait(timeout=0.001) is False


@pytest.mark.parametrize(
    ("name", "order"), [("Queue", [3, 1, 2]), ("LifoQueue", [2, 1, 3]), ("PriorityQueue", [1, 2, 3])]
)
def test_queues_have_their_order(kit, name, order):
    queue = getattr(kit.queue, name)(3)
    for item in (3, 1, 2):
        queue.put(item)
    assert queue.full() and queue.qsize() == 3 and queue.unfinished_tasks == 3
    with pytest.raises(stdlib_queue.Full):
        queue.put_nowait(4)
    assert [queue.get() for _ in range(3)] == order
    assert queue.empty()


def test_negative_times_are_refused(kit):
    queue = kit.queue.Queue(1)
    with pytest.raises(ValueError, match="non-negative"):
        queue.get(timeout=-1)
    queue.put(1)
    with pytest.raises(ValueError, match="non-negative"):
        queue.put(1, timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        kit.queue.SimpleQueue().get(timeout=-1)


def test_a_queue_is_joined(kit):
    queue = kit.queue.Queue()
    for number in range(3):
        queue.put(number)

    def work():
        for _ in range(3):
            queue.get()
            queue.task_done()

    worker = kit.spawn(work)
    queue.join()
    worker.get()
    with pytest.raises(ValueError):
        queue.task_done()


def test_a_simple_queue_passes_items_on(kit):
    queue = kit.queue.SimpleQueue()
    getter = kit.spawn(queue.get)
    queue.put(1)
    assert getter.get() == 1
    queue.put_nowait(2)
    assert queue.qsize() == 1 and not queue.empty() and queue.get_nowait() == 2
    with pytest.raises(stdlib_queue.Empty):
        queue.get(timeout=0.001)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the standard library's queues are shut down from 3.13 on")
def test_a_queue_is_shut_down(kit):
    queue = kit.queue.Queue(2)
    queue.put(1)
    queue.put(2)
    putter = kit.spawn(queue.put, 3)
    kit.sleep(0.002)
    queue.shutdown()
    with pytest.raises(stdlib_queue.ShutDown):
        putter.get()
    assert [queue.get(), queue.get()] == [1, 2]
    with pytest.raises(stdlib_queue.ShutDown):
        queue.get()
    empty = kit.queue.Queue()
    empty.put(1)
    empty.shutdown(immediate=True)
    with pytest.raises(stdlib_queue.ShutDown):
        empty.get()
    empty.join()


def test_items_go_through_a_small_queue_once(kit):
    queue, got = kit.queue.Queue(2), []

    def put(first):
        for number in range(50):
            queue.put((first, number))

    def get():
        for _ in range(50):
            got.append(queue.get())

    for one in [*(kit.spawn(put, name) for name in "ab"), *(kit.spawn(get) for _ in range(2))]:
        one.get()
    assert sorted(got) == [(name, number) for name in "ab" for number in range(50)]


def test_a_local_has_values_for_everybody(kit):
    calls = []

    class Mine(kit.local):
        def __init__(self, start):
            calls.append(start)
            self.x = start

    mine = Mine(5)
    mine.x = 6

    def look():
        found = mine.x
        mine.y = 1
        del mine.x
        return found, mine.__dict__, hasattr(mine, "x")

    assert kit.spawn(look).get() == (5, {"y": 1}, False)
    assert mine.__dict__ == {"x": 6} and calls == [5, 5]
    with pytest.raises(AttributeError):
        _ = mine.y
    with pytest.raises(AttributeError):
        del mine.y
    with pytest.raises(AttributeError):
        mine.__dict__ = {}
    with pytest.raises(TypeError):
        kit.local(1)
