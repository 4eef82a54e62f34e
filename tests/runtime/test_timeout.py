"""Timeouts: when they fire, what they raise, and that they are forgotten in time."""

from __future__ import annotations

import gc
import time

import greenlet
import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, LoopExit, Timeout


def _spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_scope_raises_itself_when_its_time_is_over():
    with pytest.raises(Timeout) as caught:
        with Timeout(0.01) as timeout:
            runtime.sleep(60)
    assert caught.value is timeout
    assert not timeout.pending


def test_a_silent_scope_swallows_itself_and_only_itself():
    with Timeout(0.01, False):
        runtime.sleep(60)
    with pytest.raises(Timeout):
        with Timeout(60, False):
            with Timeout(0.01):
                runtime.sleep(60)


@pytest.mark.parametrize("error", [ValueError("mine"), ValueError])
def test_a_timeout_raises_what_it_is_given(error):
    with pytest.raises(ValueError):
        with Timeout(0.01, error):
            runtime.sleep(60)


def test_a_timeout_that_was_cancelled_does_not_fire():
    timeout = Timeout.start_new(0.01)
    assert timeout.pending
    timeout.cancel()
    timeout.close()
    assert not timeout.pending
    runtime.sleep(0.03)


def test_without_seconds_it_never_fires():
    with Timeout(None) as timeout:
        assert not timeout.pending
        runtime.sleep(0)


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all_is_over_at_the_next_wait(seconds):
    with pytest.raises(Timeout):
        with Timeout(seconds):
            Event().wait()


def test_a_second_start_is_refused():
    timeout = Timeout.start_new(60)
    with pytest.raises(AssertionError, match="already"):
        timeout.start()
    assert Timeout.start_new(timeout) is timeout
    timeout.cancel()
    timeout.start()
    timeout.cancel()


def test_two_that_fire_together_are_both_raised():
    seen = []
    outer, inner = Timeout(0.01), Timeout(0.005)
    with pytest.raises(Timeout) as caught, outer:
        try:
            with inner:
                _spin(0.02)
                runtime.sleep(60)
        except Timeout as error:
            seen.append(error)
        runtime.sleep(60)
    assert [*seen, caught.value] == [inner, outer]


def test_the_second_of_two_is_not_raised_once_its_scope_is_left():
    outer = Timeout(0.01)
    try:
        with outer, Timeout(0.01):
            runtime.sleep(60)
    except Timeout:
        pass
    runtime.sleep(0.03)
    assert not outer.pending


def test_it_is_raised_in_the_greenlet_that_started_it():
    def work():
        with Timeout(0.01, False):
            runtime.sleep(60)
        return "timed out"

    worker = runtime.spawn(work)
    runtime.sleep(0.03)
    assert worker.get() == "timed out"


def test_a_greenlet_that_ended_with_a_timeout_running_is_left_alone():
    worker = runtime.spawn(lambda: Timeout.start_new(0.01))
    worker.join()
    runtime.sleep(0.03)
    assert isinstance(worker.value, Timeout)


def test_times_are_never_cut_short():
    for seconds in (0.0101, 0.029):
        begin = time.monotonic()
        runtime.sleep(seconds)
        assert time.monotonic() - begin >= seconds - 0.001


def test_a_timeout_that_is_due_after_a_long_computation_is_not_early():
    _spin(0.03)
    with Timeout(0.02):  # by the loop's stale clock it would be over already
        runtime.sleep(0)


def test_a_due_timer_does_not_leave_the_hub_asleep():
    woken = []
    timeout = Timeout.start_new(0.005, ValueError)
    _spin(0.02)
    try:
        Event().wait()  # the timer is due before the poll; no other one is there to end it
    except ValueError:
        woken.append(True)
    finally:
        timeout.cancel()
    assert woken


def test_with_timeout_gives_the_value_or_the_substitute():
    assert runtime.with_timeout(60, lambda a: a, 1) == 1
    assert runtime.with_timeout(0.01, runtime.sleep, 60, timeout_value="late") == "late"
    with pytest.raises(Timeout):
        runtime.with_timeout(0.01, runtime.sleep, 60)


def test_it_says_how_long():
    assert str(Timeout(1)) == "1 second"
    assert str(Timeout(2.5)) == "2.5 seconds"
    assert "silent" in str(Timeout(2, False))
    assert str(Timeout(2, "too slow")).endswith("too slow")
    assert repr(Timeout(None)) == "<Timeout never>"


def test_a_thousand_timeouts_use_few_timers(hub):
    for _ in range(1000):
        with Timeout(60):
            pass
    assert len(hub.loop._uv.handles) < 20


def test_many_zero_sleeps_do_not_starve_the_loop():
    done = Event()

    def spin():
        while not done.is_set():
            runtime.sleep(0)

    spinner = runtime.spawn(spin)
    runtime.sleep(0.01)
    done.set()
    spinner.join()


def test_nothing_is_early():
    for ms in (1, 2, 3, 5):
        began = time.monotonic()
        runtime.sleep(ms / 1000)
        assert time.monotonic() - began >= ms / 1000
        began = time.monotonic()
        with pytest.raises(Timeout), Timeout(ms / 1000):
            runtime.sleep(60)
        assert time.monotonic() - began >= ms / 1000


def test_a_timeout_ends_a_greenlet_that_waits_for_another_by_switching_to_it(hub):
    def inner():
        runtime.sleep(60)

    def outer():
        with Timeout(0.001, False):
            greenlet.greenlet(inner).switch()
        return "over"

    assert runtime.spawn(outer).get(timeout=5) == "over"
    gc.collect()
    hub.loop.active = 0  # nobody ends the inner one, whose sleep was to keep the loop alive


def test_a_sleep_that_does_not_keep_the_loop_alive():
    sleeper = runtime.spawn(runtime.sleep, 60, ref=False)
    with pytest.raises(LoopExit):
        sleeper.join()
    sleeper.kill()
    assert runtime.sleep(0.001, ref=True) is None


def test_timeouts_that_end_before_the_hub_runs_cost_no_timer_and_leave_nothing(hub):
    before = len(hub.loop._uv.handles)
    for _ in range(100):
        with Timeout(60), Timeout(50):
            pass
    assert hub.loop.unarmed == [] and len(hub.loop._uv.handles) == before


def test_a_timeout_that_began_long_before_the_hub_runs_counts_from_its_beginning():
    with pytest.raises(Timeout), Timeout(0.02):
        _spin(0.03)
        runtime.sleep(60)


def test_timeouts_due_together_are_raised_in_the_order_of_their_start():
    order = []

    def wait(number):
        try:
            with Timeout(0.001):
                runtime.sleep(60)
        except Timeout:
            order.append(number)

    runtime.joinall([runtime.spawn(wait, number) for number in range(5)])
    assert order == [0, 1, 2, 3, 4]
