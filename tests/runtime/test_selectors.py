"""The green selectors: the standard library's interface and errors, and waits that let others run."""

from __future__ import annotations

import selectors as stdlib
import socket as stdlib_socket

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import GreenletExit, Timeout, selectors, socket

CLASSES = [getattr(selectors, name) for name in selectors.__implements__]


@pytest.fixture(params=CLASSES, ids=lambda each: each.__name__)
def selector(request):
    with request.param() as made:
        yield made


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def test_the_default_is_one_that_takes_any_number_and_gevents_name_for_it():
    assert selectors.DefaultSelector.__name__ == stdlib.DefaultSelector.__name__
    assert selectors.GeventSelector is selectors.DefaultSelector
    assert issubclass(selectors.DefaultSelector, stdlib.BaseSelector)
    assert selectors.EVENT_READ == stdlib.EVENT_READ and selectors.SelectorKey is stdlib.SelectorKey


def test_others_run_until_something_is_ready(selector, pair):
    one, other = pair
    key = selector.register(one, selectors.EVENT_READ, "data")
    waiting = runtime.spawn(selector.select)
    settle()
    assert not waiting.ready()
    other.send(b"x")
    assert waiting.get() == [(key, selectors.EVENT_READ)]
    assert key == selectors.SelectorKey(one, one.fileno(), selectors.EVENT_READ, "data")


def test_both_directions_and_the_time(selector, pair):
    one, other = pair
    selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
    [(_, events)] = selector.select(0)
    assert events == selectors.EVENT_WRITE
    selector.modify(one, selectors.EVENT_READ)
    assert selector.select(0.001) == []
    assert selector.select(0) == selector.select(-1) == []
    other.send(b"x")
    [(_, events)] = selector.select()
    assert events == selectors.EVENT_READ


def test_what_is_wrong_is_refused(selector, pair):
    one, _ = pair
    with pytest.raises(ValueError):
        selector.register(one, 0)
    with pytest.raises(ValueError):
        selector.register("x", 1)
    with pytest.raises(ValueError):
        selector.register(-1, 1)
    selector.register(one, 1)
    with pytest.raises(KeyError):
        selector.register(one, 1)
    selector.unregister(one)
    with pytest.raises(KeyError):
        selector.unregister(one)
    with pytest.raises(KeyError):
        selector.modify(one, 1)
    with pytest.raises(KeyError):
        selector.get_key(one)
    selector.close()
    with pytest.raises(RuntimeError):
        selector.get_key(one)
    assert selector.get_map() is None


def test_a_greenlet_can_be_killed_and_time_out_in_select(selector, pair, hub):
    selector.register(pair[0], selectors.EVENT_READ)
    waiting = runtime.spawn(selector.select)
    settle()
    waiting.kill()
    assert isinstance(waiting.value, GreenletExit)
    with pytest.raises(Timeout):
        with Timeout(0.005):
            selector.select()
    assert hub.loop.active == 0


def test_hundreds_of_sockets(selector):
    pairs = [socket.socketpair() for _ in range(200)]
    for number, (one, _) in enumerate(pairs):
        selector.register(one, selectors.EVENT_READ, number)
    waiting = runtime.spawn(selector.select)
    settle()
    for _, other in pairs[::3]:
        other.send(b"x")
    assert {key.data for key, _ in waiting.get()} == set(range(0, 200, 3))
    for one, other in pairs:
        one.close()
        other.close()


def test_the_standard_librarys_sockets_can_be_waited_for_too(selector):
    one, other = stdlib_socket.socketpair()
    with one, other:
        selector.register(one, selectors.EVENT_READ)
        waiting = runtime.spawn(selector.select)
        settle()
        other.send(b"x")
        assert [key.fileobj for key, _ in waiting.get()] == [one]


def test_a_selector_leaves_nothing_in_the_loop(selector, pair, hub):
    before = set(hub.loop._descriptors)
    selector.register(pair[0], selectors.EVENT_READ)
    selector.select(0.001)
    selector.close()
    assert set(hub.loop._descriptors) == before
