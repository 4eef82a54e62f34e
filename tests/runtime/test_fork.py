"""Forks: from anywhere, with anything pending; the child has a hub that works, the parent notices nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import os as green_os
from greenscope.runtime import socket, subprocess
from greenscope.runtime.threadpool import ThreadPool
from greenscope.trace.reader import RingReader
from tests.runtime.conftest import settle


@pytest.fixture(autouse=True)
def bounded(hub):
    with runtime.Timeout(60):
        yield


def in_child(function, fork=os.fork):
    """Fork, call ``function`` in the child; the child's number. It exits with 0 if that returned true."""
    child = fork()
    if child == 0:
        status = 1
        try:
            with runtime.Timeout(20):
                status = 0 if function() else 2
        except BaseException as error:
            print("in the child:", repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return child


def ended_well(child):
    return green_os.waitpid(child, 0) == (child, 0)


def everything_works():
    """Sockets, timers, greenlets, threads and processes, on whatever hub there is."""
    one, other = socket.socketpair()
    reader = runtime.spawn(one.recv, 10)
    sleeper = runtime.spawn(runtime.sleep, 0.001)
    runtime.sleep(0)
    other.sendall(b"x")
    pool = ThreadPool(2)
    grandchild = in_child(lambda: runtime.spawn(lambda: 7).get() == 7)
    worked = reader.get() == b"x" and sleeper.get() is None and pool.spawn(int, 5).get() == 5
    one.close()
    other.close()
    pool.kill()
    return worked and ended_well(grandchild)


@pytest.mark.parametrize("fork", [os.fork, green_os.fork])
def test_everything_works_in_a_child_and_in_its_parent(fork):
    assert ended_well(in_child(everything_works, fork))
    assert everything_works()


def test_a_child_of_main_of_a_greenlet_and_of_a_greenlets_child():
    def nested():
        return ended_well(runtime.spawn(in_child, everything_works).get()) and everything_works()

    assert ended_well(runtime.spawn(in_child, nested).get())
    assert everything_works()


def test_timers_and_sockets_that_wait_in_the_parent_are_only_the_parents(pair, hub):
    one, other = pair
    fired = []
    reader = runtime.spawn(one.recv, 10)
    sleepers = [runtime.spawn_later(0.05, fired.append, n) for n in range(5)]
    timeout = runtime.Timeout.start_new(30)
    settle()

    def child():
        runtime.sleep(0.1)  # longer than the parent's timers
        return fired == [] and not reader.ready() and everything_works()

    pid = in_child(child)
    assert ended_well(pid)
    runtime.joinall(sleepers)
    timeout.cancel()
    assert sorted(fired) == list(range(5))
    other.sendall(b"x")
    assert reader.get() == b"x"
    assert runtime.get_hub() is hub


def test_sockets_of_the_parent_can_be_used_in_the_child(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    other.sendall(b"1")
    assert reader.get() == b"1"  # both have watchers now, in the parent's loop

    def child():
        waiting = runtime.spawn(one.recv, 1)
        runtime.sleep(0)
        other.sendall(b"c")
        return waiting.get() == b"c"

    assert ended_well(in_child(child))
    reader = runtime.spawn(one.recv, 1)
    settle()
    other.sendall(b"p")
    assert reader.get() == b"p"


def test_a_listening_socket_is_served_by_children():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def serve():
            for _ in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(connection.recv(100))
            return True

        children = [in_child(serve) for _ in range(2)]

        def ask(n):
            with socket.create_connection(address) as connection:
                connection.sendall(b"%d" % n)
                return connection.recv(100)

        clients = [runtime.spawn(ask, n) for n in range(6)]
        assert [client.get() for client in clients] == [b"%d" % n for n in range(6)]
        assert all(map(ended_well, children))


def test_closing_in_the_child_does_not_disturb_the_parent(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()

    def child():
        one.close()
        other.close()
        return everything_works()

    assert ended_well(in_child(child))
    other.sendall(b"x")
    assert reader.get() == b"x"


def test_a_fork_in_another_thread_leaves_the_main_threads_hub_alone(pair, hub):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    outcome = []

    def fork(first):
        if first:  # a thread with a hub of its own, or without
            runtime.sleep(0.001)
        child = in_child(everything_works)
        outcome.append(os.waitpid(child, 0)[1])

    for first in (True, False):
        thread = threading.Thread(target=fork, args=(first,))
        thread.start()
        thread.join(30)
    assert outcome == [0, 0]
    other.sendall(b"x")
    assert reader.get() == b"x"
    assert runtime.get_hub() is hub


def test_what_another_threads_hub_watches_can_be_closed_in_the_child(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    outcome = []

    def child():
        fd = one.fileno()
        one.close()
        try:
            os.fstat(fd)
        except OSError:
            return everything_works()
        return False

    thread = threading.Thread(target=lambda: outcome.append(os.waitpid(in_child(child), 0)[1]))
    thread.start()
    thread.join(30)
    assert outcome == [0]
    other.sendall(b"x")
    assert reader.get() == b"x"


def test_a_fork_in_a_pools_thread(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    pool = ThreadPool(2)
    child = pool.spawn(in_child, everything_works).get()
    assert ended_well(child)
    assert pool.spawn(int, 3).get() == 3
    pool.kill()
    other.sendall(b"x")
    assert reader.get() == b"x"


def test_a_fork_while_pools_and_other_hubs_are_at_work():
    go_on, pool = threading.Event(), ThreadPool(3)
    held = [pool.spawn(go_on.wait, 20) for _ in range(3)]
    over = threading.Event()

    def other_hub():
        while not over.is_set():
            runtime.sleep(0.001)

    thread = threading.Thread(target=other_hub)
    thread.start()
    for _ in range(5):
        assert ended_well(in_child(lambda: pool.spawn(int, 4).get() == 4 and everything_works()))
    over.set()
    thread.join(20)
    go_on.set()
    assert [one.get() for one in held] == [True] * 3
    pool.kill()


def test_fifty_in_a_row_with_work_going_on(pair):
    one, other = pair
    echoed = []

    def serve():
        while block := one.recv(10):
            echoed.append(block)

    server = runtime.spawn(serve)
    for n in range(50):
        child = in_child(lambda: runtime.spawn(lambda: 7).get() == 7)
        other.sendall(b"%02d" % n)
        assert ended_well(child)
    other.close()
    server.get()
    assert b"".join(echoed) == b"".join(b"%02d" % n for n in range(50))


def records(path):
    """How many there are; what else is in a ring the parent's watchdog writes meanwhile."""
    with contextlib.closing(RingReader(path)) as reader:
        return reader.head


def test_the_child_writes_nothing_into_its_parents_recording(hub, trace_directory):
    settle()
    path = hub.recorder.path
    runtime.spawn(runtime.sleep, 0.001).get()
    before = records(path)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            everything_works()
            status = 0 if runtime.get_hub().recorder.path != path and records(path) == before else 3
        finally:
            os._exit(status)
    assert os.waitpid(child, 0) == (child, 0)  # blocks, so that we do not write either
    reader = RingReader(path)
    assert reader.state() == "live"
    reader.close()


@pytest.mark.parametrize("way", ["preexec_fn", "exec"])
def test_a_child_that_becomes_another_program_leaves_no_recording(way, trace_directory):
    def start():
        if way == "preexec_fn":
            return subprocess.call(["true"], preexec_fn=lambda: None)
        child = os.fork()
        if child == 0:
            os.execv("/bin/sh", ["sh", "-c", "exit 0"])
        return green_os.waitpid(child, 0)[1]

    assert runtime.spawn(start).get() == 0
    assert len(list(trace_directory.glob("*.gsr"))) == 1


def test_a_greenlet_that_forked_may_end_without_having_waited(run_script):
    done = run_script("""
import os, greenscope.runtime as runtime
def work():
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1] >> 8)
event = runtime.Event()
worker = runtime.spawn(work)
try:
    worker.join()
    event.wait(0.001)
except runtime.LoopExit:
    os._exit(9)
""")
    assert (done.stdout, done.stderr) == ("9\n", "")


@pytest.mark.parametrize("where", ["main", "greenlet", "thread"])
def test_a_child_that_ends_as_a_program_does_runs_its_atexit_and_says_nothing(run_script, where):
    done = run_script(f"""
import atexit, os, sys, threading, warnings
warnings.simplefilter("ignore")
import greenscope.runtime as runtime
from greenscope.runtime import socket
from greenscope.runtime.threads import run_in_thread
parent = os.getpid()
one, other = socket.socketpair()
runtime.spawn(one.recv, 1)
runtime.spawn(runtime.sleep, 60)
run_in_thread(int)
runtime.sleep(0.001)
atexit.register(lambda: print("atexit of", "parent" if os.getpid() == parent else "child", flush=True))
def work():
    pid = os.fork()
    if pid == 0:
        runtime.sleep(0.001)
        if "{where}" == "thread":
            sys.stdout.flush()
            atexit._run_exitfuncs()
            os._exit(7)
        sys.exit(7)
    print("child ended with", os.waitpid(pid, 0)[1] >> 8, flush=True)
if "{where}" == "main":
    work()
elif "{where}" == "greenlet":
    runtime.spawn(work).join()
else:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
one.close(), other.close()
""")
    assert (done.stdout.splitlines(), done.stderr) == (
        ["atexit of child", "child ended with 7", "atexit of parent"],
        "",
    )
    assert done.returncode == 0


def test_children_of_children(run_script):
    done = run_script("""
import os, sys, warnings
warnings.simplefilter("ignore")
import greenscope.runtime as runtime
from greenscope.runtime import os as green
def generation(left):
    runtime.sleep(0.001)
    if left == 0:
        return 5
    pid = green.fork()
    if pid == 0:
        os._exit(runtime.spawn(generation, left - 1).get())
    return green.waitpid(pid, 0)[1] >> 8
print(generation(8))
""")
    assert (done.stdout, done.stderr) == ("5\n", "")
