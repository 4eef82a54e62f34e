"""Events and results: who is woken, who is called, and what is provided."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, Event, Timeout


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def test_an_event_wakes_everybody():
    event = Event()
    workers = [runtime.spawn(event.wait) for _ in range(3)]
    settle()
    assert not any(worker.ready() for worker in workers)
    event.set()
    runtime.joinall(workers)
    assert [worker.value for worker in workers] == [True] * 3
    event.clear()
    assert not event.is_set() and event.wait(timeout=0.01) is False


def test_a_result_is_provided_once_for_all():
    result = AsyncResult()
    worker = runtime.spawn(result.get)
    with pytest.raises(Timeout):
        result.get(timeout=0.01)
    with pytest.raises(Timeout):
        result.get_nowait()
    result.set(5)
    assert worker.get() == result.get() == result.wait() == 5 and result.successful()
    result.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        result.get()


def test_a_killed_or_impatient_waiter_leaves_the_line():
    for one in (Event(), AsyncResult()):
        worker = runtime.spawn(one.wait)
        impatient = runtime.spawn(one.wait, 0.001)
        settle()
        assert one.linkcount() == 2
        worker.kill()
        assert not impatient.get()
        assert one.linkcount() == 0


def test_who_waited_was_woken_even_if_the_flag_is_taken_back_at_once():
    event = Event()
    worker = runtime.spawn(event.wait)
    settle()
    event.set()
    event.clear()
    assert worker.get() is True
    assert event.isSet() is event.ready() is event.is_set() is False


def test_links_are_called_once_in_the_hub_and_may_be_undone():
    for one, ready in ((Event(), Event.set), (AsyncResult(), AsyncResult.set)):
        seen = []
        one.rawlink(lambda source, seen=seen: seen.append((source, runtime.getcurrent())))
        one.rawlink(print)
        one.unlink(print)
        one.unlink("never linked")
        ready(one)
        ready(one)
        settle()
        assert seen == [(one, runtime.get_hub())]
        one.rawlink(seen.append)
        settle()
        assert seen[1:] == [one]
        with pytest.raises(TypeError, match="5"):
            one.rawlink(5)


def test_an_exception_in_a_link_is_printed_and_the_others_are_called(capsys):
    event, seen = Event(), []
    event.rawlink(lambda _: 1 / 0)
    event.rawlink(seen.append)
    event.set()
    settle()
    assert seen == [event]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_result_says_how_it_is():
    result = AsyncResult()
    assert not result.ready() and not result.successful() and result.value is None
    assert result.exception is None and result.exc_info == ()
    assert result.cancel() is False and result.cancelled() is False and not result.done()
    assert result.wait(timeout=0) is None
    result.set_result(3)
    assert result.done() and result.successful() and result.result() == result.get_nowait() == 3


def test_a_result_keeps_an_exception_with_its_traceback():
    result = AsyncResult()
    try:
        raise KeyError("x")
    except KeyError as error:
        result.set_exception(error, sys.exc_info())
    assert result.ready() and not result.successful() and result.value is None
    kind, value, trace = result.exc_info
    assert kind is KeyError and value is result.exception and trace is not None
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            result.get()
        assert [entry.name for entry in caught.traceback].count("get") == 1
    assert result.wait() is None
    result.set_exception(ValueError)
    with pytest.raises(ValueError):
        result.result(timeout=1)


def test_the_time_for_a_result_is_over():
    result = AsyncResult()
    with pytest.raises(Timeout):
        result.result(timeout=0.001)
    with pytest.raises(KeyError):
        result.get(timeout=Timeout(0.001, KeyError))
    with pytest.raises(Timeout) as caught, Timeout(0.001) as outer:
        result.get(timeout=60)
    assert caught.value is outer
    assert result.linkcount() == 0


def test_a_result_takes_over_how_something_ended():
    class Ended:
        value = 5
        exception = ValueError("no")

        def __init__(self, well):
            self.successful = lambda: well

    result = AsyncResult()
    result(Ended(True))
    assert result.get() == 5
    result(Ended(False))
    assert result.exception is Ended.exception


def test_events_leave_nothing_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        for make in (Event, AsyncResult):
            one = make()
            worker = runtime.spawn(one.wait)
            one.rawlink(print)
            settle()
            one.unlink(print)
            worker.kill()
            one.wait(timeout=0)
            reference = weakref.ref(one)
            del one, worker
            settle()
            assert reference() is None
        assert gc.collect() == 0
    finally:
        gc.enable()
