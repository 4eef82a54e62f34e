"""Every call of a socket that can wait: it lets others run, can be killed, times out, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import socket as stdlib
import threading
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import GreenletExit, Timeout, socket
from greenscope.runtime.hub import ConcurrentObjectUseError


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def fill(one) -> None:
    with pytest.raises(BlockingIOError):
        while True:
            one._sock.send(b"x" * 65536)


@pytest.fixture
def full(pair):
    fill(pair[0])
    return pair


READING = {
    "recv": lambda one: one.recv(1),
    "recv with a flag": lambda one: one.recv(1, stdlib.MSG_PEEK),
    "recv_into": lambda one: one.recv_into(bytearray(1)),
    "recv_into with a flag": lambda one: one.recv_into(bytearray(1), 0, stdlib.MSG_PEEK),
    "recvfrom": lambda one: one.recvfrom(1),
    "recvfrom_into": lambda one: one.recvfrom_into(bytearray(1)),
    "recvmsg": lambda one: one.recvmsg(1),
    "recvmsg_into": lambda one: one.recvmsg_into([bytearray(1)]),
    "a file": lambda one: one.makefile("rb", 0).read(1),
    "recv_fds": lambda one: socket.recv_fds(one, 1, 1),
    "wait_read": lambda one: socket.wait_read(one.fileno(), one.timeout),
}
WRITING = {
    "send": lambda one: one.send(b"x"),
    "sendall": lambda one: one.sendall(b"x"),
    "sendmsg": lambda one: one.sendmsg([b"x"]),
    "sendfile": lambda one: _with_file(one.sendfile),
    "_sendfile_use_send": lambda one: _with_file(one._sendfile_use_send),
    "send_fds": lambda one: socket.send_fds(one, [b"x"], [0]),
    "wait_write": lambda one: socket.wait_write(one.fileno(), one.timeout),
}


def call_reading(name, one):
    return READING[name](one)


def call_writing(name, one):
    return WRITING[name](one)


def _with_file(send):
    with open(__file__, "rb") as file:
        return send(file, 0, 100)


CASES = [(call_reading, name) for name in READING] + [(call_writing, name) for name in WRITING]


@pytest.fixture(params=CASES, ids=[name for _, name in CASES])
def call(request, full):
    """A call that waits, of one socket of a pair that is full one way and empty the other."""
    function, name = request.param
    return lambda: function(name, full[0])


def test_it_times_out_in_the_standard_librarys_words(call, full, hub):
    full[0].settimeout(0.005)
    with pytest.raises(TimeoutError, match=r"(?m)^timed out$"):
        call()
    assert hub.loop.active == 0
    assert runtime.getcurrent()._state.timeouts == []


def test_it_is_ended_by_a_timeout_around_it(call, full, hub):
    with pytest.raises(Timeout):
        with Timeout(0.005):
            call()
    assert hub.loop.active == 0


def test_it_is_ended_by_a_kill_and_the_socket_is_as_good_as_before(call, full, hub):
    one, other = full
    waiting = runtime.spawn(call)
    settle()
    assert not waiting.ready()
    waiting.kill()
    assert isinstance(waiting.value, GreenletExit)
    assert hub.loop.active == 0
    other.send(b"z")
    assert one.recv(1) == b"z"


def test_it_ends_with_EBADF_when_another_greenlet_closes_the_socket(call, full, request):
    one, _ = full
    waiting = runtime.spawn(call)
    settle()
    one.close()
    if request.node.callspec.id == "a file":  # it keeps the socket open
        one.cancel_wait()
    with pytest.raises(OSError) as caught:
        waiting.get()
    assert caught.value.errno == errno.EBADF


def test_no_watcher_is_left_when_the_sockets_are_closed(call, full, hub):
    one, other = full
    waiting = runtime.spawn(call)
    settle()
    waiting.kill()
    one.close()
    other.close()
    assert hub.loop._descriptors == {}


@pytest.mark.parametrize("name", [name for name in READING if name != "wait_read"])
def test_it_goes_on_when_there_is_something_to_read(name, pair):
    one, other = pair
    waiting = runtime.spawn(call_reading, name, one)
    settle()
    other.send(b"x")
    got = waiting.get()
    assert got in (b"x", 1) or got[0] in (b"x", 1)


@pytest.mark.parametrize("name", [name for name in WRITING if name != "wait_write"])
def test_it_goes_on_when_there_is_room(name, full):
    one, other = full
    waiting = runtime.spawn(call_writing, name, one)
    settle()
    while not waiting.ready():
        other.recv(1 << 20)
        runtime.sleep(0)
    assert waiting.get() in (None, 1, 100)


def test_accept_waits_is_killed_and_times_out(hub):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = runtime.spawn(listener.accept)
        settle()
        waiting.kill()
        assert isinstance(waiting.value, GreenletExit)
        listener.settimeout(0.005)
        with pytest.raises(TimeoutError, match=r"(?m)^timed out$"):
            listener.accept()
        with pytest.raises(TimeoutError):
            listener._accept()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert hub.loop._descriptors == {}


@pytest.fixture
def slow_server():
    """The address of a listener whose backlog is full: who connects has to wait."""
    with stdlib.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            one = stack.enter_context(stdlib.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_connect_times_out_and_is_killed(slow_server, hub):
    with socket.socket() as one:
        one.settimeout(0.02)
        with pytest.raises(TimeoutError, match=r"(?m)^timed out$"):
            one.connect(slow_server)
    with socket.socket() as one:
        one.settimeout(0.02)
        assert one.connect_ex(slow_server) == errno.EAGAIN
        with pytest.raises(BlockingIOError) as caught:  # it is still at it
            one.connect(slow_server)
        assert caught.value.errno == errno.EALREADY
    with socket.socket() as one:
        connecting = runtime.spawn(one.connect, slow_server)
        settle()
        connecting.kill()
        assert isinstance(connecting.value, GreenletExit)
    with pytest.raises(TimeoutError):
        socket.create_connection(slow_server, timeout=0.02)
    assert hub.loop._descriptors == {}


def test_connect_says_how_far_it_is_when_it_may_not_wait():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as one:
        one.setblocking(False)
        with pytest.raises(BlockingIOError) as caught:
            one.connect(listener.getsockname())
        assert caught.value.errno == errno.EINPROGRESS
        socket.wait_write(one.fileno(), 5)
        assert one.connect_ex(listener.getsockname()) in {0, errno.EISCONN}
        assert one.connect_ex(listener.getsockname()) == errno.EISCONN
        with pytest.raises(OSError) as caught:
            one.connect(listener.getsockname())
        assert caught.value.errno == errno.EISCONN


def test_connecting_again_while_it_is_in_progress_waits_for_it_if_it_may_wait_for_ever():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as one:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        one.setblocking(True)
        assert one.connect_ex(listener.getsockname()) in {0, errno.EISCONN}
        one.sendall(b"x")


def test_a_unix_listener_whose_backlog_is_full_is_connected_to_when_there_is_room(tmp_path, hub):
    path = str(tmp_path / "s")
    with socket.socket(stdlib.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = stack.enter_context(socket.socket(stdlib.AF_UNIX))
            waiting.append(runtime.spawn(one.connect, path))
        settle()
        assert not all(each.ready() for each in waiting)
        with socket.socket(stdlib.AF_UNIX) as impatient:
            impatient.settimeout(0.005)
            with pytest.raises(TimeoutError, match=r"(?m)^timed out$"):
                impatient.connect(path)
            assert impatient.connect_ex(path) == errno.EAGAIN
            impatient.setblocking(False)
            assert impatient.connect_ex(path) == errno.EAGAIN
        for _ in range(4):
            stack.enter_context(listener.accept()[0])
        runtime.joinall(waiting, raise_error=True)


def test_a_second_reader_is_refused_by_every_call(pair):
    one, _ = pair
    first = runtime.spawn(one.recv, 1)
    settle()
    for name in READING:
        if name not in {"wait_read", "a file"}:
            with pytest.raises(ConcurrentObjectUseError):
                call_reading(name, one)
    first.kill()


def test_wait_read_beside_a_reader_sees_the_same_news(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    beside = runtime.spawn(socket.wait_read, one.fileno())
    either = runtime.spawn(socket.wait_readwrite, one.fileno())
    either.join()
    settle()
    other.send(b"x")
    runtime.joinall([reader, beside], raise_error=True)
    assert reader.value == b"x"


def test_what_wait_raises_can_be_chosen_and_a_wait_be_cancelled(pair, hub):
    one, _ = pair
    with pytest.raises(KeyError):
        socket.wait_read(one.fileno(), 0.001, KeyError("mine"))
    with pytest.raises(TimeoutError):
        socket.wait_read(one.fileno(), timeout=0.001)
    watcher = hub.loop.io(one.fileno(), 1)
    waiting = runtime.spawn(socket.wait, watcher)
    settle()
    with pytest.raises(ConcurrentObjectUseError):
        socket.wait(watcher)
    socket.cancel_wait(watcher)
    with pytest.raises(socket.cancel_wait_ex) as caught:
        waiting.get()
    assert caught.value.errno == errno.EBADF
    watcher.close()
    one.settimeout(0.001)
    with pytest.raises(TimeoutError):
        socket.wait_on_socket(one, one._reader())


def test_MSG_DONTWAIT_never_waits(pair):
    one, other = pair
    for name, arguments in [
        ("recv", (1,)),
        ("recv_into", (bytearray(1), 0)),
        ("recvfrom", (1,)),
        ("recvfrom_into", (bytearray(1), 0)),
        ("recvmsg", (1, 0)),
        ("recvmsg_into", ([bytearray(1)], 0)),
    ]:
        with pytest.raises(BlockingIOError):
            getattr(one, name)(*arguments, stdlib.MSG_DONTWAIT)
    fill(one)
    for name, arguments in [("send", (b"x",)), ("sendall", (b"x",)), ("sendmsg", ([b"x"], ()))]:
        with pytest.raises(BlockingIOError):
            getattr(one, name)(*arguments, stdlib.MSG_DONTWAIT)


def test_MSG_WAITALL_waits_for_all_or_the_end(pair):
    one, other = pair
    whole = runtime.spawn(one.recv, 6, stdlib.MSG_WAITALL)
    for part in (b"ab", b"cd", b"ef"):
        settle()
        other.send(part)
    assert whole.get() == b"abcdef"
    buffer = bytearray(4)
    whole = runtime.spawn(one.recv_into, buffer, 0, stdlib.MSG_WAITALL)
    for part in (b"12", b"34"):
        settle()
        other.send(part)
    assert whole.get() == 4 and buffer == b"1234"
    whole = runtime.spawn(one.recv, 6, stdlib.MSG_WAITALL)
    settle()
    other.send(b"gh")
    other.close()
    assert whole.get() == b"gh"


def test_a_socket_closed_from_another_thread_wakes_who_waits_and_is_closed_at_once(pair):
    one, _ = pair
    waiting = runtime.spawn(one.recv, 1)
    settle()
    descriptors = []

    def close():
        one.close()
        descriptors.append(one.fileno())

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert descriptors == [-1]
    with pytest.raises(OSError) as caught:
        waiting.get()
    assert caught.value.errno == errno.EBADF


def test_closing_a_descriptor_by_its_number_lets_the_loop_go_of_it_first(pair, hub):
    one, _ = pair
    waiting = runtime.spawn(socket.wait_read, one.fileno())
    settle()
    fd = one._sock.detach()
    socket.close(fd)
    with pytest.raises(OSError) as caught:
        waiting.get()
    assert caught.value.errno == errno.EBADF
    assert hub.loop._descriptors == {}
    with pytest.raises(OSError):
        socket.close(fd)


def test_no_descriptor_left_is_EMFILE_and_nothing_worse(run_script):
    done = run_script(
        "import errno, os, resource\n"
        "import greenscope.runtime as runtime\n"
        "from greenscope.runtime import select, socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(listener.getsockname())\n"
        "runtime.sleep(0)\n"
        "highest = os.dup(0)\n"
        "os.close(highest)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (highest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "for call in (socket.socket, socket.socketpair, listener.accept, client.dup):\n"
        "    try:\n"
        "        call()\n"
        "    except OSError as error:\n"
        "        print(errno.errorcode[error.errno], end=' ')\n"
        "print(select.select([listener], [client], [], 0.01) == ([listener], [client], []), end=' ')\n"
        "print(select.select([client], [], [listener], 0.01))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "listener.accept()[0].close()\n"
        "client.close()\n"
        "listener.close()\n"
    )
    assert done.stdout == "EMFILE EMFILE EMFILE EMFILE True ([], [], [])\n", done.stderr
    assert done.stderr == ""


def test_a_half_closed_connection_goes_on_the_other_way(pair):
    one, other = pair
    one.shutdown(stdlib.SHUT_WR)
    assert other.recv(1) == b""
    reader = runtime.spawn(one.recv, 5)
    settle()
    other.sendall(b"still")
    assert reader.get() == b"still"
    with pytest.raises(BrokenPipeError):
        one.send(b"x")


def test_ten_thousand_waits_leave_no_watcher_and_no_descriptor(hub):
    fds = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        one, other = socket.socketpair()
        for _ in range(100):
            other.send(b"x")
            socket.wait_read(one.fileno())
            one.recv(1)
        one.close()
        other.close()
    assert hub.loop._descriptors == {}
    assert len(list(Path("/proc/self/fd").iterdir())) == fds
