"""The hub: rounds, errors, greenlets that are not ours, and how it ends."""

from __future__ import annotations

import gc
import io
import os
import re
import time
from pathlib import Path

import greenlet
import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Timeout
from greenscope.runtime.hub import InvalidSwitchError
from greenscope.runtime.loop import milliseconds


def test_a_round_is_a_snapshot_so_a_greenlet_that_yields_runs_once_a_round():
    order = []

    def work(name):
        for _ in range(3):
            order.append(name)
            runtime.sleep(0)

    runtime.joinall([runtime.spawn(work, "a"), runtime.spawn(work, "b")])
    assert order == ["a", "b"] * 3


def test_a_plain_greenlet_can_wait_as_well(hub):
    seen = []
    plain = greenlet.greenlet(lambda: (runtime.sleep(0.001), seen.append("slept")), parent=hub)
    hub.call(plain.switch)
    runtime.sleep(0.01)
    assert seen == ["slept"]


def test_an_exception_of_a_plain_greenlet_is_printed_and_the_hub_goes_on(hub, capsys):
    def fail():
        runtime.sleep(0)
        raise ValueError("plain")

    hub.call(greenlet.greenlet(fail, parent=hub).switch)
    runtime.sleep(0.001)
    assert "ValueError: plain" in capsys.readouterr().err
    assert runtime.spawn(lambda: 1).get() == 1


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_exceptions_are_printed_where_the_program_says(hub, capsys, monkeypatch, stream):
    monkeypatch.setattr(hub, "_streams", ())
    hub.exception_stream = stream
    assert hub.exception_stream is stream
    runtime.spawn(int, "none").join()
    assert capsys.readouterr().err == ""
    assert stream is None or "ValueError" in stream.getvalue()


def test_a_switch_by_somebody_else_is_noticed(hub):
    def wait():
        with pytest.raises(InvalidSwitchError, match="sleep"):
            runtime.sleep(60)
        return "noticed"

    worker = runtime.spawn(wait)
    runtime.sleep(0)
    hub.call(worker.switch)
    assert worker.get() == "noticed"


def test_what_a_callback_of_the_loop_raises_is_printed(hub, capsys):
    def fail():
        raise ValueError("in a callback")

    hub.loop.call_threadsafe(fail)
    runtime.sleep(0.001)
    assert "in a callback" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", ["full", "closed"])
def test_the_hub_outlives_a_stderr_that_cannot_be_written(run_script, stderr):
    done = run_script(f"""
import io, sys, greenscope.runtime as runtime
class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")
full, closed = Full(), io.StringIO()
closed.close()
sys.stderr = {stderr}
def fail():
    raise ValueError
worker = runtime.spawn(fail)
worker.join()
print(type(worker.exception).__name__, runtime.spawn(lambda: 1).get())
sys.stderr = None
""")
    assert done.stdout == "ValueError 1\n", done.stderr


def test_a_callback_that_fails_does_not_hold_up_those_behind_it(hub, capsys):
    called = Event()
    hub.loop.call_threadsafe(lambda: 1 / 0)
    hub.loop.call_threadsafe(called.set)
    assert called.wait(5)
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_for_the_program_reaches_main(hub, error):
    def fail():
        raise error

    hub.loop.call_threadsafe(fail)
    with pytest.raises(error):
        runtime.sleep(60)


def test_a_destroyed_hub_is_replaced_by_a_new_one(hub):
    with pytest.raises(RuntimeError, match="main"):
        runtime.spawn(hub.destroy).get()
    hub.destroy()
    assert runtime.get_hub() is not hub
    runtime.sleep(0.001)
    assert runtime.spawn(lambda: 1).get() == 1
    runtime.get_hub().destroy()


def test_deadlines_are_those_of_the_first_timeout_due():
    with Timeout(60), Timeout(10), Timeout(30):
        left = runtime.getcurrent()._state.deadline_ms()
    assert 9000 < left <= 10_000
    with Timeout(0.001) as timeout:
        timeout.due = time.monotonic() - 1
        assert runtime.getcurrent()._state.deadline_ms() == 1


def test_milliseconds_are_rounded_up_and_never_negative():
    assert [milliseconds(value) for value in (-1, 0, 0.0001, 0.001, 0.0011, 1, 1e12)] == [
        0,
        0,
        1,
        1,
        2,
        1000,
        0xFFFFFFFF,
    ]


def test_no_switch_happens_inside_a_callback_of_libuv(pair, hub):
    one, other = pair
    inside = []

    def check():
        inside.append(runtime.getcurrent() is hub)

    worker = runtime.spawn(one.recv, 1)
    runtime.sleep(0)
    other.send(b"x")
    hub.loop.call_threadsafe(check)
    assert worker.get() == b"x"
    assert inside == [True]


DESCRIPTORS = Path("/proc/self/fd")


def _descriptors():
    """What is open, but for the rings: those go with their recorders."""
    found = []
    for path in DESCRIPTORS.iterdir():
        try:
            found.append(os.readlink(path))
        except FileNotFoundError:  # the one that lists
            continue
    return sorted(name for name in found if not re.search(r"\.(gsr|new)\b", name))  # also "… (deleted)"


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="this system does not list descriptors")
def test_a_destroyed_hub_leaves_no_descriptors(hub):
    hub.destroy()
    gc.collect()  # of what other tests left: a mapping's descriptor goes with its recorder
    before = len(_descriptors())
    for _ in range(5):
        runtime.sleep(0.001)
        runtime.get_hub().destroy()
    gc.collect()
    assert len(_descriptors()) == before


def test_what_a_signals_handler_raises_ends_the_wait_of_the_main_greenlet(run_script):
    done = run_script(
        "import signal, greenscope.runtime as runtime\n"
        "def ring(number, frame):\n"
        "    raise ZeroDivisionError('too long')\n"
        "signal.signal(signal.SIGALRM, ring)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "try:\n"
        "    runtime.sleep(60)\n"
        "except ZeroDivisionError as error:\n"
        "    print(error)\n"
    )
    assert (done.stdout, done.stderr) == ("too long\n", "")
