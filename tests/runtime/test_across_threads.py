"""Locks, events, queues and greenlets between native threads: nothing is lost, nothing is given twice."""

from __future__ import annotations

import contextlib
import threading
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, Event, Greenlet, GreenletExit, Semaphore, Timeout
from greenscope.runtime.current import current
from greenscope.runtime.lock import Condition, Lock, RLock
from greenscope.runtime.queue import Channel, Empty, LifoQueue, PriorityQueue, Queue, SimpleQueue

ROUNDS = 300


class Native:
    """A native thread, with a hub of its own if what it calls needs one."""

    def __init__(self, function, *arguments):
        self.error = None
        self.value = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            self.value = function(*arguments)
        except BaseException as error:
            self.error = error
        finally:
            if current.hub is not None:
                runtime.get_hub().destroy()

    def get(self):
        """Its value, once it has ended; the hub of this thread runs meanwhile."""
        with Timeout(60):
            while self._thread.is_alive():
                runtime.sleep(0.002)
        if self.error is not None:
            raise self.error
        return self.value


def plain(function, *arguments):
    """Call it in a native thread that has no hub, and must not get one."""

    def work():
        function(*arguments)
        assert current.hub is None

    return Native(work)


def test_an_event_set_by_a_thread_without_a_hub_wakes_who_waits():
    for _ in range(ROUNDS // 10):
        event = Event()
        waiters = [runtime.spawn(event.wait, 30) for _ in range(3)]
        thread = plain(event.set)
        runtime.joinall(waiters)
        assert [one.value for one in waiters] == [True] * 3
        thread.get()


def test_a_result_set_by_a_thread_without_a_hub_is_had():
    for number in range(ROUNDS // 10):
        result = AsyncResult()
        thread = plain(result.set, number)
        assert result.get(timeout=30) == number
        thread.get()


def test_a_link_to_what_another_thread_sets_is_called_in_the_hub_that_linked():
    event, called = Event(), AsyncResult()
    event.rawlink(lambda source: called.set((source, threading.get_ident(), runtime.getcurrent())))
    plain(event.set).get()
    source, ident, who = called.get(timeout=30)
    assert source is event and ident == threading.get_ident() and who is runtime.get_hub()


@pytest.mark.parametrize("make", [Semaphore, Lock, RLock])
def test_a_lock_excludes_greenlets_of_several_threads(make):
    lock, inside, most = make(), [0], [0]

    def worker():
        for number in range(ROUNDS):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                if number % 3 == 0:
                    runtime.sleep(0)
                inside[0] -= 1

    def thread():
        runtime.joinall([runtime.spawn(worker) for _ in range(3)], raise_error=True)
        return True

    threads = [Native(thread) for _ in range(3)]
    assert thread() and all(one.get() for one in threads)
    assert most == [1] and inside == [0]
    assert not lock.locked()


def test_turns_of_a_semaphore_are_neither_lost_nor_doubled_when_who_waits_gives_up():
    semaphore, got = Semaphore(2), []

    def worker():
        for number in range(ROUNDS):
            if semaphore.acquire(timeout=0.0001 * (number % 4)):
                got.append(1)
                runtime.sleep(0)
                semaphore.release()

    def thread():
        runtime.joinall([runtime.spawn(worker) for _ in range(4)], raise_error=True)

    threads = [Native(thread) for _ in range(2)]
    thread()
    for one in threads:
        one.get()
    assert semaphore.counter == 2 and semaphore.linkcount() == 0 and got


def test_a_release_by_a_thread_without_a_hub_lets_somebody_in():
    semaphore = Semaphore(0)
    waiters = [runtime.spawn(semaphore.acquire) for _ in range(ROUNDS)]
    threads = [plain(lambda: [semaphore.release() for _ in range(ROUNDS // 3)]) for _ in range(3)]
    assert len(runtime.joinall(waiters, timeout=30)) == ROUNDS
    for one in threads:
        one.get()
    assert semaphore.counter == 0


@pytest.mark.parametrize(
    "make", [Queue, SimpleQueue, LifoQueue, PriorityQueue, lambda: Queue(1), lambda: Queue(7), Channel]
)
def test_items_between_threads_arrive_once_each(make):
    queue = make()
    each = ROUNDS

    def put(first):
        for number in range(each):
            queue.put((first, number))

    def get(count):
        return [queue.get(timeout=60) for _ in range(count)]

    def getters():
        workers = [runtime.spawn(get, each // 2) for _ in range(4)]
        runtime.joinall(workers, raise_error=True)
        return [item for one in workers for item in one.value]

    def putters(name):
        runtime.joinall([runtime.spawn(put, f"{name}{number}") for number in range(2)], raise_error=True)

    threads = [Native(putters, "a"), Native(getters)]
    mine_put, mine_get = runtime.spawn(putters, "b"), runtime.spawn(getters)
    mine_put.get()
    mine = mine_get.get()
    threads[0].get()
    items = mine + threads[1].get()
    assert sorted(items) == sorted(
        (f"{name}{which}", number) for name in "ab" for which in range(2) for number in range(each)
    )


@pytest.mark.parametrize("make", [Queue, lambda: Queue(2), PriorityQueue, LifoQueue])
def test_items_are_neither_lost_nor_doubled_when_who_waits_is_killed_or_gives_up(make):
    queue, got = make(), []
    done = threading.Event()

    def put():
        for number in range(ROUNDS * 2):
            queue.put(number)

    def get_for_a_moment(number):
        with contextlib.suppress(Empty):
            got.append(queue.get(timeout=0.0003 * (number % 3)))

    def impatient():
        number = 0
        while not done.is_set():
            workers = [runtime.spawn(get_for_a_moment, number + more) for more in range(4)]
            runtime.sleep(0)
            workers[0].kill()
            runtime.joinall(workers, raise_error=True)
            number += 1

    threads = [Native(impatient), Native(put)]
    mine = runtime.spawn(impatient)
    threads[1].get()
    with Timeout(60):
        while queue.qsize():
            runtime.sleep(0.001)
    done.set()
    mine.get()
    threads[0].get()
    while queue.qsize():  # who was killed as it was given the last one has put it back
        got.append(queue.get_nowait())
    assert sorted(got) == list(range(ROUNDS * 2))


def test_a_put_by_a_thread_without_a_hub_arrives():
    queue = Queue()
    thread = plain(lambda: [queue.put(number) for number in range(ROUNDS)])
    assert [queue.get(timeout=30) for _ in range(ROUNDS)] == list(range(ROUNDS))
    thread.get()


def test_a_queue_joined_in_one_thread_and_dealt_with_in_another():
    queue = Queue()

    def work():
        for _ in range(ROUNDS):
            queue.get()
            queue.task_done()

    for number in range(ROUNDS):
        queue.put(number)
    thread = Native(work)
    assert queue.join(timeout=30)
    thread.get()


def test_a_condition_between_threads():
    condition, numbers = Condition(), []

    def produce():
        for number in range(ROUNDS):
            with condition:
                numbers.append(number)
                condition.notify()

    thread = Native(produce)
    got = 0
    with Timeout(60):
        while got < ROUNDS:
            with condition:
                condition.wait_for(lambda: numbers)
                got += len(numbers)
                numbers.clear()
    thread.get()


def test_a_greenlet_of_another_thread_is_joined_linked_and_killed():
    ready, handed = threading.Event(), []

    def other():
        quick, slow = runtime.spawn(runtime.sleep, 0.01), runtime.spawn(runtime.sleep, 60)
        handed.extend([quick, slow])
        ready.set()
        runtime.joinall([quick, slow])

    thread = Native(other)
    ready.wait(10)
    quick, slow = handed
    told = AsyncResult()
    slow.rawlink(told.set)
    quick.join(timeout=30)
    assert quick.dead
    slow.kill(timeout=30)
    assert isinstance(slow.value, GreenletExit)
    assert told.get(timeout=30) is slow
    thread.get()


def test_a_greenlet_is_started_by_another_thread_and_runs_in_its_own():
    worker = Greenlet(threading.get_ident)
    plain(worker.start).get()
    assert worker.get(timeout=30) == threading.get_ident()


def test_a_turn_is_not_given_to_a_thread_that_has_ended():
    lock = Lock()
    lock.acquire()

    def leave_somebody_waiting():
        runtime.spawn(lock.acquire)
        runtime.sleep(0)

    Native(leave_somebody_waiting).get()
    heir = runtime.spawn(lock.acquire)
    runtime.sleep(0)
    lock.release()
    assert heir.get(timeout=30) is True


def test_objects_made_at_import_time_or_in_a_thread_need_no_hub():
    def make():
        made = [Event(), AsyncResult(), Semaphore(), Lock(), RLock(), Condition(), Queue(), SimpleQueue(), Channel()]
        made.append(runtime.local.local())
        assert current.hub is None
        return made

    for one in Native(make).get():
        assert weakref.ref(one)() is one
