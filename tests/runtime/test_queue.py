"""Queues: what goes in comes out, once, in order, whoever is killed or gives up on the way."""

from __future__ import annotations

import gc
import queue as stdlib_queue
import subprocess
import sys
import time
import weakref
from pathlib import Path
from types import GenericAlias

import pytest

import greenscope.runtime as runtime
from greenscope.runtime.queue import (
    Channel,
    Empty,
    Full,
    JoinableQueue,
    LifoQueue,
    PriorityQueue,
    Queue,
    ShutDown,
    SimpleQueue,
)

WITHOUT_C = """
import sys
sys.modules["greenscope.runtime._queue_base"] = None
import pytest
from greenscope.runtime import queue_base, simple_queue
assert simple_queue.Base is queue_base.Base
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "not twin", *sys.argv[1:]]))
"""

KINDS = [Queue, SimpleQueue, LifoQueue, PriorityQueue]


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def raised(kind, function, *arguments, **keywords):
    with pytest.raises(kind) as caught:
        function(*arguments, **keywords)
    return caught.value


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
            return queue.get(timeout=0.2)  # long enough to park before it is over, on a busy machine too
        except Empty:
            return queue.get_nowait()

    worker = runtime.spawn(get)
    settle()
    over = time.monotonic() + 0.21
    while time.monotonic() < over:  # the hub does not get to its timers before the item is there
        pass
    queue.put(1)
    assert worker.get() == 1


def test_empty_and_full_are_the_standard_librarys():
    assert Empty is stdlib_queue.Empty and Full is stdlib_queue.Full
    if hasattr(stdlib_queue, "ShutDown"):
        assert ShutDown is stdlib_queue.ShutDown


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [None, 0, -1])
def test_no_size_and_none_and_negative_ones_are_no_limit(kind, size):
    queue = kind(size)
    for number in range(100):
        queue.put_nowait(number)
    assert queue.maxsize is None and not queue.full() and len(queue) == queue.qsize() == 100


@pytest.mark.parametrize(("kind", "order"), [(Queue, [3, 1, 2]), (LifoQueue, [2, 1, 3]), (PriorityQueue, [1, 2, 3])])
def test_each_kind_has_its_order(kind, order):
    queue = kind(items=[3, 1, 2])
    assert queue.copy().get() == order[0] and queue.qsize() == 3
    for item in order:
        assert queue.peek() == queue.peek_nowait() == item
        assert queue.get() == item
    with pytest.raises(Empty):
        queue.peek_nowait()
    with pytest.raises(Empty):
        queue.peek(timeout=0.001)
    assert bool(queue) and queue.empty()


def test_more_items_at_first_than_there_is_room_for_stay():
    queue = Queue(1, items=[1, 2])
    assert queue.full() and queue.qsize() == 2
    putter = runtime.spawn(queue.put, 3)
    assert queue.get() == 1
    settle()
    assert not putter.ready()
    assert [queue.get(), queue.get()] == [2, 3]


@pytest.mark.parametrize("kind", [*KINDS, Channel])
def test_a_kill_or_a_timeout_leaves_nobody_in_the_lines(kind):
    queue = kind()
    getters = [runtime.spawn(queue.get), runtime.spawn(lambda: raised(Empty, queue.get, timeout=0.001))]
    settle()
    getters[0].kill()
    getters[1].get()
    full = kind(1, items=[0]) if kind is not Channel else kind()
    putters = [runtime.spawn(full.put, 1), runtime.spawn(lambda: raised(Full, full.put, 2, timeout=0.001))]
    settle()
    putters[0].kill()
    putters[1].get()
    assert "0 waiting to get, 0 to put" in repr(queue) and "0 waiting to get, 0 to put" in repr(full)
    if kind is not Channel:
        assert full.get() == 0 and full.empty()


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_whose_getter_is_killed_is_the_next_getters(kind):
    queue = kind()
    victim, heir = runtime.spawn(queue.get), runtime.spawn(queue.get)
    settle()
    queue.put(1)
    victim.kill()
    assert heir.get() == 1
    victim = runtime.spawn(queue.get)
    settle()
    queue.put(2)
    queue.put(3)
    victim.kill()
    assert sorted([queue.get(), queue.get()]) == [2, 3]


def test_an_item_whose_getter_is_killed_goes_back_to_the_front_and_takes_room():
    queue = Queue(2)
    victim = runtime.spawn(queue.get)
    settle()
    for number in range(3):
        queue.put(number)
    victim.kill()
    putter = runtime.spawn(queue.put, 3)
    settle()
    assert not putter.ready()
    assert [queue.get() for _ in range(4)] == [0, 1, 2, 3]


def test_who_peeks_leaves_the_item_to_who_gets():
    queue = Queue()
    looker, taker = runtime.spawn(queue.peek), runtime.spawn(queue.get)
    settle()
    queue.put(1)
    assert looker.get() == taker.get() == 1 and queue.empty()
    looker = runtime.spawn(queue.peek)
    settle()
    queue.put(2)
    assert looker.get() == 2 and queue.get_nowait() == 2


@pytest.mark.parametrize("kind", [*KINDS, Channel])
def test_iteration_ends_at_the_class_stop_iteration(kind):
    queue = kind()

    def produce():
        for item in (1, 2):
            queue.put(item)
        if kind is not PriorityQueue:
            queue.put(StopIteration)

    runtime.spawn(produce)
    if kind is PriorityQueue:
        assert [next(queue), next(queue)] == [1, 2]
    elif kind is LifoQueue:
        assert next(iter(queue)) == 1
    else:
        assert list(queue) == [1, 2]


@pytest.mark.parametrize("kind", [*KINDS])
def test_negative_times_are_refused(kind):
    with pytest.raises(ValueError, match="non-negative"):
        kind().get(timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        kind(1, items=[1]).put(2, timeout=-1)


def test_items_that_cannot_be_compared_leave_a_priority_queue_as_it_was():
    queue = PriorityQueue(2, items=[1])
    with pytest.raises(TypeError):
        queue.put("text")
    assert queue.unfinished_tasks == 1
    queue.put(2)
    assert queue.full() and [queue.get(), queue.get()] == [1, 2]


def test_a_queue_is_joined_when_everything_has_been_dealt_with():
    assert JoinableQueue is Queue
    queue = Queue(items=[1])
    assert queue.unfinished_tasks == 1 and queue.join(timeout=0.001) is False
    queue.put(2)
    joiner = runtime.spawn(queue.join)
    for _ in range(2):
        settle()
        assert not joiner.ready()
        queue.get()
        queue.task_done()
    assert joiner.get() is True and queue.join() is True
    with pytest.raises(ValueError, match="too many"):
        queue.task_done()
    assert Queue(unfinished_tasks=5).unfinished_tasks == 5


def test_a_queue_that_is_shut_down_lets_out_what_it_holds_and_nothing_in():
    queue = Queue(2, items=[1, 2])
    putter = runtime.spawn(lambda: raised(ShutDown, queue.put, 3))
    settle()
    queue.shutdown()
    putter.get()
    assert queue.is_shutdown
    with pytest.raises(ShutDown):
        queue.put(4)
    assert [queue.get(), queue.get()] == [1, 2]
    for get in (queue.get, queue.get_nowait, queue.peek):
        with pytest.raises(ShutDown):
            get()


def test_a_queue_that_is_shut_down_at_once_drops_what_it_holds():
    queue = Queue(items=[1, 2])
    joiner = runtime.spawn(queue.join)
    settle()
    queue.shutdown(immediate=True)
    assert joiner.get() is True and queue.empty()
    with pytest.raises(ShutDown):
        queue.get()


def test_who_waits_to_get_learns_of_the_shutdown():
    queue = Queue()
    getters = [runtime.spawn(lambda: raised(ShutDown, queue.get)) for _ in range(2)]
    settle()
    queue.shutdown()
    for one in getters:
        one.get()


def test_a_subclass_may_keep_the_items_otherwise():
    class Set(Queue):
        def _create_queue(self, items=()):
            return set(items)

        def _put(self, item):
            self.queue.add(item)

        def _get(self):
            return self.queue.pop()

    queue = Set(items=[1])
    queue.put(1)
    assert queue.get() == 1 and queue.empty()
    getter = runtime.spawn(queue.get)
    settle()
    queue.put(2)
    assert getter.get() == 2


def test_a_subclass_may_say_how_it_begins_as_the_standard_librarys_do():
    mine = []

    class Begins(Queue):
        def _init(self, maxsize):
            self.queue = mine

        def _get(self):
            return self.queue.pop()

    queue = Begins(3)
    queue.put(1)
    assert mine == [1] and queue.get() == 1 and queue.maxsize == 3


@pytest.mark.parametrize("kind", [*KINDS, Channel])
def test_a_timeout_that_somebody_made_is_raised_when_it_is_over(kind):
    timer = runtime.Timeout(0.001)
    with pytest.raises(runtime.Timeout) as caught:
        kind().get(timeout=timer)
    assert caught.value is timer
    with pytest.raises(KeyError):
        kind().get(timeout=runtime.Timeout(0.001, KeyError))
    full = kind(1, items=[1]) if kind is not Channel else kind()
    with pytest.raises(KeyError):
        full.put(1, timeout=runtime.Timeout(0.001, KeyError))


def test_a_channel_hands_over_and_holds_nothing():
    channel = Channel()
    with pytest.raises(Full):
        channel.put_nowait(1)
    with pytest.raises(Empty):
        channel.get_nowait()
    with pytest.raises(Full):
        channel.put(1, timeout=0.001)
    putters = [runtime.spawn(channel.put, number) for number in range(2)]
    settle()
    assert channel.balance == 2 and channel.qsize() == 0 and channel.empty() and channel.full()
    assert [channel.get(), channel.get_nowait()] == [0, 1]
    runtime.joinall(putters, raise_error=True)
    getter = runtime.spawn(channel.get)
    settle()
    assert channel.balance == -1
    channel.put(5)
    assert getter.get() == 5


def test_an_item_of_a_channel_whose_getter_is_killed_is_the_next_ones():
    channel = Channel()
    victim = runtime.spawn(channel.get)
    settle()
    channel.put("precious")
    victim.kill()
    assert channel.get() == "precious"


@pytest.mark.parametrize("kind", [*KINDS, Channel])
def test_queues_leave_nothing_for_the_garbage_collector(kind):
    gc.collect()
    gc.disable()
    try:
        queue = kind()
        worker = runtime.spawn(queue.get)
        impatient = runtime.spawn(raised, Empty, queue.get, timeout=0.001)
        settle()
        worker.kill()
        impatient.join()
        runtime.spawn(queue.get)
        settle()
        queue.put(1)
        settle()
        reference = weakref.ref(queue)
        del queue, worker, impatient
        settle()
        gc.collect()  # what pytest.raises gives is part of a cycle
        assert reference() is None
    finally:
        gc.enable()


def test_queues_take_types_in_brackets():
    for kind in (*KINDS, Channel):
        assert isinstance(kind[int], GenericAlias)
    assert Queue[int](3).maxsize == 3
    assert SimpleQueue[str]().empty()


def test_c_and_not_its_twin_is_used_where_it_was_compiled():
    compiled = pytest.importorskip("greenscope.runtime._queue_base")
    assert issubclass(Queue, compiled.Base)


def test_the_python_twin_passes_the_same_tests():
    files = [__file__, str(Path(__file__).with_name("test_across_threads.py"))]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_C, *files],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_arguments_of_put_and_get_are_taken_by_position_and_by_name():
    queue = Queue(1)
    queue.put(item=1, block=True, timeout=None)
    with pytest.raises(Full):
        queue.put(2, False)
    with pytest.raises(Full):
        queue.put(2, block=True, timeout=0.001)
    assert queue.get(True, 1) == 1
    with pytest.raises(Empty):
        queue.get(block=False)
    for call in (
        lambda: queue.put(),
        lambda: queue.put(1, True, None, 4),
        lambda: queue.put(1, item=2),
        lambda: queue.get(1, 2, 3),
        lambda: queue.get(wait=True),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(("name", "method", "arguments"), [("_store", "put", (1,)), ("_take", "get", ())])
def test_a_queue_that_lost_a_part_says_so(name, method, arguments):
    queue = Queue(items=[0])
    delattr(queue, name)
    with pytest.raises((AttributeError, RuntimeError)):
        getattr(queue, method)(*arguments)
