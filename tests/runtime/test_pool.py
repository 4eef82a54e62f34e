"""Groups and pools: who is in, who waits for room, and calls in many greenlets."""

from __future__ import annotations

import gc
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Greenlet, GreenletExit
from greenscope.runtime.pool import Group, Pool, PoolFull
from greenscope.runtime.queue import Full


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def double(number):
    runtime.sleep(0)
    return number * 2


@pytest.fixture(params=[Group, Pool, lambda: Pool(2), lambda: Pool(1)], ids=["Group", "Pool", "Pool2", "Pool1"])
def group(request):
    return request.param()


def test_a_greenlet_is_in_the_group_until_it_ends(group):
    release = Event()
    worker = group.spawn(release.wait)
    assert worker in group and len(group) == 1 and list(group) == [worker] and bool(group)
    assert group.join(timeout=0.001) is False
    release.set()
    assert group.join() is True
    assert not group and len(group) == 0 and worker not in group and worker.value is True


def test_what_was_started_elsewhere_can_be_added_and_taken_out(group):
    worker = runtime.spawn(runtime.sleep, 60)
    group.add(worker)
    assert worker in group
    group.discard(worker)
    group.discard(worker)
    assert worker not in group and group.join() is True and not worker.has_links()
    worker.kill()
    ended = runtime.spawn(int)
    ended.join()
    group.add(ended)
    settle()
    assert len(group) == 0
    bare = runtime.spawn_raw(runtime.sleep, 60)
    group.add(bare)
    group.kill()
    assert bare.dead and len(group) == 0


def test_kill_ends_all_and_those_added_meanwhile(group):
    added = []

    def stubborn():
        try:
            runtime.sleep(60)
        except GreenletExit:
            if not group.full():
                added.append(group.spawn(runtime.sleep, 60))

    worker = group.spawn(stubborn)
    settle()
    group.kill(timeout=5)
    assert worker.dead and len(group) == 0 and all(one.dead for one in added)
    group.kill()


def test_kill_may_be_without_waiting_and_with_a_time_and_an_exception(group):
    worker = group.spawn(runtime.sleep, 60)
    settle()
    group.kill(KeyError, block=False)
    assert not worker.dead
    group.join()
    assert isinstance(worker.exception, KeyError)
    release = Event()

    def stubborn():
        try:
            runtime.sleep(60)
        except GreenletExit:
            release.wait()

    worker = group.spawn(stubborn)
    settle()
    group.kill(timeout=0.001)
    assert not worker.dead
    release.set()
    group.join()


def test_killone_ends_one_that_is_in(group):
    worker, stranger = group.spawn(runtime.sleep, 60), Greenlet(print)
    settle()
    group.killone(stranger)
    group.killone(worker)
    assert worker.dead and not stranger.dead and len(group) == 0


def test_join_raises_what_one_of_them_raised_if_asked_to(group, capsys):
    def fail():
        raise ValueError("q")

    group.spawn(fail)
    assert group.join() is True
    group.spawn(fail)
    with pytest.raises(ValueError, match="q"):
        group.join(raise_error=True)


def test_apply_calls_in_a_greenlet_and_here_if_one_of_the_group_asks(group):
    assert group.apply(divmod, (5, 3)) == (1, 2)
    assert group.apply(dict, kwds={"a": 1}) == {"a": 1}
    assert group.spawn(lambda: group.apply(runtime.getcurrent)).get() not in (None, runtime.getcurrent())
    with pytest.raises(ZeroDivisionError):
        group.apply(divmod, (1, 0))


def test_apply_async_never_waits_and_calls_back_with_the_result(group, capsys):
    results = []
    busy = group.spawn(runtime.sleep, 0.002)
    calls = [group.apply_async(double, (number,), callback=results.append) for number in range(3)]
    failing = group.apply_async(divmod, (1, 0), callback=results.append)
    assert not busy.dead
    runtime.joinall([*calls, failing])
    settle()
    assert sorted(results) == [0, 2, 4]
    assert group.apply_async(dict, kwds={"a": 1}).get() == {"a": 1}
    assert group.apply_cb(double, (4,), callback=results.append) == 8
    settle()
    assert results[-1] == 8
    group.join()


def test_map_gives_results_in_order(group):
    assert group.map(double, range(7)) == [0, 2, 4, 6, 8, 10, 12]
    assert group.map(double, []) == []
    results = []
    assert group.map_async(double, [1, 2], results.append).get() == [2, 4]
    assert group.map_cb(double, [3], results.append) == [6]
    assert results == [[2, 4], [6]]


def test_imap_gives_results_in_order_whatever_ends_first(group):
    def wait(seconds, name):
        runtime.sleep(seconds)
        return name

    assert list(group.imap(wait, [0.003, 0.002, 0.001], "abc")) == ["a", "b", "c"]
    assert list(group.imap(divmod, [5, 6, 7], [2, 3])) == [(2, 1), (2, 0)]
    assert sorted(group.imap_unordered(double, range(5), maxsize=1)) == [0, 2, 4, 6, 8]


def test_imap_unordered_gives_results_as_they_come():
    def wait(seconds):
        runtime.sleep(seconds)
        return seconds

    assert list(Pool(3).imap_unordered(wait, [0.02, 0.001, 0.01])) == [0.001, 0.01, 0.02]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_a_call_that_fails_raises_when_its_turn_comes_and_the_others_follow(name, capsys):
    def fail_at_two(number):
        if number == 2:
            raise KeyError(number)
        return number

    results = getattr(Pool(1), name)(fail_at_two, [1, 2, 3])
    assert next(results) == 1
    with pytest.raises(KeyError):
        next(results)
    assert next(results) == 3
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)
    with pytest.raises(KeyError):
        Pool(2).map(fail_at_two, [1, 2, 3])


def failing_arguments():
    yield 1
    yield 2
    raise KeyError("arguments")


def test_arguments_that_fail_raise_after_what_came_before_them():
    results = Pool(2).imap(double, failing_arguments())
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(KeyError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_arguments_that_fail_raise_when_they_do_if_the_order_does_not_matter():
    results = Pool(2).imap_unordered(double, failing_arguments())
    with pytest.raises(KeyError):
        next(results)
    assert sorted(results) == [2, 4]


def test_imap_takes_no_more_arguments_than_it_has_use_for():
    taken, release = [], Event()

    def arguments():
        for number in range(100):
            taken.append(number)
            yield number

    results = Pool(2).imap(lambda number: number, arguments(), maxsize=3)
    settle()
    runtime.sleep(0.002)
    assert len(taken) == 4
    assert next(results) == 0
    runtime.sleep(0.002)
    assert len(taken) == 5
    results.kill()
    taken.clear()
    pool = Pool(2)
    results = pool.imap_unordered(lambda _: release.wait(), arguments())
    runtime.sleep(0.002)
    assert len(taken) == 3
    release.set()
    assert len(list(results)) == 100
    with pytest.raises(ValueError, match="-1"):
        pool.imap(int, [1], maxsize=-1)


def test_an_imap_that_is_killed_ends():
    pool = Pool(1)
    results = pool.imap(double, range(100))
    results.kill()
    assert list(results) == []
    results = pool.imap_unordered(double, range(100))
    first = next(results)
    results.kill()
    assert [first, *results][0] == 0


def test_a_full_pool_lets_in_who_waits_when_there_is_room():
    pool, release = Pool(2), Event()
    for _ in range(2):
        pool.spawn(release.wait)
    assert pool.full() and pool.free_count() == 0 and len(pool) == 2
    third = runtime.spawn(pool.spawn, lambda: "in")
    available = runtime.spawn(pool.wait_available)
    settle()
    assert not third.ready() and pool.wait_available(timeout=0.001) == 0
    release.set()
    assert third.get().get() == "in" and available.get() > 0
    pool.join()
    assert pool.free_count() == 2


def test_a_full_pool_refuses_whom_it_is_told_not_to_wait_for():
    pool = Pool(1)
    inside = pool.spawn(runtime.sleep, 60)
    assert issubclass(PoolFull, Full)
    for how in ({"blocking": False}, {"timeout": 0.001}):
        newcomer = Greenlet(int)
        for method in (pool.add, pool.start):
            with pytest.raises(PoolFull):
                method(newcomer, **how)
        assert not newcomer.started and newcomer not in pool
    inside.kill()
    settle()
    assert pool.free_count() == 1
    pool.start(newcomer, blocking=False)
    assert newcomer.get() == 0


def test_a_kill_of_who_waits_for_room_leaves_the_room():
    pool = Pool(1)
    inside = pool.spawn(runtime.sleep, 60)
    waiting = runtime.spawn(pool.spawn, int)
    settle()
    waiting.kill()
    inside.kill()
    pool.join()
    assert pool.free_count() == 1


def test_who_is_in_twice_takes_one_place():
    pool = Pool(2)
    worker = pool.spawn(runtime.sleep, 60)
    pool.add(worker)
    assert pool.free_count() == 1
    pool.kill()
    assert pool.free_count() == 2


def test_sizes_of_pools():
    assert (Pool(0).full(), Pool(0).free_count(), Pool(0).size) == (True, 0, 0)
    assert (Pool().full(), Pool().free_count(), Pool().size, Pool().wait_available()) == (False, 1, None, 1)
    assert Pool(3).wait_available() == 3
    with pytest.raises(ValueError, match="-1"):
        Pool(-1)
    with pytest.raises(PoolFull):
        Pool(0).add(Greenlet(int), blocking=False)
    assert Group().full() is False and Group().wait_available() is None


def test_a_group_makes_what_it_is_told_to():
    class Mine(Greenlet):
        pass

    class Mines(Group):
        greenlet_class = Mine

    assert type(Pool(1, greenlet_class=Mine).spawn(int)) is Mine
    mines = Mines()
    assert type(mines.spawn(int)) is Mine
    mines.join()
    others = [runtime.spawn(int) for _ in range(2)]
    assert len(Group(others)) == 2
    runtime.joinall(others)


def test_no_more_run_at_once_than_the_pool_holds():
    pool, inside, most = Pool(3), [0], [0]

    def work(_number):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        runtime.sleep(0)
        inside[0] -= 1

    pool.map(work, range(50))
    assert most == [3] and len(pool) == 0 and pool.free_count() == 3


def test_pools_leave_nothing_for_the_garbage_collector():
    def once():
        pool = Pool(2)
        assert list(pool.imap(double, range(5))) == [0, 2, 4, 6, 8]
        pool.spawn(runtime.sleep, 60)
        pool.kill()
        settle()
        return weakref.ref(pool)

    once()
    gc.collect()
    gc.disable()
    try:
        assert once()() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_was_killed_before_it_ran_leaves_nothing_in_the_group(group):
    worker = group.spawn(print)
    group.kill()
    assert worker.dead and not group.greenlets and not group.dying
    group.killone(group.spawn(print))
    assert not group.greenlets and not group.dying
