"""Calls in threads are recorded when they are put and when they are over, whoever waits for them."""

from __future__ import annotations

import contextlib
from time import sleep as native_sleep
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import sleep, socket, spawn
from greenscope.runtime.threadpool import ThreadPool, ThreadPoolExecutor
from greenscope.runtime.threads import run_in_thread
from greenscope.trace.events import Exit, Kind, Wait, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event


@pytest.fixture
def jobs(hub: runtime.Hub):
    """Gives the calls that were put, with their names and texts, and how those ended that are over, by number."""

    def read() -> tuple[dict[int, tuple[str, str, Event]], dict[int, Exit]]:
        assert hub.recorder.path is not None
        with contextlib.closing(RingReader(hub.recorder.path)) as reader:
            events: list[Any] = reader.read(1 << 20)
            put = {
                unpack(event.arg)[0]: (reader.string(unpack(event.arg)[1]), event.text, event)
                for event in events
                if event.kind == Kind.JOB_PUT
            }
            return put, {unpack(event.arg)[0]: Exit(event.reason) for event in events if event.kind == Kind.JOB_END}

    return read


def fail() -> None:
    raise KeyError


def test_a_call_of_the_runtime_s_own_pool(jobs) -> None:
    run_in_thread(int)
    with pytest.raises(KeyError):
        run_in_thread(fail)
    put, ends = jobs()
    assert [(name, event.reason, event.aux) for name, _, event in put.values()] == [("int", 0, 10), ("fail", 0, 10)]
    assert list(ends.items()) == list(zip(put, [Exit.RETURNED, Exit.RAISED], strict=True))


def test_a_look_up_says_what_it_looks_up_and_is_a_wait_of_its_own(jobs, hub: runtime.Hub) -> None:
    socket.getaddrinfo("localhost", "http")
    put, ends = jobs()
    assert [(name, text) for name, text, _ in put.values()] == [("getaddrinfo", "localhost")]
    assert list(ends) == list(put)
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        (park,) = [one for one in reader.read(1 << 20) if isinstance(one, Event) and one.kind == Kind.GREENLET_PARK]
    assert (park.reason, unpack(park.arg)[0]) == (Wait.LOOKUP, *put)


@pytest.mark.parametrize("make", [ThreadPool, ThreadPoolExecutor])
def test_a_call_that_nobody_waits_for_is_told_all_the_same(jobs, make: Any) -> None:
    pool = make(3)
    (pool.spawn if make is ThreadPool else pool.submit)(int)
    while not jobs()[1]:
        sleep(0.001)
    put, ends = jobs()
    ((name, _, event),) = put.values()
    assert (name, event.aux, list(ends.values())) == ("int", 3, [Exit.RETURNED])
    assert event.reason > 0


def test_a_call_that_is_given_up_before_there_is_a_thread_is_over(jobs) -> None:
    pool = ThreadPool(1)
    first = pool.spawn(native_sleep, 0.05)
    waiter = spawn(pool.spawn, int)
    sleep(0)
    waiter.kill()
    put, ends = jobs()
    assert [ends.get(job) for job in put] == [None, Exit.KILLED]
    first.get()
