"""Native threads for what blocks: the pool, its results, the executor, and what they leave behind."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import signal
import threading
import time
import weakref
from _thread import _count, get_ident

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import threadpool
from greenscope.runtime.threadpool import ThreadPool, ThreadPoolExecutor
from greenscope.runtime.threads import run_in_thread
from greenscope.trace.events import Kind, Wait
from greenscope.trace.reader import Event, RingReader
from tests.runtime.conftest import settle


@pytest.fixture
def pool():
    made = ThreadPool(3)
    with runtime.Timeout(20):
        yield made
        made.kill()
        assert made.size == 0


class Gate:
    """Lets functions in threads begin and end when the test wants."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, value=None):
        self.entered.release()
        assert self.open.wait(20)
        return value


def test_a_function_runs_in_another_thread_and_its_result_comes_back(pool):
    result = pool.spawn(lambda a, b: (get_ident(), a, b), 1, b=2)
    thread, *arguments = result.get(timeout=10)
    assert thread != get_ident()
    assert arguments == [1, 2]
    assert result.successful()


def test_what_a_function_raises_is_raised_by_get(pool):
    result = pool.spawn(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        result.get(timeout=10)
    assert not result.successful()


def test_what_is_not_callable_is_refused_at_once(pool):
    with pytest.raises(TypeError, match="cannot be called"):
        pool.spawn(7)


def test_other_greenlets_run_while_a_thread_is_busy(pool):
    gate = Gate()
    result = pool.spawn(gate, "done")
    assert runtime.spawn(lambda: 7).get() == 7
    assert not result.ready()
    gate.open.set()
    assert result.get(timeout=10) == "done"


def test_spawn_waits_while_all_threads_are_busy(pool):
    gate = Gate()
    busy = [pool.spawn(gate, n) for n in range(3)]
    more = [runtime.spawn(pool.spawn, gate, n) for n in range(3, 6)]
    runtime.sleep(0)
    assert not any(one.ready() for one in more)
    assert (len(pool), pool.size) == (3, 3)
    gate.open.set()
    assert [one.get(timeout=10) for one in busy] == [0, 1, 2]
    assert [one.get(timeout=10).get(timeout=10) for one in more] == [3, 4, 5]


def test_a_greenlet_killed_while_it_waits_for_a_thread_takes_none(pool):
    gate = Gate()
    for n in range(3):
        pool.spawn(gate, n)
    first, second = runtime.spawn(pool.spawn, gate, 3), runtime.spawn(pool.spawn, gate, 4)
    runtime.sleep(0)
    first.kill()
    gate.open.set()
    assert second.get(timeout=10).get(timeout=10) == 4
    pool.join()
    assert len(pool) == 0


def test_a_thread_freed_for_a_greenlet_that_is_killed_goes_to_the_next(pool):
    gate = Gate()
    pool.maxsize = 1
    pool.spawn(gate)
    first, second = runtime.spawn(pool.spawn, int, 3), runtime.spawn(pool.spawn, int, 4)
    runtime.sleep(0)
    over = pool._over
    pool._over = lambda task: (over(task), first.kill(block=False))  # in one step: freed for it, and killed
    gate.open.set()
    assert second.get(timeout=10).get(timeout=10) == 4


def test_threads_are_started_when_needed_and_not_before(pool):
    assert pool.size == 0
    assert pool.spawn(int).get(timeout=10) == 0
    assert pool.size == 1
    pool.size = 3
    assert pool.size == 3
    pool.size = 1
    assert pool.size == 1


def test_sizes_out_of_range_are_refused(pool):
    for bad in (-1, 4):
        with pytest.raises(ValueError, match="threads"):
            pool.size = bad
    with pytest.raises(ValueError, match="0 or more"):
        ThreadPool(-1)
    with pytest.raises(TypeError, match="integer"):
        ThreadPool(1.5)


def test_a_smaller_maxsize_ends_threads_and_a_larger_one_lets_waiting_calls_begin(pool):
    gate = Gate()
    pool.maxsize = 1
    first = pool.spawn(gate, 1)
    second = runtime.spawn(pool.spawn, gate, 2)
    runtime.sleep(0)
    assert not second.ready()
    pool.maxsize = 2
    result = second.get(timeout=10)
    gate.open.set()
    assert [first.get(timeout=10), result.get(timeout=10)] == [1, 2]
    pool.maxsize = 1
    pool.join()
    assert pool.spawn(int).get(timeout=10) == 0


def test_join_waits_for_every_call(pool):
    gate = Gate()
    results = [pool.spawn(gate, n) for n in range(3)]
    joiner = runtime.spawn(pool.join)
    runtime.sleep(0)
    assert not joiner.ready()
    gate.open.set()
    joiner.get(timeout=10)
    assert all(result.ready() for result in results)


def test_join_can_be_given_up(pool):
    gate = Gate()
    pool.spawn(gate)
    with runtime.Timeout(0.01, False):
        pool.join()
    gate.open.set()
    pool.join()


def test_a_killed_pool_starts_again(pool):
    assert pool.spawn(int).get(timeout=10) == 0
    pool.kill()
    assert pool.size == 0
    assert pool.spawn(int, 3).get(timeout=10) == 3


def test_idle_threads_end(hub):
    pool = ThreadPool(2, idle_task_timeout=0.01)
    assert pool.spawn(int).get(timeout=10) == 0
    with runtime.Timeout(10):
        while pool.size:
            runtime.sleep(0.005)
    assert pool.spawn(int, 4).get(timeout=10) == 4


def test_a_pool_that_is_dropped_lets_its_threads_end(hub):
    ended = threading.Event()

    class Local:
        def __del__(self):
            ended.set()

    box = threading.local()

    def work():
        box.value = Local()

    pool = ThreadPool(1)
    pool.spawn(work).get(timeout=10)
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert ended.wait(10)


def test_a_function_may_use_greenlets_and_its_hub_ends_with_the_thread(hub):
    loops = []

    def work():
        loops.append(runtime.get_hub().loop)
        reader = runtime.spawn(lambda: 7)
        runtime.sleep(0.001)
        return reader.get()

    pool = ThreadPool(1)
    assert pool.spawn(work).get(timeout=10) == 7
    assert loops[0] is not hub.loop
    assert not loops[0].closed
    pool.kill()
    assert loops[0].closed


def test_a_signals_handler_may_use_a_pool_while_the_program_does(hub):
    pool = ThreadPool(2)
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(pool._workers.put(lambda: None)))
    try:
        for n in range(50):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert pool.spawn(int, n).get(timeout=10) == n
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert seen
    pool.kill()


def test_many_calls_from_many_greenlets_are_each_made_once(pool):
    numbers = list(range(300))
    results = [runtime.spawn(lambda n: pool.spawn(lambda: n * n).get(), n) for n in numbers]
    runtime.joinall(results, timeout=20)
    assert [one.value for one in results] == [n * n for n in numbers]
    assert len(pool) == 0


def test_functions_are_mapped_over_iterables(pool):
    assert pool.map(abs, range(-5, 5)) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert list(pool.imap(pow, [2, 3], [3, 2])) == [8, 9]
    assert sorted(pool.imap_unordered(abs, range(-20, 0))) == list(range(1, 21))
    got = []
    assert pool.apply(pow, (2, 4)) == 16
    assert pool.apply_cb(pow, (2,), {"exp": 5}, callback=got.append) == 32
    assert pool.apply_async(pow, (2, 6), callback=got.append).get(timeout=10) == 64
    assert pool.map_async(abs, [-1, -2], got.append).get(timeout=10) == [1, 2]
    settle()
    assert got == [32, 64, [1, 2]]
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda n: 1 // n, [1, 0])


def test_apply_in_one_of_its_own_threads_calls_at_once(pool):
    pool.maxsize = 1
    assert pool.spawn(lambda: pool.apply(get_ident) == get_ident()).get(timeout=10)


def test_the_hub_has_a_pool_that_ends_with_it(hub):
    pool = hub.threadpool
    assert isinstance(pool, ThreadPool)
    assert hub.threadpool is pool
    assert (pool.maxsize, pool.apply(int, ("7",))) == (10, 7)
    hub.destroy()
    while pool.size:
        time.sleep(0.001)
    assert runtime.get_hub().threadpool is not pool


def test_waiting_for_a_thread_is_in_the_trace(pool, hub):
    gate = Gate()
    results = [pool.spawn(gate), runtime.spawn(run_in_thread, gate)]
    waiter = runtime.spawn(results[0].get)
    settle()
    gate.open.set()
    runtime.joinall([waiter, results[1]])
    reader = RingReader(hub.recorder.path)
    parks = [event for event in reader.read() if isinstance(event, Event) and event.kind == Kind.GREENLET_PARK]
    reader.close()
    assert [event.reason for event in parks].count(Wait.THREAD) >= 2


def test_two_threads_with_hubs_may_share_a_pool(pool):
    out = []

    def other():
        out.extend(pool.spawn(int, n).get(timeout=10) for n in range(20))

    thread = threading.Thread(target=other)
    thread.start()
    mine = [pool.spawn(int, n).get(timeout=10) for n in range(20)]
    thread.join(20)
    assert out == mine == list(range(20))


def test_a_result_whose_thread_has_ended_is_counted_as_done(pool):
    gate = Gate()

    def other():
        pool.spawn(gate)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    assert len(pool) == 1
    gate.open.set()
    pool.join()


def test_run_in_thread_raises_what_the_function_raised_and_can_be_killed(hub):
    with pytest.raises(ZeroDivisionError):
        run_in_thread(lambda: 1 / 0)
    gate = Gate()
    worker = runtime.spawn(run_in_thread, gate)
    runtime.sleep(0)
    worker.kill()
    assert worker.ready()
    gate.open.set()
    assert run_in_thread(lambda: 5) == 5


def test_the_child_of_a_fork_has_pools_that_work(pool):
    gate = Gate()
    held = pool.spawn(gate, "parent's")
    assert gate.entered.acquire(timeout=10)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if len(pool) == 0 and pool.spawn(int, 5).get(timeout=10) == 5 and run_in_thread(int, 6) == 6:
                pool.join()
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    gate.open.set()
    assert held.get(timeout=10) == "parent's"


# The executor.


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as made:
        yield made


def test_it_is_the_standard_librarys_kind(executor):
    future = executor.submit(pow, 2, 5)
    assert isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(timeout=10) == 32
    assert list(executor.map(int, "123")) == [1, 2, 3]


def test_a_future_raises_what_its_function_raised(executor):
    future = executor.submit(int, "x")
    assert isinstance(future.exception(timeout=10), ValueError)
    with pytest.raises(ValueError, match="invalid"):
        future.result()


def test_other_greenlets_run_while_one_waits_for_a_future(executor):
    gate = Gate()
    future = executor.submit(gate, 1)
    waiter = runtime.spawn(future.result)
    assert runtime.spawn(lambda: 7).get() == 7
    assert not waiter.ready()
    gate.open.set()
    assert waiter.get(timeout=10) == 1


def test_a_future_that_is_late_raises_the_standard_librarys_error_and_can_be_waited_for_again(executor):
    gate = Gate()
    future = executor.submit(gate, 1)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0.01)
    assert future._done_callbacks == []
    gate.open.set()
    assert future.result(timeout=10) == 1


def test_what_has_not_begun_can_be_cancelled(executor):
    gate = Gate()
    busy = [executor.submit(gate) for _ in range(2)]
    assert all(gate.entered.acquire(timeout=10) for _ in busy)
    later = executor.submit(int)
    waiter = runtime.spawn(later.result)
    runtime.sleep(0)
    assert later.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        waiter.get(timeout=10)
    gate.open.set()
    assert [future.result(timeout=10) for future in busy] == [None, None]


@pytest.mark.parametrize("functions", [threadpool, concurrent.futures])
def test_wait_and_as_completed(executor, functions):
    gate = Gate()
    slow, quick, failing = executor.submit(gate, 1), executor.submit(int, 2), executor.submit(int, "x")
    done, left = functions.wait([quick, slow], timeout=10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert (done, left) == ({quick}, {slow})
    done, left = functions.wait([slow, failing], timeout=10, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert (done, left) == ({failing}, {slow})
    assert functions.wait([slow], timeout=0.01).not_done == {slow}
    with pytest.raises(TimeoutError):
        list(functions.as_completed([slow], timeout=0.01))
    order = functions.as_completed([slow, quick, failing], timeout=10)
    assert {next(order), next(order)} == {quick, failing}
    gate.open.set()
    assert next(order) is slow
    assert functions.wait([slow, quick, failing], timeout=10).not_done == set()


def test_green_wait_lets_others_run_and_takes_any_future(executor):
    plain = concurrent.futures.Future()
    waiter = runtime.spawn(threadpool.wait, [plain, executor.submit(int)])
    runtime.sleep(0)
    assert not waiter.ready()
    plain.set_result(1)
    assert waiter.get(timeout=10).not_done == set()
    with pytest.raises(ValueError, match="return_when"):
        threadpool.wait([plain], return_when="SOON")


def test_an_executor_that_was_shut_down_takes_nothing_and_may_cancel_the_rest(executor):
    gate = Gate()
    busy = [executor.submit(gate, n) for n in range(2)]
    assert all(gate.entered.acquire(timeout=10) for _ in busy)
    later = [executor.submit(int) for _ in range(3)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in later)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)
    gate.open.set()
    executor.shutdown()
    assert [future.result() for future in busy] == [0, 1]


def test_each_thread_is_initialized_and_a_failing_initializer_breaks_the_executor(hub):
    box = threading.local()

    def initialize(value):
        box.value = value

    with ThreadPoolExecutor(2, initializer=initialize, initargs=(7,)) as executor:
        assert [executor.submit(lambda: box.value).result(timeout=10) for _ in range(4)] == [7] * 4
    with ThreadPoolExecutor(1, initializer=lambda: 1 / 0) as executor:
        first = executor.submit(int)
        with pytest.raises(concurrent.futures.BrokenExecutor) as raised:
            first.result(timeout=10)
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            executor.submit(int)


def test_no_thread_is_left(hub):
    before = _count()
    pool = ThreadPool(5)
    for result in [pool.spawn(int) for _ in range(5)]:
        result.get(timeout=10)
    pool.kill()
    with ThreadPoolExecutor(3) as executor:
        list(executor.map(int, range(10)))
    with runtime.Timeout(10):
        while _count() > before:
            runtime.sleep(0.005)
