"""The memory of greenlets' stacks is kept for the next ones, within bounds, whoever needs it."""

from __future__ import annotations

import os
import threading

import pytest

import greenscope.runtime as runtime

_stacks = pytest.importorskip("greenscope.runtime._stacks")


def deep(levels):
    return deep(levels - 1) + 1 if levels else 0


def test_the_stack_of_a_greenlet_that_ended_is_the_next_ones():
    for _ in range(3):
        runtime.spawn(deep, 3).join()
    before = _stacks.kept()
    for _ in range(100):
        runtime.spawn(deep, 3).join()
    assert 0 < _stacks.kept() == before


def test_no_more_are_kept_than_there_is_room_for():
    workers = [runtime.spawn(runtime.sleep, 0) for _ in range(1000)]
    runtime.joinall(workers)
    del workers
    assert 0 < _stacks.kept() <= 256


def test_what_was_left_in_a_stack_is_nobodys_variable():
    def fill():
        names = [f"name {number}" for number in range(50)]
        runtime.sleep(0)
        return deep(200) + len(names)

    def look():
        assert not {name for name in dir() if name.startswith("name")}
        return deep(200)

    for _ in range(20):
        results = runtime.joinall([runtime.spawn(fill) for _ in range(20)])
        assert {one.value for one in results} == {250}
        assert runtime.spawn(look).get() == 200


def test_threads_and_children_have_their_stacks_too():
    def work():
        runtime.joinall([runtime.spawn(deep, 100) for _ in range(50)])
        runtime.get_hub().destroy()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    child = os.fork()
    if not child:
        os._exit(0 if runtime.spawn(deep, 100).get() == 100 else 1)
    assert os.waitpid(child, 0)[1] == 0
