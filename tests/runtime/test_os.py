"""System calls that wait without blocking: reads, writes, and the ends of processes."""

from __future__ import annotations

import contextlib
import errno
import os as stdlib
import signal
import threading
import time

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import os
from tests.runtime.conftest import settle


@pytest.fixture
def pipe():
    ends = stdlib.pipe()
    inode = stdlib.fstat(ends[0]).st_ino
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):  # the test has closed it
            if stdlib.fstat(fd).st_ino == inode:
                stdlib.close(fd)


@pytest.fixture(autouse=True)
def bounded(hub):
    with runtime.Timeout(20):
        yield
    with pytest.raises(ChildProcessError):  # nobody is left
        stdlib.waitpid(-1, stdlib.WNOHANG)


def child(function=lambda: 0):
    """A process that exits with what ``function`` returns."""
    pid = stdlib.fork()
    if pid == 0:
        code = 99
        try:
            code = function()
        finally:
            stdlib._exit(code)
    return pid


class Held:
    """Keeps processes alive until it is let go."""

    def __enter__(self):
        self.read, self.write = stdlib.pipe()
        return self

    def child(self, code=0):
        def wait():
            stdlib.close(self.write)
            stdlib.read(self.read, 1)
            return code

        return child(wait)

    def release(self):
        if self.write is not None:
            stdlib.close(self.write)
            self.write = None

    def __exit__(self, *_):
        self.release()
        stdlib.close(self.read)


# Reading and writing.


@pytest.mark.parametrize("read", [os.read, os.nb_read])
def test_a_read_waits_for_bytes_and_others_run(pipe, read):
    readable, writable = pipe
    if read is os.nb_read:
        assert os.make_nonblocking(readable) is True
        assert os.make_nonblocking(readable) is None
    reader = runtime.spawn(read, readable, 10)
    assert runtime.spawn(lambda: 7).get() == 7
    assert not reader.ready()
    stdlib.write(writable, b"bytes")
    assert reader.get() == b"bytes"
    stdlib.close(writable)
    assert read(readable, 10) == b""


@pytest.mark.parametrize("write", [os.write, os.nb_write, os.tp_write])
def test_a_full_pipe_holds_up_only_who_writes(pipe, write):
    readable, writable = pipe
    if write is os.nb_write:
        os.make_nonblocking(writable)
    sent = []

    def fill():
        for _ in range(40):
            sent.append(write(writable, b"x" * 10_000))
        stdlib.close(writable)

    writer = runtime.spawn(fill)
    settle()
    assert not writer.ready()
    got = 0
    while block := os.read(readable, 65536):
        got += len(block)
    writer.get()
    assert got == sum(sent)
    if write is not os.nb_write:
        assert sent == [10_000] * 40


def test_read_and_write_in_a_thread(pipe):
    readable, writable = pipe
    reader = runtime.spawn(os.tp_read, readable, 10)
    settle()
    assert not reader.ready()
    assert os.tp_write(writable, b"abc") == 3
    assert reader.get() == b"abc"


def test_a_non_blocking_descriptor_still_raises(pipe):
    readable, writable = pipe
    stdlib.set_blocking(readable, False)
    stdlib.set_blocking(writable, False)
    with pytest.raises(BlockingIOError):
        os.read(readable, 1)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writable, b"x" * 65536)


def test_errors_are_the_systems(pipe):
    readable, writable = pipe
    stdlib.close(readable)
    with pytest.raises(BrokenPipeError):
        os.write(writable, b"x")
    with pytest.raises(BrokenPipeError):
        os.write(writable, b"x" * 100_000)
    for call in (lambda: os.read(readable, 1), lambda: os.write(readable, b"x"), lambda: os.nb_read(readable, 1)):
        with pytest.raises(OSError) as raised:
            call()
        assert raised.value.errno == errno.EBADF


def test_a_pipe_that_breaks_half_way_says_how_much_was_written(pipe):
    readable, writable = pipe
    writer = runtime.spawn(os.write, writable, b"x" * 200_000)
    settle()
    stdlib.close(readable)
    assert 0 < writer.get() < 200_000
    with pytest.raises(BrokenPipeError):
        os.write(writable, b"x")


def test_regular_files_are_read_and_written_directly(tmp_path):
    fd = stdlib.open(tmp_path / "file", stdlib.O_RDWR | stdlib.O_CREAT)
    assert os.write(fd, b"x" * 100_000) == 100_000
    stdlib.lseek(fd, 0, stdlib.SEEK_SET)
    assert len(os.read(fd, 100_000)) == 100_000
    assert os.read(fd, 10) == b""
    stdlib.close(fd)


def test_a_killed_reader_takes_nothing_and_leaves_no_watcher(pipe, hub):
    readable, writable = pipe
    reader = runtime.spawn(os.read, readable, 10)
    settle()
    reader.kill()
    stdlib.write(writable, b"kept")
    assert os.read(readable, 10) == b"kept"
    assert not hub.loop._descriptors


def test_waiting_leaves_the_descriptor_as_it_is(pipe):
    readable, writable = pipe
    reader = runtime.spawn(os.read, readable, 10)
    settle()
    assert stdlib.get_blocking(readable)
    os.write(writable, b"x")
    assert reader.get() == b"x"


def test_several_greenlets_may_read_one_pipe(pipe):
    readable, writable = pipe
    readers = [runtime.spawn(os.read, readable, 1) for _ in range(5)]
    settle()
    stdlib.write(writable, b"abcde")
    assert sorted(reader.get() for reader in readers) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_callback_of_the_hub_reads_as_anybody(pipe, hub):
    readable, writable = pipe
    seen = []
    stdlib.write(writable, b"x")
    hub.loop.run_callback(lambda: seen.append(os.read(readable, 1)))
    settle()
    assert seen == [b"x"]


# Processes.


def test_waitpid_waits_for_one_process_and_others_run():
    with Held() as held:
        pid = held.child(3)
        waiter = runtime.spawn(os.waitpid, pid, 0)
        assert runtime.spawn(lambda: 7).get() == 7
        assert os.waitpid(pid, stdlib.WNOHANG) == (0, 0)
        assert not waiter.ready()
        held.release()
        assert waiter.get() == (pid, 3 << 8)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_process_that_has_ended_needs_no_wait():
    pid = child(lambda: 4)
    stdlib.waitid(stdlib.P_PID, pid, stdlib.WEXITED | stdlib.WNOWAIT)
    assert os.waitpid(pid, stdlib.WNOHANG) == (pid, 4 << 8)


@pytest.mark.parametrize("which", [-1, 0])
def test_any_child_or_one_of_a_group(which):
    with Held() as held:
        pid = held.child(5)
        waiter = runtime.spawn(os.waitpid, which, 0)
        settle()
        assert not waiter.ready()
        held.release()
        assert waiter.get() == (pid, 5 << 8)


@pytest.mark.parametrize("call", [os.wait, lambda: os.wait3(0), lambda: os.wait4(-1, 0)])
def test_the_other_ways_to_wait(call):
    with Held() as held:
        pid = held.child(5)
        assert os.wait4(pid, stdlib.WNOHANG)[:2] == (0, 0)
        waiter = runtime.spawn(call)
        settle()
        assert not waiter.ready()
        held.release()
        assert waiter.get()[:2] == (pid, 5 << 8)
    with pytest.raises(ChildProcessError):
        call()


def test_a_shells_command_lets_others_run(tmp_path):
    fifo = tmp_path / "fifo"
    stdlib.mkfifo(fifo)
    command = runtime.spawn(os.system, f"read word < {fifo}; exit 6")
    assert runtime.spawn(lambda: 7).get() == 7
    assert not command.ready()
    fd = stdlib.open(fifo, stdlib.O_RDWR)
    os.write(fd, b"word\n")
    assert command.get() == 6 << 8
    stdlib.close(fd)


def test_a_group_of_its_own():
    with Held() as held:
        pid = held.child(6)
        stdlib.setpgid(pid, pid)
        waiter = runtime.spawn(os.waitpid, -pid, 0)
        settle()
        held.release()
        assert waiter.get() == (pid, 6 << 8)


def test_each_of_several_that_wait_for_any_child_gets_one():
    with Held() as held:
        waiters = [runtime.spawn(os.waitpid, -1, 0) for _ in range(3)]
        pids = [held.child(n) for n in range(3)]
        settle()
        held.release()
        assert {waiter.get() for waiter in waiters[:2]} <= {(pid, n << 8) for n, pid in enumerate(pids)}
        assert waiters[2].get()[0] in pids


def test_one_that_stops_and_goes_on_says_so_to_who_asks():
    pid = child(lambda: signal.pause() or 0)
    waiter = runtime.spawn(os.waitpid, pid, stdlib.WUNTRACED)
    plain = runtime.spawn(os.waitpid, pid, 0)
    settle()
    stdlib.kill(pid, signal.SIGSTOP)
    stopped, status = waiter.get()
    assert stopped == pid
    assert stdlib.WIFSTOPPED(status)
    assert not plain.ready()
    waiter = runtime.spawn(os.waitpid, pid, stdlib.WCONTINUED)
    settle()
    stdlib.kill(pid, signal.SIGCONT)
    assert stdlib.WIFCONTINUED(waiter.get()[1])
    stdlib.kill(pid, signal.SIGKILL)
    assert stdlib.WTERMSIG(plain.get()[1]) == signal.SIGKILL


def test_a_killed_waiter_takes_no_status_and_leaves_nothing(hub):
    with Held() as held:
        pid = held.child(7)
        for which in (pid, -1):
            waiter = runtime.spawn(os.waitpid, which, 0)
            settle()
            waiter.kill()
            assert not hub.loop._descriptors
        with runtime.Timeout(0.01, False):
            os.waitpid(pid, 0)
        held.release()
        assert os.waitpid(pid, 0) == (pid, 7 << 8)


def test_waiting_for_one_does_not_take_another():
    with Held() as held:
        other = child(lambda: 8)
        stdlib.waitid(stdlib.P_PID, other, stdlib.WEXITED | stdlib.WNOWAIT)
        pid = held.child(9)
        waiter = runtime.spawn(os.waitpid, pid, 0)
        settle()
        held.release()
        assert waiter.get() == (pid, 9 << 8)
    assert stdlib.waitpid(other, 0) == (other, 8 << 8)


def test_nothing_to_wait_for_is_an_error_at_once():
    for which in (-1, 0, stdlib.getpid()):
        with pytest.raises(ChildProcessError):
            os.waitpid(which, 0)


def test_a_thread_that_is_not_main_waits_as_well():
    seen = []

    def work():
        with Held() as held:
            pids = [held.child(n) for n in range(3)]
            waiters = [runtime.spawn(os.waitpid, pid, 0) for pid in pids]
            runtime.sleep(0)
            held.release()
            seen.append([waiter.get(timeout=10)[1] >> 8 for waiter in waiters])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(15)
    assert seen == [[0, 1, 2]]


@pytest.mark.parametrize("without", ["_pidfd_open", "both"])
def test_where_the_system_has_no_such_descriptors(without, monkeypatch):
    monkeypatch.setattr("greenscope.runtime.children._pidfd_open", None)
    if without == "both":
        monkeypatch.setattr("greenscope.runtime.children._waitid", None)
    with Held() as held:
        pid = held.child(3)
        waiter, any_child = runtime.spawn(os.waitpid, pid, 0), runtime.spawn(os.waitpid, -1, 0)
        settle()
        assert not waiter.ready()
        held.release()
        runtime.joinall([waiter, any_child])
        results = [one.value or type(one.exception) for one in (waiter, any_child)]
        assert sorted(map(str, results)) == sorted(map(str, [(pid, 3 << 8), ChildProcessError]))


def test_the_wait_is_in_the_trace(hub, trace_directory):
    from greenscope.trace.events import Kind, Wait
    from greenscope.trace.reader import Event, RingReader

    with Held() as held:
        pid = held.child()
        waiter = runtime.spawn(os.waitpid, pid, 0)
        settle()
        held.release()
        waiter.get()
    reader = RingReader(hub.recorder.path)
    reasons = {event.reason for event in reader.read() if isinstance(event, Event) and event.kind == Kind.GREENLET_PARK}
    reader.close()
    assert Wait.CHILD in reasons


def test_fork_and_watch_takes_the_status_and_keeps_it_for_waitpid():
    seen = runtime.event.AsyncResult()
    pid = os.fork_and_watch(seen.set)
    if pid == 0:
        stdlib._exit(3)
    watcher = seen.get()
    assert (watcher.pid, watcher.rpid, watcher.rstatus) == (pid, pid, 3 << 8)
    with pytest.raises(ChildProcessError):
        stdlib.waitpid(pid, 0)
    assert os.waitpid(pid, 0) == (pid, 3 << 8)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_waitpid_waits_for_a_watched_child_too():
    with Held() as held:
        pid = os.fork_and_watch(fork=lambda: held.child(4))
        assert os.waitpid(pid, stdlib.WNOHANG) == (0, 0)
        waiters = [runtime.spawn(os.waitpid, which, 0) for which in (pid, -1)]
        settle()
        held.release()
        runtime.joinall(waiters)
        assert {one.value for one in waiters} == {(pid, 4 << 8), None}  # the other found no child
        assert {type(one.exception) for one in waiters} == {type(None), ChildProcessError}


def test_a_pseudo_terminal_forks_with_it():
    pid, fd = os.forkpty_and_watch()
    if pid == 0:
        stdlib.write(1, b"from the child")
        stdlib._exit(5)
    assert os.read(fd, 100) == b"from the child"
    assert os.waitpid(pid, 0) == (pid, 5 << 8)
    stdlib.close(fd)
    pid, fd = os.forkpty()
    if pid == 0:
        stdlib._exit(6)
    assert os.waitpid(pid, 0) == (pid, 6 << 8)
    stdlib.close(fd)


def test_many_children_end_at_once():
    began = time.monotonic()
    pids = [child(lambda n=n: n % 100) for n in range(60)]
    waiters = [runtime.spawn(os.waitpid, pid, 0) for pid in pids]
    assert [waiter.get()[1] >> 8 for waiter in waiters] == [n % 100 for n in range(60)]
    assert time.monotonic() - began < 20
