"""Locks: who comes in, in which order, and what a kill on the way leaves."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import BoundedSemaphore, Lock, Semaphore
from greenscope.runtime.lock import Condition, DummySemaphore, RLock


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def raised(kind, function, *arguments, **keywords):
    with pytest.raises(kind) as caught:
        function(*arguments, **keywords)
    return caught.value


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


def test_a_kill_or_a_timeout_leaves_nobody_in_the_line():
    lock = Lock()
    lock.acquire()
    workers = [runtime.spawn(lock.acquire), runtime.spawn(lock.acquire, timeout=0.001)]
    settle()
    assert lock.linkcount() == 2
    workers[0].kill()
    assert workers[1].get() is False
    assert lock.linkcount() == 0
    lock.release()
    assert lock.acquire(blocking=False)


def test_a_semaphore_takes_gevents_arguments():
    semaphore = Semaphore(0, hub=None)
    assert semaphore.acquire(False, 5) is False
    assert semaphore.acquire(timeout=-5) is False
    assert semaphore.acquire(timeout=0) is False
    assert semaphore.release() == 1
    assert semaphore.acquire(timeout=None) is True


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_takes_the_standard_librarys_arguments(make):
    lock = make()
    with pytest.raises(ValueError, match="non-blocking"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError, match="non-negative"):
        lock.acquire(timeout=-2)
    with pytest.raises(OverflowError):
        lock.acquire(timeout=1e20)
    assert lock.acquire(True, -1) is True


def test_a_semaphore_can_be_waited_for_without_coming_in():
    semaphore = Semaphore(0)
    assert semaphore.wait(timeout=0.001) == 0
    watchers = [runtime.spawn(semaphore.wait) for _ in range(2)]
    settle()
    semaphore.release()
    assert [one.get() for one in watchers] == [1, 1] and semaphore.counter == 1
    assert semaphore.ready() and not semaphore.locked() and semaphore.wait() == 1


def test_a_link_to_a_semaphore_is_called_once_when_somebody_could_come_in():
    semaphore, seen = Semaphore(0), []
    semaphore.rawlink(seen.append)
    semaphore.rawlink(print)
    semaphore.unlink(print)
    assert semaphore.linkcount() == 1
    for _ in range(2):
        semaphore.release()
        settle()
    assert seen == [semaphore]
    semaphore.rawlink(seen.append)
    settle()
    assert len(seen) == 2
    with pytest.raises(TypeError, match="5"):
        semaphore.rawlink(5)


def test_a_bounded_semaphore_hands_over_and_counts():
    semaphore = BoundedSemaphore(1)
    with semaphore:
        waiter = runtime.spawn(semaphore.acquire)
        settle()
    assert waiter.get() is True and semaphore.locked()
    semaphore.release()
    with pytest.raises(ValueError, match="more often"):
        semaphore.release()


def test_a_dummy_semaphore_lets_everybody_in():
    semaphore = DummySemaphore(5)
    with semaphore, semaphore:
        assert semaphore.acquire() and semaphore.acquire(False) and not semaphore.locked() and semaphore.ready()
    semaphore.release()
    semaphore.rawlink(print)
    semaphore.unlink(print)
    assert semaphore.wait(0) == 1


def test_an_rlock_is_its_greenlets_and_free_when_released_as_often():
    lock = RLock()
    assert lock.acquire() and lock.acquire(False) and lock.acquire(timeout=1)
    assert runtime.spawn(lock.acquire, False).get() is False
    assert runtime.spawn(lock.acquire, timeout=0.001).get() is False
    stranger = runtime.spawn(lambda: raised(RuntimeError, lock.release))
    assert "does not hold" in str(stranger.get())
    heir = runtime.spawn(lambda: lock.acquire() and lock._is_owned())
    for _ in range(3):
        assert not heir.ready()
        settle()
        lock.release()
    assert heir.get() is True and lock.locked() and not lock._is_owned()


def test_an_rlock_can_be_let_go_of_and_had_again():
    lock = RLock()
    with lock, lock:
        saved = lock._release_save()
        assert not lock._is_owned() and not lock.locked()
        assert runtime.spawn(lock.acquire, False).get() is True
        lock._at_fork_reinit()
        lock._acquire_restore(saved)
        assert lock._is_owned() and lock._recursion_count() == 2
    assert not lock.locked()
    with pytest.raises(RuntimeError):
        lock._release_save()


@pytest.mark.parametrize("make", [lambda: None, Lock, RLock])
def test_a_condition_wakes_so_many_in_order(make):
    condition, woken = Condition(make()), []

    def wait(number):
        with condition:
            assert condition.wait() is True
            woken.append(number)

    workers = [runtime.spawn(wait, number) for number in range(4)]
    settle()
    with condition:
        condition.notify(2)
        assert woken == []
    settle()
    assert woken == [0, 1]
    with condition:
        condition.notify_all()
    runtime.joinall(workers, raise_error=True)
    assert woken == [0, 1, 2, 3]


def test_a_condition_is_waited_for_and_notified_by_who_has_the_lock():
    condition = Condition()
    with pytest.raises(RuntimeError, match="acquire"):
        condition.wait()
    with pytest.raises(RuntimeError, match="acquire"):
        condition.notify()
    with condition:
        assert condition.wait(timeout=0.001) is False
        assert condition.wait_for(lambda: False, timeout=0.001) is False
        assert condition.wait_for(lambda: 5) == 5
        condition.notifyAll()


def test_who_is_killed_while_it_waits_for_a_condition_has_the_lock_when_it_cleans_up():
    condition, owned = Condition(), []

    def work():
        with condition:
            try:
                condition.wait()
            finally:
                owned.append(condition._is_owned())

    worker = runtime.spawn(work)
    settle()
    with condition:
        worker.kill(block=False)
        settle()
        assert not worker.dead
    worker.join()
    assert owned == [True]
    with condition:
        pass


def test_a_notification_of_who_is_killed_is_the_next_ones():
    condition = Condition()

    def wait():
        with condition:
            return condition.wait(30)

    victim, heir = runtime.spawn(wait), runtime.spawn(wait)
    settle()
    with condition:
        condition.notify()
        victim.kill(block=False)
    assert heir.get() is True
    victim.join()


def test_a_lock_leaves_nothing_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        for make in (Semaphore, Lock, RLock, Condition):
            lock = make()
            with lock:
                runtime.spawn(lock.acquire).kill()
                waiter = runtime.spawn(lock.acquire, timeout=0.0001)
                settle()
            waiter.join()
            if make is Semaphore:
                lock.rawlink(print)
                lock.unlink(print)
                lock.wait(0)
            reference = weakref.ref(lock)
            del lock, waiter
            settle()
            assert reference() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_forked_child_gives_no_turn_to_who_stayed_in_the_parent():
    lock = Lock()
    lock.acquire()
    waiter = runtime.spawn(lock.acquire)
    settle()
    child = os.fork()
    if not child:
        lock.release()
        os._exit(0 if lock.acquire(timeout=5) else 1)
    assert os.waitpid(child, 0)[1] == 0
    waiter.kill()


def test_a_turn_is_not_taken_by_who_comes_later():
    lock, order = Lock(), []
    lock.acquire()

    def first():
        lock.acquire()
        order.append("first")
        lock.release()

    waiting = runtime.spawn(first)
    settle()
    lock.release()
    assert lock.acquire(blocking=False) is False
    lock.acquire()
    order.append("second")
    lock.release()
    waiting.join()
    assert order == ["first", "second"]


def test_a_signal_handler_that_releases_wakes_who_waits(run_script):
    done = run_script("""
import os, signal
from greenscope import runtime
from greenscope.runtime.lock import Semaphore
semaphore, event = Semaphore(0), runtime.Event()
signal.signal(signal.SIGUSR1, lambda *_: (semaphore.release(), event.set()))
runtime.spawn_later(0.05, os.kill, os.getpid(), signal.SIGUSR1)
semaphore.acquire()
event.wait()
print("woken")
""")
    assert done.stdout == "woken\n", done.stderr
