"""select, poll and epoll: what is ready, what is refused, and that nobody else has to wait for it."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select as stdlib
import socket as stdlib_socket
import tempfile

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import GreenletExit, Timeout, pollset, select, socket

IN, OUT, PRI = stdlib.POLLIN, stdlib.POLLOUT, stdlib.POLLPRI
needs_epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(fd)


@pytest.fixture(autouse=True)
def nothing_left(hub):
    """No watcher may stay in the loop but those of sockets that are still open."""
    before = set(hub.loop._descriptors)
    yield
    left = set(hub.loop._descriptors) - before
    assert all(os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") for fd in left)


@pytest.fixture(params=["sets", "watchers"])
def either_way(request, monkeypatch):
    """With an epoll set for the wait, and without."""
    if request.param == "watchers":
        monkeypatch.setattr(pollset, "_epoll", None)


def wait_by_select(fd, mask, seconds):
    found = select.select([fd] * bool(mask & IN), [fd] * bool(mask & OUT), [fd] * bool(mask & PRI), seconds)
    return (IN if found[0] else 0) | (OUT if found[1] else 0) | (PRI if found[2] else 0)


def wait_by_poll(fd, mask, seconds):
    poller = select.poll()
    poller.register(fd, mask)
    return dict(poller.poll(None if seconds is None else seconds * 1000)).get(fd, 0)


def wait_by_epoll(fd, mask, seconds):
    with select.epoll() as poller:
        poller.register(fd, mask)
        return dict(poller.poll(seconds)).get(fd, 0)


@pytest.fixture(params=[wait_by_select, wait_by_poll, pytest.param(wait_by_epoll, marks=needs_epoll)])
def wait(request):
    return request.param


def test_what_is_ready_is_returned_at_once(wait, pair):
    one, other = pair
    assert wait(one.fileno(), OUT, None) == OUT
    other.send(b"x")
    assert wait(one.fileno(), IN, None) == IN
    assert wait(one.fileno(), IN | OUT, None) == IN | OUT


def test_others_run_until_it_is_ready(wait, pair, either_way):
    one, other = pair
    waiting = runtime.spawn(wait, one.fileno(), IN, None)
    settle()
    assert not waiting.ready()
    other.send(b"x")
    assert waiting.get() == IN


def test_nothing_within_the_time(wait, pair, either_way):
    one, _ = pair
    assert wait(one.fileno(), IN, 0.01) == 0
    assert wait(one.fileno(), IN | PRI, 0.01) == 0
    assert wait(one.fileno(), IN, 0) == 0


def test_not_to_wait_lets_the_others_run(wait, pair):
    one, other = pair
    runtime.spawn(other.send, b"x")
    while not wait(one.fileno(), IN, 0):
        pass  # would never end, if it did not


def test_a_loop_that_always_finds_something_lets_the_others_run(wait, pair):
    one, other = pair
    runtime.spawn(other.send, b"x")
    while not wait(one.fileno(), IN | OUT, None) & IN:
        pass


@pytest.mark.parametrize("mask", [IN, IN | PRI, OUT])
def test_a_greenlet_can_be_killed_and_time_out_while_it_waits(wait, pair, hub, mask, either_way):
    one, _ = pair
    one.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            one.send(b"x" * 65536)
    waiting = runtime.spawn(wait, one.fileno(), mask, None)
    settle()
    active = hub.loop.active
    waiting.kill()
    assert isinstance(waiting.value, GreenletExit)
    assert hub.loop.active == active - 1
    with pytest.raises(Timeout):
        with Timeout(0.01):
            wait(one.fileno(), mask, None)


def test_urgent_data_is_exceptional(wait):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    with one, other:
        waiting = runtime.spawn(wait, one.fileno(), PRI, None)
        settle()
        other.send(b"!", stdlib_socket.MSG_OOB)
        assert waiting.get() == PRI
        assert one.recv(1, stdlib_socket.MSG_OOB) == b"!"


def test_a_peer_that_has_gone_can_be_read(wait, pair):
    one, other = pair
    waiting = runtime.spawn(wait, one.fileno(), IN, None)
    settle()
    other.close()
    assert waiting.get() & IN


def test_it_sees_what_another_greenlet_waits_for_too(wait, pair, either_way):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    waiting = [runtime.spawn(wait, one.fileno(), mask, None) for mask in (IN, IN | PRI)]
    settle()
    other.send(b"xy")
    assert reader.get() == b"x"
    for each in waiting:
        assert each.get() & IN
    reader = runtime.spawn(one.recv, 2)
    settle()
    other.send(b"z")
    assert reader.get() in {b"yz", b"y"}


def test_a_pipe_is_waited_for_and_stays_blocking(wait, pipe):
    reader, writer = pipe
    waiting = runtime.spawn(wait, reader, IN, None)
    settle()
    os.write(writer, b"x")
    assert waiting.get() == IN
    assert os.get_blocking(reader)


def test_a_regular_file_is_always_ready_for_select_and_poll():
    with tempfile.TemporaryFile() as file:
        assert wait_by_select(file, IN | OUT, None) == IN | OUT
        assert wait_by_poll(file.fileno(), IN | OUT, None) == IN | OUT
        # it never has urgent data, and cannot be in a set
        assert wait_by_select(file, PRI, 0.01) == 0


@needs_epoll
def test_a_regular_file_is_refused_by_epoll_as_the_kernel_does():
    with tempfile.TemporaryFile() as file, select.epoll() as poller, pytest.raises(PermissionError):
        poller.register(file)


def test_a_closed_descriptor_is_EBADF_for_select_and_POLLNVAL_for_poll(pipe):
    reader, _ = pipe
    os.close(reader)
    with pytest.raises(OSError) as caught:
        select.select([reader], [], [])
    assert caught.value.errno == errno.EBADF
    poller = select.poll()
    poller.register(reader, IN)
    assert poller.poll() == [(reader, stdlib.POLLNVAL)]


def test_a_socket_that_another_greenlet_closes_ends_the_wait(pair):
    one, _ = pair
    fd = one.fileno()
    selecting = runtime.spawn(select.select, [fd], [], [])
    polling = runtime.spawn(wait_by_poll, fd, IN, None)
    settle()
    one.close()
    with pytest.raises(OSError) as caught:
        selecting.get()
    assert caught.value.errno == errno.EBADF
    assert polling.get() == stdlib.POLLNVAL


def test_a_descriptor_closed_and_given_out_again_while_many_are_waited_for_harms_nobody(pair):
    one, other = pair
    doomed, peer = socket.socketpair()
    raw, new_peer = stdlib_socket.socketpair()
    selecting = runtime.spawn(select.select, [one, doomed], [], [])
    settle()
    fd = doomed.fileno()
    doomed.close()
    peer.close()
    os.dup2(raw.fileno(), fd)
    raw.close()
    new = socket.socket(fileno=fd)
    reader = runtime.spawn(new.recv, 1)
    settle()
    new_peer.send(b"n")
    assert reader.get() == b"n"
    other.send(b"x")
    try:
        assert selecting.get()[0] == [one]
    finally:
        new.close()
        new_peer.close()


def test_a_number_that_is_given_out_again_is_not_waited_for_in_its_new_life(pair):
    doomed, peer = socket.socketpair()
    fd = doomed.fileno()
    selecting = runtime.spawn(select.select, [fd], [], [])
    polling = runtime.spawn(wait_by_poll, fd, IN, None)
    settle()
    doomed.close()
    os.dup2(pair[0].fileno(), fd)
    with pytest.raises(OSError) as caught:
        selecting.get()
    assert caught.value.errno == errno.EBADF
    assert polling.get() == stdlib.POLLNVAL
    os.close(fd)
    peer.close()
    runtime.sleep(0.001)


def test_all_that_is_ready_is_in_the_answer(either_way):
    pairs = [socket.socketpair() for _ in range(20)]
    readers = [one for one, _ in pairs]
    waiting = runtime.spawn(select.select, readers, [], [])
    settle()
    for _, other in pairs[::2]:
        other.send(b"x")
    assert waiting.get() == (readers[::2], [], [])
    for one, other in pairs:
        one.close()
        other.close()


def test_descriptors_of_1024_and_more_can_be_selected(run_script):
    done = run_script(
        "import os, resource\n"
        "import greenscope.runtime as runtime\n"
        "from greenscope.runtime import select, socket\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (min(3000, hard), hard))\n"
        "one, other = socket.socketpair()\n"
        "os.dup2(one.fileno(), 2000)\n"
        "waiting = runtime.spawn(select.select, [2000], [], [])\n"
        "runtime.sleep(0)\n"
        "other.send(b'x')\n"
        "print(waiting.get())\n"
        "one.close()\n"
        "other.close()\n"
    )
    assert done.stdout == "([2000], [], [])\n", done.stderr


def test_the_same_object_may_be_asked_for_more_than_once_and_in_every_list(pair):
    one, other = pair
    other.send(b"x")
    assert select.select([one, one], [one], [one], 0) == ([one, one], [one], [])
    assert select.select(iter([one]), (one,), {one: 1}, 0) == ([one], [one], [])


def test_a_set_cannot_be_had_so_every_descriptor_gets_a_watcher(pair, monkeypatch):
    one, other = pair
    another, its_peer = socket.socketpair()

    def exhausted():
        raise OSError(errno.EMFILE, "no more")

    monkeypatch.setattr(pollset, "_epoll", exhausted)
    waiting = runtime.spawn(select.select, [one, another], [], [])
    settle()
    its_peer.send(b"x")
    assert waiting.get() == ([another], [], [])
    another.close()
    its_peer.close()


class Nope:
    pass


class Almost:
    def fileno(self):
        return "fileno"


class Closed:
    def fileno(self):
        return -1


@pytest.mark.parametrize(
    "arguments",
    [
        (1, 2, 3),
        ([Nope()], [], []),
        ([], [Almost()], []),
        ([], [], [Closed()]),
        ([-1], [], []),
        ([1.5], [], []),
        ([], [], [], "x"),
        ([], [], [], -1),
        ([], [], [], math.nan),
        ([], [], [], math.inf),
        ([], [], [], 1 << 80),
        ([], []),
        ([1 << 40], [], [], 0),
    ],
)
def test_select_refuses_the_same_with_the_same_error(arguments):
    outcomes = []
    for module in (stdlib, select):
        with pytest.raises(Exception) as caught:
            module.select(*arguments)
        outcomes.append(caught.type)
    assert outcomes[0] is outcomes[1] or {outcomes[0], outcomes[1]} == {ValueError, OverflowError}


@pytest.mark.parametrize(
    "use",
    [
        lambda p, fd: p.register(-1),
        lambda p, fd: p.register(Nope()),
        lambda p, fd: p.register(Almost()),
        lambda p, fd: p.register(fd, "x"),
        lambda p, fd: p.register(fd, -1),
        lambda p, fd: p.register(fd, 1 << 20),
        lambda p, fd: p.register(1 << 40),
        lambda p, fd: p.modify(fd, IN),
        lambda p, fd: p.unregister(fd),
        lambda p, fd: p.modify(fd),
        lambda p, fd: p.poll("x"),
        lambda p, fd: p.poll(1 << 31),
        lambda p, fd: p.poll(math.nan),
        lambda p, fd: p.poll(math.inf),
        lambda p, fd: p.poll(1, 2),
    ],
)
def test_poll_refuses_the_same_with_the_same_error(use, pipe):
    outcomes = []
    for module in (stdlib, select):
        poller = module.poll()
        with pytest.raises(Exception) as caught:
            use(poller, pipe[0])
        outcomes.append((caught.type, getattr(caught.value, "errno", None)))
    assert outcomes[0] == outcomes[1]


@needs_epoll
@pytest.mark.parametrize(
    "use",
    [
        lambda p, fd: p.register(-1),
        lambda p, fd: p.register(Nope()),
        lambda p, fd: p.register(fd, "x"),
        lambda p, fd: (p.register(fd), p.register(fd)),
        lambda p, fd: p.modify(fd, IN),
        lambda p, fd: p.unregister(fd),
        lambda p, fd: p.poll("x"),
        lambda p, fd: p.poll(0, -2),
        lambda p, fd: p.poll(0, "x"),
        lambda p, fd: p.poll(3e9),
        lambda p, fd: (p.close(), p.poll(0)),
        lambda p, fd: (p.close(), p.register(fd)),
        lambda p, fd: (p.close(), p.fileno()),
        lambda p, fd: (p.close(), p.__enter__()),
        lambda p, fd: type(p)(-2),
        lambda p, fd: type(p)(1, 12345),
    ],
)
def test_epoll_refuses_the_same_with_the_same_error(use, pipe):
    outcomes = []
    for module in (stdlib, select):
        poller = module.epoll()
        with pytest.raises(Exception) as caught:
            use(poller, pipe[0])
        poller.close()
        poller.close()
        assert poller.closed
        outcomes.append((caught.type, getattr(caught.value, "errno", None)))
    assert outcomes[0] == outcomes[1]


def test_registering_again_replaces_and_what_is_unregistered_is_not_waited_for(pair):
    one, other = pair
    poller = select.poll()
    poller.register(one)
    assert poller.poll() == [(one.fileno(), OUT)]
    poller.register(one, IN)
    assert poller.poll(0) == []
    poller.modify(one, OUT)
    assert poller.poll(0) == [(one.fileno(), OUT)]
    poller.unregister(one)
    assert poller.poll(1) == []


def test_two_greenlets_cannot_poll_with_one_object(pair):
    one, other = pair
    poller = select.poll()
    poller.register(one, IN)
    first = runtime.spawn(poller.poll)
    settle()
    with pytest.raises(RuntimeError, match="concurrent"):
        poller.poll()
    other.send(b"x")
    assert first.get() == [(one.fileno(), IN)]
    assert poller.poll() == [(one.fileno(), IN)]


@pytest.mark.parametrize("forever", [None, -1, -0.1, -1e-100])
def test_a_time_below_0_is_for_ever(pair, forever):
    one, other = pair
    poller = select.poll()
    poller.register(one, IN)
    waiting = runtime.spawn(poller.poll, forever)
    runtime.sleep(0.005)
    assert not waiting.ready()
    other.send(b"x")
    assert waiting.get() == [(one.fileno(), IN)]


def test_nothing_at_all_is_waited_for_as_long_as_it_takes():
    assert select.select([], [], [], 0.001) == ([], [], [])
    waiting = runtime.spawn(select.select, [], [], [])
    settle()
    waiting.kill()
    assert isinstance(waiting.value, GreenletExit)


@needs_epoll
def test_several_greenlets_and_threads_may_poll_one_set(pair):
    one, other = pair
    with select.epoll() as poller:
        poller.register(one, IN)
        waiting = [runtime.spawn(poller.poll) for _ in range(3)]
        settle()
        other.send(b"x")
        assert [each.get() for each in waiting] == [[(one.fileno(), IN)]] * 3
        assert one.recv(1) == b"x"
        far = runtime.get_hub().threadpool.spawn(poller.poll, 5)
        runtime.sleep(0.005)
        other.send(b"y")
        assert far.get() == [(one.fileno(), IN)]
        assert poller.poll(5, 1) == [(one.fileno(), IN)]


@needs_epoll
def test_who_waits_on_a_set_that_is_closed_gets_EBADF(pair):
    poller = select.epoll()
    poller.register(pair[0], IN)
    waiting = runtime.spawn(poller.poll)
    settle()
    poller.close()
    with pytest.raises(OSError) as caught:
        waiting.get()
    assert caught.value.errno == errno.EBADF


@needs_epoll
def test_a_set_of_a_descriptor_and_one_that_is_dropped(pair):
    one, other = pair
    first = select.epoll()
    first.register(one, IN)
    second = select.epoll.fromfd(os.dup(first.fileno()))
    other.send(b"x")
    assert second.poll() == [(one.fileno(), IN)]
    one.recv(1)
    assert second.poll(0.001) == []
    second.close()
    first.poll(0.001)
    runtime.sleep(0)  # until then the hub holds the timeout it raised, and so these frames
    del first  # lets the loop go of it first


def test_who_waits_and_for_what_is_said_in_the_recording(pair):
    one, other = pair
    assert pollset.describe({5: IN, 6: IN | OUT, 7: PRI}, "poll") == "poll of r5 rw6 x7"
    assert pollset.describe(dict.fromkeys(range(10), IN), "select").endswith("r7 and 2 more")
    waiting = runtime.spawn(select.select, [one, other], [], [])
    settle()
    peers = [watcher.peer for each in runtime.get_hub().loop._descriptors.values() if (watcher := each.reader)]
    waiting.kill()
    assert f"select of r{one.fileno()} r{other.fileno()}".encode() in peers


@pytest.mark.parametrize("kind", ["poll", pytest.param("epoll", marks=needs_epoll)])
def test_who_waits_for_one_connection_names_its_peer_whoever_opened_it(kind, pair):
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with stdlib_socket.create_connection((host, port)) as foreign:
            other = pair[0]
            poller = getattr(select, kind)()
            poller.register(foreign, IN)
            assert waits_of(poller) == {f"{kind} of r{foreign.fileno()} {host}:{port}"}
            poller.register(other, IN)
            assert waits_of(poller) <= {"epoll", f"poll of r{foreign.fileno()} r{other.fileno()}"}
            poller.unregister(foreign)
            assert waits_of(poller) == {f"{kind} of r{other.fileno()}"}
            assert foreign.gettimeout() is None and os.get_blocking(foreign.fileno())


def waits_of(poller):
    """What the hub watches while ``poller`` waits."""
    waiting = runtime.spawn(poller.poll)
    settle()
    watchers = [each.reader for each in runtime.get_hub().loop._descriptors.values()]
    waiting.kill()
    return {watcher.peer.decode() for watcher in watchers if watcher and watcher.peer}
