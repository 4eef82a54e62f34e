"""Who holds what: at level io every acquisition and release; below it, the holder of a lock that somebody waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, BoundedSemaphore, Event, Queue, Semaphore, sleep, spawn
from greenscope.runtime.lock import Condition, Lock, RLock
from greenscope.runtime.queue import Channel, SimpleQueue
from greenscope.trace import set_detail, set_name
from greenscope.trace.events import Kind, Resource, Wait, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event as Record

Recorded = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def recorded(hub: runtime.Hub) -> Iterator[Recorded]:
    """Gives what was acquired and released: (greenlet's name, what, "acquire" or "release", how many are left)."""

    def read() -> list[tuple[Any, ...]]:
        assert hub.recorder.path is not None
        with contextlib.closing(RingReader(hub.recorder.path)) as reader:
            names: dict[int, str] = {}
            found: list[tuple[Any, ...]] = []
            for event in reader.read():
                assert isinstance(event, Record)
                if event.kind == Kind.GREENLET_NAME:
                    names[event.greenlet] = reader.string(event.arg)
                elif event.kind in {Kind.RESOURCE_ACQUIRE, Kind.RESOURCE_RELEASE}:
                    how = "release" if event.kind == Kind.RESOURCE_RELEASE else "held" if event.aux else "acquire"
                    left = unpack(event.arg)[1]
                    found.append((names[event.greenlet], Resource(event.reason).name.lower(), how, left))
            return found

    yield read
    set_detail("switch")


@pytest.mark.parametrize("make", [Lock, RLock])
def test_who_waits_for_a_lock_is_told_in_the_recording_who_holds_it(
    hub: runtime.Hub, make: Any, recorded: Recorded
) -> None:
    lock = make()

    def work(name: str) -> None:
        set_name(name)
        with lock:
            sleep(0.001)

    workers = [spawn(work, name) for name in "abc"]
    for worker in workers:
        worker.join()
    lock.acquire()
    lock.release()
    assert recorded() == [("a", "lock", "held", 0)] * 2
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Record)]
    held = {unpack(event.arg)[0] for event in events if event.kind == Kind.RESOURCE_ACQUIRE}
    waited = {unpack(e.arg)[0] for e in events if e.kind == Kind.GREENLET_PARK and e.reason == Wait.LOCK}
    assert len(held) == 1
    assert held == waited


def test_after_a_lock_was_handed_over_it_is_held_by_who_got_it(recorded: Recorded) -> None:
    lock = Lock()

    def take(name: str) -> None:
        set_name(name)
        lock.acquire()

    first, second = spawn(take, "first"), spawn(take, "second")
    sleep(0)
    lock.release()  # by somebody else, which is allowed
    third = spawn(take, "third")
    sleep(0)
    assert recorded() == [("first", "lock", "held", 0), ("second", "lock", "held", 0)]
    lock.release()
    runtime.joinall([first, second, third])
    lock.release()


def test_a_holder_in_another_thread_is_not_named_in_this_ones_recording(recorded: Recorded) -> None:
    lock = Lock()
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            sleep(0)
            taken.set()
            over.wait(20)
        runtime.get_hub().destroy()

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(20)
    waiter = spawn(lock.acquire)
    sleep(0)
    over.set()
    holder.join()
    assert waiter.get() is True
    assert recorded() == []
    lock.release()


def test_a_lock_that_is_free_keeps_nobody_alive() -> None:
    lock = Lock()
    spawn(lambda: lock.acquire() and lock.release()).join()
    assert lock._holder is None
    with lock:
        assert lock._holder is runtime.getcurrent()
    assert lock._holder is None


def test_at_level_io_locks_and_semaphores_say_who_comes_in_and_goes_out(recorded: Recorded) -> None:
    set_detail("io")
    lock, again, several, bounded = Lock(), RLock(), Semaphore(2), BoundedSemaphore(1)
    with lock:
        assert not lock.acquire(blocking=False)
    with again, again:
        pass
    several.acquire()
    several.acquire()
    several.release()
    with bounded:
        pass
    assert recorded() == [
        ("main", "lock", "acquire", 0), ("main", "lock", "release", 1),
        ("main", "rlock", "acquire", 0), ("main", "rlock", "release", 1),
        ("main", "semaphore", "acquire", 1), ("main", "semaphore", "acquire", 0), ("main", "semaphore", "release", 1),
        ("main", "semaphore", "acquire", 0), ("main", "semaphore", "release", 1),
    ]  # fmt: skip


def test_a_release_that_is_refused_is_none(recorded: Recorded) -> None:
    set_detail("io")
    for free in (Lock(), RLock()):
        with pytest.raises(RuntimeError):
            free.release()
    with pytest.raises(ValueError, match="more often"):
        BoundedSemaphore(1).release()
    assert recorded() == []


def test_at_level_io_queues_events_and_results_say_who_gives_to_whom(recorded: Recorded) -> None:
    set_detail("io")

    def give(name: str, function: Callable[..., object], *arguments: object) -> None:
        set_name(name)
        function(*arguments)

    for made in (Queue[int](), SimpleQueue[int]()):
        spawn(give, "putter", made.put, 1)
        assert made.get() == 1
    channel = Channel[int]()
    spawn(give, "putter", channel.put, 1)
    assert channel.get() == 1
    event, result = Event(), AsyncResult[int]()
    spawn(give, "setter", event.set)
    assert event.wait(5)
    spawn(give, "provider", result.set, 1)
    assert result.get() == 1
    assert not Event().wait(0.001)
    sleep(0)
    assert sorted(recorded()) == sorted([
        ("putter", "queue", "release", 0), ("main", "queue", "acquire", 0),
        ("putter", "queue", "release", 0), ("main", "queue", "acquire", 0),
        ("putter", "queue", "release", 0), ("main", "queue", "acquire", 0),
        ("setter", "event", "release", 0), ("main", "event", "acquire", 0),
        ("provider", "result", "release", 0), ("main", "result", "acquire", 0),
    ])  # fmt: skip


def test_who_waits_for_a_condition_lets_go_of_its_lock_meanwhile(recorded: Recorded) -> None:
    condition = Condition()  # made before the level is set
    set_detail("io")

    def wait() -> None:
        set_name("waiter")
        with condition:
            condition.wait()

    waiter = spawn(wait)
    sleep(0)
    with condition:
        condition.notify()
    waiter.join()
    assert recorded() == [
        ("waiter", "rlock", "acquire", 0), ("waiter", "rlock", "release", 1),
        ("main", "rlock", "acquire", 0), ("main", "condition", "release", 0), ("main", "rlock", "release", 1),
        ("waiter", "rlock", "acquire", 0), ("waiter", "condition", "acquire", 0), ("waiter", "rlock", "release", 1),
    ]  # fmt: skip


def test_below_the_level_the_classes_have_their_own_methods() -> None:
    classes: list[type] = [
        Semaphore,
        Lock,
        BoundedSemaphore,
        RLock,
        Condition,
        SimpleQueue,
        Channel,
        Event,
        AsyncResult,
    ]
    before = [dict(vars(cls)) for cls in classes]
    set_detail("io")
    assert all(dict(vars(cls)) != own for cls, own in zip(classes, before, strict=True))
    set_detail("switch")
    assert [dict(vars(cls)) for cls in classes] == before
