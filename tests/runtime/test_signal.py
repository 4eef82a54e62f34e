"""Signals: handlers in greenlets, handlers while the hub polls, and the hub's own share kept out of sight."""

from __future__ import annotations

import os
import signal as stdlib
import threading
from contextlib import contextmanager

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import signal, subprocess
from greenscope.runtime.event import Event
from tests.runtime.conftest import settle


@pytest.fixture(autouse=True)
def bounded(hub):
    runtime.sleep(0)
    with runtime.Timeout(20):
        yield


@contextmanager
def handled(signum, handler):
    before = signal.signal(signum, handler)
    yield before
    signal.signal(signum, before)


def send(signum=stdlib.SIGUSR1):
    os.kill(os.getpid(), signum)


def test_a_handler_runs_in_a_greenlet_of_its_own_and_may_wait():
    done = Event()

    def handle(*args, **kwargs):
        runtime.sleep(0.001)
        seen.append((args, kwargs))
        done.set()

    seen = []
    handler = runtime.signal_handler(stdlib.SIGUSR1, handle, 1, two=2)
    send()
    assert done.wait()
    assert seen == [((1,), {"two": 2})]
    handler.cancel()
    handler.cancel()
    assert stdlib.getsignal(stdlib.SIGUSR1) == stdlib.SIG_DFL


def test_a_handler_does_not_keep_the_program_alive_until_it_is_told_to(hub):
    handler = runtime.signal_handler(stdlib.SIGUSR1, print)
    assert (handler.ref, hub.loop.active) == (False, 1)  # the timeout of this test
    handler.ref = True
    assert hub.loop.active == 2
    handler.cancel()
    assert hub.loop.active == 1


def test_a_failing_handler_is_told_and_called_again(capsys):
    calls = []

    def fail():
        calls.append(1)
        raise KeyError("in a handler")

    handler = runtime.signal_handler(stdlib.SIGUSR1, fail)
    for _ in range(2):
        send()
        settle()
    handler.cancel()
    assert calls == [1, 1]
    assert capsys.readouterr().err.count("KeyError: 'in a handler'") == 2


def test_what_is_no_handler_and_no_signal():
    with pytest.raises(TypeError):
        runtime.signal_handler(stdlib.SIGUSR1, "text")
    with pytest.raises(ValueError, match="no signal"):
        runtime.signal_handler(0, print)
    with pytest.raises(TypeError):
        signal.signal(stdlib.SIGUSR1, "text")
    failed = []

    def work():
        for function in (runtime.signal_handler, signal.signal):
            try:
                function(stdlib.SIGUSR1, print)
            except ValueError as error:
                failed.append(error)
        runtime.get_hub().destroy()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert len(failed) == 2


def test_a_plain_handler_runs_while_the_hub_polls_and_may_wake_a_greenlet():
    event = Event()
    with handled(stdlib.SIGUSR1, lambda *_: event.set()):
        waiter = runtime.spawn(event.wait)
        settle()
        subprocess.call(["kill", "-USR1", str(os.getpid())])
        assert waiter.get(timeout=10)


def test_ctrl_c_looks_as_if_it_were_pythons():
    assert stdlib.getsignal(stdlib.SIGINT) is not stdlib.default_int_handler  # the hub has it
    assert signal.getsignal(stdlib.SIGINT) is stdlib.default_int_handler
    with handled(stdlib.SIGINT, print) as before:
        assert before is stdlib.default_int_handler
        assert signal.getsignal(stdlib.SIGINT) is print
    with pytest.raises(KeyboardInterrupt):  # main gets it, from the hub that has it again
        runtime.spawn_later(0.001, send, stdlib.SIGINT)
        runtime.sleep(60)
    assert signal.signal(stdlib.SIGINT, stdlib.default_int_handler) is stdlib.default_int_handler


def test_a_handler_of_sigchld_is_called_and_processes_are_waited_for():
    seen = []
    with handled(stdlib.SIGCHLD, lambda signum, frame: seen.append(signum)) as before:
        assert before == stdlib.SIG_DFL
        assert subprocess.call(["true"]) == 0
        assert signal.getsignal(stdlib.SIGCHLD) is not None
    assert seen == [stdlib.SIGCHLD]


@pytest.fixture
def pipe():
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    yield ends
    for fd in ends:
        os.close(fd)


def test_a_wakeup_descriptor_gets_the_signals_and_the_hub_goes_on_getting_them(pipe):
    readable, writable = pipe
    event = Event()
    with handled(stdlib.SIGUSR1, lambda *_: event.set()):
        assert signal.set_wakeup_fd(writable) == -1
        assert signal.set_wakeup_fd(writable, warn_on_full_buffer=False) == writable
        runtime.spawn_later(0.001, send)
        assert event.wait()
        settle()
        assert os.read(readable, 10) == bytes([stdlib.SIGUSR1])
        assert signal.set_wakeup_fd(-1) == writable
        send()
        settle()
        with pytest.raises(BlockingIOError):
            os.read(readable, 10)


def test_a_wakeup_descriptor_is_looked_at(pipe):
    with pytest.raises((ValueError, OSError)):
        signal.set_wakeup_fd(999_999)
    os.set_blocking(pipe[1], True)
    with pytest.raises(ValueError, match="non-blocking"):
        signal.set_wakeup_fd(pipe[1])
    assert signal.set_wakeup_fd(-1) == -1
    event = Event()
    with handled(stdlib.SIGUSR1, lambda *_: event.set()):  # and the hub still has its own
        runtime.spawn_later(0.001, send)
        assert event.wait()


def test_a_wakeup_descriptor_of_before_the_hub_is_kept(hub, pipe):
    readable, writable = pipe
    hub.destroy()
    assert signal.set_wakeup_fd(writable) == -1  # the standard library's: there is no hub
    event = Event()
    with handled(stdlib.SIGUSR1, lambda *_: event.set()):
        runtime.spawn_later(0.001, send)
        assert event.wait(timeout=10)
        settle()
        assert os.read(readable, 10) == bytes([stdlib.SIGUSR1])
    runtime.get_hub().destroy()
    assert stdlib.set_wakeup_fd(-1) == writable


def test_a_full_wakeup_descriptor_is_said(pipe, capsys):
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe[1], b"x" * 4096)
    with handled(stdlib.SIGUSR1, lambda *_: None):
        for warns in (True, False):
            signal.set_wakeup_fd(pipe[1], warn_on_full_buffer=warns)
            send()
            runtime.sleep(0.001)
            settle()
            assert ("cannot be written" in capsys.readouterr().err) is warns
        signal.set_wakeup_fd(-1)
