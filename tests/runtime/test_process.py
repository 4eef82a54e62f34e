"""What only shows in a process: Ctrl-C, fork, threads, the way out, and a machine without pyuv."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Queue, socket


def interrupted(source: str) -> subprocess.CompletedProcess[str]:
    """Start a program, wait until it says that it is ready, and press Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


PRELUDE = """
import time, greenscope.runtime as runtime
def idle():
    print("ready", flush=True)
    runtime.sleep(60)
def busy():
    print("ready", flush=True)
    while True:
        pass
def yielding():
    print("ready", flush=True)
    while True:
        runtime.sleep(0)
def fd():
    from greenscope.runtime import socket
    one, other = socket.socketpair()
    print("ready", flush=True)
    one.recv(1)
"""


@pytest.mark.parametrize("what", ["idle", "busy", "yielding", "fd"])
@pytest.mark.parametrize("where", ["main", "greenlet"])
def test_ctrl_c_reaches_the_main_greenlet(what, where):
    body = f"{what}()" if where == "main" else f"runtime.spawn({what}); runtime.Event().wait(60)"
    done = interrupted(f"""{PRELUDE}
try:
    {body}
except KeyboardInterrupt:
    print("main got it", flush=True)
""")
    assert done.stdout == "main got it\n", done.stderr
    assert done.returncode == 0


def test_a_signal_handler_runs_while_the_hub_is_idle():
    done = interrupted(f"""{PRELUDE}
import signal
event = runtime.Event()
signal.signal(signal.SIGINT, lambda *_: event.set())
print("ready", flush=True)
print("woken", event.wait(60), flush=True)
""")
    assert done.stdout == "woken True\n", done.stderr


def test_a_program_that_only_a_signals_handler_can_wake_waits_for_it():
    done = interrupted(f"""{PRELUDE}
import signal
event = runtime.Event()
signal.signal(signal.SIGINT, lambda *_: event.set())
runtime.spawn(print, "ready", flush=True)
event.wait()  # without a deadline, and nothing else is left
signal.signal(signal.SIGINT, signal.default_int_handler)
event.clear()
try:
    event.wait()
except runtime.LoopExit:
    print("and nobody can")
""")
    assert done.stdout == "and nobody can\n", done.stderr


def test_ctrl_c_that_strikes_while_a_timer_fires_does_not_lose_its_greenlet(hub):
    real = hub.loop.record_fire

    def strike(*event):
        hub.loop.record_fire = real
        signal.raise_signal(signal.SIGINT)
        real(*event)

    hub.loop.record_fire = strike
    sleeper = runtime.spawn(runtime.sleep, 0.001)
    with pytest.raises(KeyboardInterrupt):
        runtime.sleep(60)
    assert sleeper.get(timeout=5) is None


def test_ctrl_c_again_and_again_loses_no_greenlet(run_script):
    done = run_script("""
import os, signal, sys, threading, time, greenscope.runtime as runtime
def shoot():
    for _ in range(200):
        time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
    over.append(True)
def work(seconds):
    while not over:
        runtime.sleep(seconds)
over, struck = [], 0
workers = [runtime.spawn(work, seconds) for seconds in (0.001, 0.001, 0.002, 0)]
runtime.sleep(0)
thread = threading.Thread(target=shoot)
stderr, sys.stderr = sys.stderr, None  # greenlets that it strikes say so
thread.start()
left = workers
def join():
    global left, struck
    while left:
        try:
            with runtime.Timeout(10):
                runtime.joinall(left)
            left = []
        except KeyboardInterrupt:
            struck += 1
while left:
    try:
        join()  # it can strike beside the inner `try`, too
    except KeyboardInterrupt:
        struck += 1
sys.stderr = stderr
print(struck > 0)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_ctrl_c_is_pythons_again_when_the_hub_has_ended(hub):
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    hub.destroy()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_programs_own_handler_of_ctrl_c_is_left_alone(hub):
    hub.destroy()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runtime.sleep(0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        runtime.get_hub().destroy()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_wakeup_descriptor_is_given_back(hub):
    hub.destroy()
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    runtime.get_hub()
    runtime.sleep(0)
    runtime.get_hub().destroy()
    after = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(after)
    assert before == after


def test_a_forked_child_has_a_hub_of_its_own_and_the_parent_does_not_notice(pair, hub):
    one, other = pair
    reader = runtime.spawn(one.recv, 10)
    runtime.sleep(0)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            mine, theirs = socket.socketpair()
            worker = runtime.spawn(mine.recv, 1)
            runtime.sleep(0.001)
            theirs.send(b"x")
            if worker.get(timeout=5) == b"x" and runtime.get_hub() is not hub:
                one.close()  # the copy: the parent goes on watching its own
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0
    other.send(b"parent")
    assert reader.get() == b"parent"
    assert runtime.get_hub() is hub


def test_a_greenlet_may_fork_and_goes_on_in_the_child(pair):
    one, other = pair

    def work():
        child = os.fork()
        if child == 0:
            try:
                runtime.sleep(0.001)
                os._exit(0 if runtime.spawn(lambda: 7).get() == 7 else 1)
            finally:
                os._exit(2)
        return os.waitpid(child, 0)[1]

    bystander = runtime.spawn(one.recv, 1)
    assert runtime.spawn(work).get() == 0
    other.send(b"x")
    assert bystander.get() == b"x"


def test_main_learns_in_the_child_that_nobody_is_left(run_script):
    done = run_script(f"""{PRELUDE}
import os
def fork():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        event.set()
event = runtime.Event()
runtime.spawn(fork)
try:
    event.wait()
    print("parent woken", flush=True)
except runtime.LoopExit:
    print("child alone", flush=True)
""")
    assert done.stdout.splitlines() == ["child alone", "parent woken"], done.stderr
    assert done.stderr == ""


def test_each_thread_has_a_hub_of_its_own_that_ends_with_it(hub, trace_directory):
    seen = []

    def work():
        mine = runtime.get_hub()
        one, other = socket.socketpair()
        reader = runtime.spawn(one.recv, 1)
        runtime.sleep(0.001)
        other.send(b"x")
        seen.append((mine is not hub, reader.get(), mine.loop))
        one.close()
        other.close()

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [part[:2] for part in seen] == [(True, b"x")] * 2
    assert all(loop.closed for *_, loop in seen)


def test_threads_that_had_hubs_leave_no_descriptor_and_no_hub(hub):
    def work():
        runtime.spawn(runtime.sleep, 0.001).get()

    def count():
        gc.collect()
        return len(list(Path("/dev/fd").iterdir())), sum(isinstance(one, runtime.Hub) for one in gc.get_objects())

    before = count()
    for _ in range(30):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    after = count()
    assert after[0] <= before[0]  # fewer, if what earlier tests had left has gone
    assert after[1] <= before[1]


def test_another_thread_may_wake_a_greenlet(hub):
    event, queue = Event(), Queue()
    threads = [threading.Thread(target=event.set), threading.Thread(target=queue.put, args=(1,))]
    waiters = [runtime.spawn(event.wait), runtime.spawn(queue.get)]
    runtime.sleep(0)
    for thread in threads:
        thread.start()
    keep_alive = runtime.Timeout.start_new(5)
    runtime.joinall(waiters)
    keep_alive.cancel()
    assert [waiter.value for waiter in waiters] == [True, 1]
    for thread in threads:
        thread.join()


def test_a_program_that_ends_leaves_nothing_on_stderr(run_script):
    done = run_script(f"""{PRELUDE}
from greenscope.runtime import socket
runtime.spawn(runtime.sleep, 60)
runtime.spawn(runtime.Event().wait)
a, b = socket.socketpair()
runtime.spawn(a.recv, 1)
runtime.sleep(0.001)
a.close(), b.close()
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_uncaught_exception_in_main_is_pythons_business(run_script):
    done = run_script("import greenscope.runtime as runtime; runtime.sleep(0); raise SystemExit(5)")
    assert (done.returncode, done.stderr) == (5, "")


def test_without_pyuv_the_import_says_what_to_do(run_script):
    done = run_script("import sys; sys.modules['pyuv'] = None; import greenscope.runtime")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingDependencyError" in last and "make build" in last and "--find-links dist" in last
