"""Greenlet-local values: everybody has their own, and they go with whoever ends first, greenlet or local."""

from __future__ import annotations

import gc
import importlib.util
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import local as local_module
from greenscope.runtime.current import current


class Thing:
    """Something to see the end of."""


def classes_of(local):
    """Locals with all that a class can have."""

    class Prepared(local):
        """A local with all that a class can have."""

        shared = "class"
        count = 0

        def __init__(self, *arguments, **keywords):
            Prepared.count += 1
            self.arguments = arguments
            self.keywords = keywords

        @property
        def doubled(self):
            return self.number * 2

        @doubled.setter
        def doubled(self, value):
            self.number = value / 2

        def method(self):
            return self.arguments

    class Slotted(local):
        __slots__ = ("slot",)

    class Fallback(local):
        def __getattr__(self, name):
            return f"no {name}"

    return SimpleNamespace(local=local, Prepared=Prepared, Slotted=Slotted, Fallback=Fallback)


@pytest.fixture(params=["as built", "in Python"])
def kinds(request, monkeypatch):
    """Locals as they are, and as they are where the extension could not be built."""
    if request.param == "as built":
        return classes_of(local_module.local)
    monkeypatch.setitem(sys.modules, "greenscope.runtime._local", None)
    spec = importlib.util.spec_from_file_location("local_in_python", local_module.__file__)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    twin._Token = local_module._Token  # a greenlet has one, whatever its locals are made of
    assert "__getattribute__" in vars(twin.Base) and twin.Base.__module__ == "greenscope.runtime.local_base"
    return classes_of(twin.local)


@pytest.fixture
def local(kinds):
    return kinds.local


def test_everybody_sees_values_of_their_own(local):
    mine = local()
    mine.x = "main"
    seen = []

    def work(number):
        assert not hasattr(mine, "x")
        mine.x = number
        runtime.sleep(0)
        seen.append(mine.x)

    workers = [runtime.spawn(work, number) for number in range(3)]
    runtime.spawn_raw(work, "bare")
    runtime.joinall(workers, raise_error=True)
    runtime.sleep(0)
    assert seen == [0, 1, 2, "bare"] and mine.x == "main"


def test_it_works_in_every_thread_without_a_hub_too(local):
    mine, seen = local(), {}
    mine.x = "main"

    def plain():
        seen["before"] = hasattr(mine, "x")
        mine.x = "thread"
        seen["after"] = mine.x
        seen["hub"] = current.hub

    def with_hub():
        runtime.spawn(setattr, mine, "x", 5).join()
        seen["greenlet"] = hasattr(mine, "x")
        runtime.get_hub().destroy()

    for function in (plain, with_hub):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
    assert seen == {"before": False, "after": "thread", "hub": None, "greenlet": False}
    assert mine.x == "main"


def test_attributes_that_are_not_there_are_told_as_usual(kinds, local):
    mine = local()
    with pytest.raises(AttributeError, match="'local' object has no attribute 'x'"):
        _ = mine.x
    with pytest.raises(AttributeError, match="'local' object has no attribute 'x'"):
        del mine.x
    mine.x = 1
    del mine.x
    assert not hasattr(mine, "x")
    assert getattr(mine, "x", 5) == 5
    assert kinds.Fallback().x == "no x"


def test_the_dictionary_is_ones_own_and_cannot_be_replaced(local):
    mine = local()
    mine.x = 1
    assert mine.__dict__ == {"x": 1}
    mine.__dict__["y"] = 2
    assert mine.y == 2 and "y" in dir(mine) and vars(mine) is mine.__dict__
    assert runtime.spawn(lambda: mine.__dict__).get() == {}
    with pytest.raises(AttributeError, match="read-only"):
        mine.__dict__ = {}
    with pytest.raises(AttributeError, match="read-only"):
        del mine.__dict__


def test_init_is_called_for_everybody_with_the_same_arguments(kinds, local):
    kinds.Prepared.count = 0
    mine = kinds.Prepared(1, key="word")
    mine.arguments = "changed"
    assert kinds.Prepared.count == 1

    def look():
        return mine.arguments, mine.keywords, mine.method(), mine.shared

    assert runtime.spawn(look).get() == ((1,), {"key": "word"}, (1,), "class")
    assert runtime.spawn(setattr, mine, "y", 1).get() is None
    assert kinds.Prepared.count == 3 and mine.arguments == "changed" and not hasattr(mine, "y")
    with pytest.raises(TypeError, match="not supported"):
        local(1)


def test_an_init_that_fails_is_called_again(local):
    class Fails(local):
        calls = 0

        def __init__(self):
            Fails.calls += 1
            if Fails.calls == 2:
                raise ValueError("now")
            self.x = Fails.calls

    mine = Fails()

    def work():
        with pytest.raises(ValueError, match="now"):
            _ = mine.x
        return mine.x

    assert runtime.spawn(work).get() == 3 and mine.x == 1


def test_properties_and_slots_of_a_subclass_work(kinds):
    mine = kinds.Prepared()
    mine.doubled = 8
    assert mine.number == 4 and mine.doubled == 8 and "doubled" not in mine.__dict__
    with pytest.raises(AttributeError):
        del mine.doubled
    slotted = kinds.Slotted()
    slotted.slot = "shared"
    slotted.other = "mine"
    assert runtime.spawn(lambda: (slotted.slot, hasattr(slotted, "other"))).get() == ("shared", False)
    del slotted.slot
    assert not hasattr(slotted, "slot")


def test_the_values_go_with_the_greenlet_even_if_somebody_keeps_that(local):
    mine, references = local(), []

    def work():
        mine.thing = Thing()
        references.append(weakref.ref(mine.thing))
        runtime.sleep(0)

    gc.disable()
    try:
        worker = runtime.spawn(work)
        raw = runtime.spawn_raw(work)
        runtime.sleep(0)
        assert all(one() is not None for one in references)
        worker.join()
        assert references[0]() is None and worker.dead
        runtime.sleep(0)
        del raw
        assert references[1]() is None
    finally:
        gc.enable()


def test_the_values_go_with_the_local(local):
    mine = local()
    mine.thing = Thing()
    reference = weakref.ref(mine.thing)
    gc.disable()
    try:
        del mine
        assert reference() is None
    finally:
        gc.enable()


def test_a_local_among_its_own_values_can_be_collected(local):
    thing = Thing()
    thing.local = local()
    thing.local.thing = thing
    reference = weakref.ref(thing)
    del thing
    gc.collect()
    assert reference() is None


def test_nothing_is_left_of_many_greenlets_or_many_locals(kinds, local):
    mine = kinds.Prepared()

    def work():
        mine.x = 1

    for _ in range(10):
        runtime.joinall([runtime.spawn(work) for _ in range(20)])
    assert len(object.__getattribute__(mine, "_local__values")) == 1
    for _ in range(1000):
        local().x = 1
    assert len(runtime.getcurrent()._locals.locals) < 200


def test_what_ends_with_the_greenlet_may_use_the_local(local):
    mine, seen = local(), []

    class Last:
        def __del__(self):
            mine.late = 1
            seen.append(mine.late)

    def work():
        mine.last = Last()

    runtime.spawn(work).join()
    runtime.sleep(0)
    assert seen == [1] and not hasattr(mine, "late")


def test_a_name_that_is_no_string_is_refused(local):
    values = local()
    with pytest.raises(TypeError, match="string"):
        type(values).__setattr__(values, 5, 1)
    with pytest.raises(TypeError, match="string"):
        type(values).__getattribute__(values, 5)
