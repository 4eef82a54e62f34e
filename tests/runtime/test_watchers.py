"""Watchers, by gevent's interface: what fires them, whom they tell, and what ends them."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, LoopExit, Timeout
from greenscope.runtime.hub import ConcurrentObjectUseError, Waiter


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_watcher_calls_a_function_each_time_until_it_is_stopped(hub, pair):
    mine, theirs = pair
    got, enough = [], Event()
    watcher = hub.loop.io(mine.fileno(), 1)

    def readable(prefix):
        got.append(prefix + mine.recv(1))
        if len(got) == 3:
            watcher.stop()
            enough.set()

    watcher.start(readable, b"got ")
    assert watcher.active and watcher.args == (b"got ",)
    theirs.send(b"abcd")
    assert enough.wait(5)
    assert got == [b"got a", b"got b", b"got c"]
    assert not watcher.active and watcher.callback is None
    watcher.close()


def test_several_watchers_of_one_descriptor_all_fire(hub, pair):
    mine, theirs = pair
    watchers = [hub.loop.io(mine.fileno(), events) for events in (1, 1, 3, 2)]
    fired = []
    for number, watcher in enumerate(watchers[1:], 1):
        watcher.start(lambda number=number: (fired.append(number), watchers[number].stop()))
    waiting = runtime.spawn(hub.wait, watchers[0])
    runtime.sleep(0)
    theirs.send(b"x")
    waiting.get(timeout=5)
    runtime.sleep(0.001)
    assert sorted(fired) == [1, 2, 3]
    for watcher in watchers:
        watcher.close()
    assert hub.loop._descriptors == {}


def test_a_watcher_that_was_started_cannot_be_waited_on_and_the_other_way_round(hub, pair):
    watcher = hub.loop.io(pair[0].fileno(), 1)
    watcher.start(print)
    with pytest.raises(ConcurrentObjectUseError, match="it was started"):
        hub.wait(watcher)
    watcher.stop()
    waiting = runtime.spawn(hub.wait, watcher)
    runtime.sleep(0)
    with pytest.raises(AssertionError, match="a greenlet waits"):
        watcher.start(print)
    waiting.kill()
    watcher.close()


@pytest.mark.parametrize("events", [0, 4, "r", None])
def test_events_that_there_are_not_are_refused(hub, pair, events):
    with pytest.raises(ValueError, match="to read"):
        hub.loop.io(pair[0].fileno(), events)


def test_who_watches_a_descriptor_that_is_closed_is_told(hub, pair):
    mine, _ = pair
    called = Event()
    with_callback, with_greenlet = hub.loop.io(mine.fileno(), 1), hub.loop.io(mine.fileno(), 1)
    with_callback.start(called.set)
    waiting = runtime.spawn(hub.wait, with_greenlet)
    runtime.sleep(0)
    assert hub.loop.closing_fd(mine.fileno())
    mine.close()
    with pytest.raises(OSError, match="closed"):
        waiting.get(timeout=5)
    assert called.wait(5)


def test_a_timer_fires_again_and_again_or_once(hub):
    ticks, enough = [], Event()
    once, often = hub.loop.timer(0.001), hub.loop.timer(0.001, repeat=0.001)
    once.start(ticks.append, "once")
    often.start(lambda: (ticks.append("often"), len(ticks) > 4 and enough.set()))
    assert enough.wait(5)
    assert ticks.count("once") == 1
    assert not once.active and often.active
    often.close()
    once.close()
    assert hub.loop.active == 0


def test_a_greenlet_waits_on_a_timer(hub):
    timer = hub.loop.timer(0.001)
    hub.wait(timer)
    assert not timer.active
    timer.close()


def test_a_timer_that_does_not_count_ends_nothing(hub):
    timer = hub.loop.timer(60, ref=False)
    timer.start(print)
    with pytest.raises(LoopExit):
        Event().wait()
    timer.ref = True
    assert hub.loop.active == 1
    timer.close()
    assert hub.loop.active == 0


def test_send_fires_an_async_watcher_from_another_thread(hub):
    watcher = hub.loop.async_()
    _thread.start_new_thread(watcher.send, ())
    with Timeout(5):
        hub.wait(watcher)
    watcher.close()


def test_a_signal_watcher_stands_in_for_the_handler_and_gives_it_back(hub):
    before = signal.getsignal(signal.SIGUSR1)
    watcher = hub.loop.signal(signal.SIGUSR1)
    hub.run_callback(os.kill, os.getpid(), signal.SIGUSR1)
    with Timeout(5):
        hub.wait(watcher)
    assert signal.getsignal(signal.SIGUSR1) == before
    watcher.close()
    with pytest.raises(ValueError, match="no signal 9999"):
        hub.loop.signal(9999)


def test_a_child_watcher_takes_the_status_of_its_process_and_no_other(hub):
    children = [subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"]) for code in (3, 4)]
    watcher = hub.loop.child(children[0].pid)
    with Timeout(20):
        hub.wait(watcher)
    assert (watcher.rpid, os.waitstatus_to_exitcode(watcher.rstatus)) == (children[0].pid, 3)
    watcher.close()
    assert children[1].wait(20) == 4
    children[0].returncode = 3


def test_a_child_that_somebody_else_waited_for_is_said_to_be_gone(hub):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(20)
    with pytest.raises(ChildProcessError, match="no child process"):
        hub.loop.child(child.pid).start(print)
    with pytest.raises(ValueError, match="0 is none"):
        hub.loop.child(0)


def test_a_child_is_watched_without_pidfd_too(hub, monkeypatch):
    from greenscope.runtime import watchers

    monkeypatch.setattr(watchers, "_pidfd_open", None)
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
    watcher = hub.loop.child(child.pid)
    with Timeout(20):
        hub.wait(watcher)
    assert os.waitstatus_to_exitcode(watcher.rstatus) == 5
    watcher.close()
    child.returncode = 5


def test_check_and_prepare_fire_in_each_round(hub):
    for watcher in (hub.loop.check(), hub.loop.prepare()):
        with Timeout(5):
            for _ in range(2):
                sleeper = runtime.spawn(runtime.sleep, 0.001)  # ends the poll
                hub.wait(watcher)
                sleeper.join()
        watcher.close()


def test_idle_waits_until_there_is_nothing_else_to_do(hub):
    order = []

    def busy():
        for _ in range(5):
            order.append("busy")
            runtime.sleep(0)

    runtime.spawn(busy)
    with Timeout(5):
        runtime.idle()
    assert order == ["busy"] * 5


def test_callbacks_run_in_order_and_can_be_stopped(hub):
    seen = []
    kept = [hub.run_callback(seen.append, number) for number in range(4)]
    kept[1].stop()
    assert kept[0].pending and not kept[1].pending
    runtime.sleep(0)
    assert seen == [0, 2, 3]
    assert not kept[0].pending


def test_a_callback_comes_from_another_thread(hub):
    called = Event()
    thread = threading.Thread(target=hub.loop.run_callback_threadsafe, args=(called.set,))
    thread.start()
    assert called.wait(5)
    thread.join()


@pytest.mark.parametrize("kind", ["io", "timer", "async_", "signal", "child", "check", "prepare", "idle", "callback"])
def test_what_a_callback_raises_is_printed_and_the_hub_goes_on(hub, pair, capsys, kind):
    def fail():
        raise ValueError(f"in a callback of {kind}")

    child = subprocess.Popen([sys.executable, "-c", ""]) if kind == "child" else None
    arguments = {
        "io": (pair[0].fileno(), 2),
        "timer": (0.001,),
        "signal": (signal.SIGUSR1,),
        "child": (child.pid if child else 0,),
    }.get(kind, ())
    if kind == "callback":
        hub.run_callback(fail)
    else:
        watcher = getattr(hub.loop, kind)(*arguments)
        watcher.start(lambda: (watcher.stop(), fail()))
        if kind == "async_":
            watcher.send()
        elif kind == "signal":
            os.kill(os.getpid(), signal.SIGUSR1)
        with Timeout(20):
            while watcher.active:
                runtime.sleep(0.001)
        watcher.close()
    runtime.sleep(0.001)
    if child is not None:
        child.returncode = 0
    assert f"ValueError: in a callback of {kind}" in capsys.readouterr().err
    assert runtime.spawn(lambda: 1).get() == 1


def test_join_waits_until_nothing_is_left(hub):
    seen = []
    runtime.spawn_later(0.002, seen.append, "later")
    assert hub.join(timeout=5)
    assert seen == ["later"]
    runtime.spawn_later(60, print).kill(block=False)
    assert hub.join()


def test_join_ends_with_its_timeout(hub):
    sleeper = runtime.spawn(runtime.sleep, 60)
    assert not hub.join(timeout=0.001)
    sleeper.kill()
    assert hub.join()


def test_a_greenlet_that_only_another_thread_can_wake_is_no_reason_to_give_up(hub):
    event, go = Event(), threading.Event()
    thread = threading.Thread(target=lambda: (go.wait(10), event.set()))
    thread.start()
    hub.run_callback(go.set)
    assert event.wait()
    thread.join()
    with pytest.raises(LoopExit):
        Event().wait()


def test_the_last_word_of_a_thread_that_has_ended_since_is_heard(hub):
    event = Event()
    thread = threading.Thread(target=event.set)
    hub.run_callback(lambda: (thread.start(), thread.join()))  # while main waits, and before the hub looks for news
    assert event.wait()


def test_join_hears_it_too(hub):
    heard = []
    thread = threading.Thread(target=hub.loop.run_callback_threadsafe, args=(heard.append, "it"))
    hub.run_callback(lambda: (thread.start(), thread.join()))
    assert hub.join() and heard == ["it"]


def test_a_waiter_is_given_a_value_or_an_exception_before_or_after_it_is_waited_for(hub):
    waiter = Waiter()
    waiter.switch(1)
    assert waiter.ready() and waiter.successful() and waiter.get() == 1
    waiter.clear()
    hub.run_callback(waiter.throw, ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        waiter.get()
    assert waiter.exc_info[0] is ValueError and not waiter.successful()


def test_two_greenlets_cannot_wait_on_one_waiter(hub):
    waiter = Waiter()
    first = runtime.spawn(waiter.get)
    runtime.sleep(0)
    with pytest.raises(ConcurrentObjectUseError, match="another greenlet"):
        waiter.get()
    waiter.switch("done")
    assert first.get() == "done"


def test_a_descriptor_closed_by_number_before_the_kernel_was_told_ends_the_wait_and_not_the_process(run_script):
    done = run_script("""
import os, greenscope.runtime as runtime
from greenscope.runtime import socket
for write in (False, True):
    ends = os.pipe()
    fd = ends[write]
    while write:  # until it is full
        try:
            os.set_blocking(fd, False)
            os.write(fd, bytes(1 << 16))
        except BlockingIOError:
            break
    waiting = runtime.spawn(socket.wait_write if write else socket.wait_read, fd)
    runtime.spawn(os.close, fd)
    waiting.join()
    print(waiting.exception.errno)
    os.close(ends[not write])
""")
    assert (done.returncode, done.stdout) == (0, "9\n9\n"), done.stderr


def test_a_descriptor_whose_number_is_another_files_by_now_is_not_watched(hub):
    mine, theirs = socket.socketpair()
    watcher = hub.loop.io(mine.fileno(), 1)
    waiting = runtime.spawn(hub.wait, watcher)

    def replace():
        os.dup2(theirs.fileno(), mine.fileno())

    runtime.spawn(replace)
    with pytest.raises(OSError, match="closed"):
        waiting.get(timeout=5)
    mine.close()
    theirs.close()


@pytest.mark.parametrize("kind", ["timer", "check", "prepare", "idle", "async_"])
def test_a_closed_watcher_is_freed_at_once_and_refuses_to_start(hub, kind):
    watcher = getattr(hub.loop, kind)(*((60,) if kind == "timer" else ()))
    watcher.start(print)
    watcher.close()
    watcher.close()
    if kind in {"timer", "check", "prepare"}:
        with pytest.raises(ValueError, match="closed"):
            watcher.start(print)
    kind_of_it = type(watcher)
    runtime.sleep(0.001)  # libuv's own half of closing
    gc.collect()
    gc.disable()
    try:
        before = sum(type(each) is kind_of_it for each in gc.get_objects())
        del watcher
        assert sum(type(each) is kind_of_it for each in gc.get_objects()) == before - 1
    finally:
        gc.enable()
