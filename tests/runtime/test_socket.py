"""The green socket: waiting, being refused, being closed, and everything the kernel can do to it."""

from __future__ import annotations

import errno
import gc
import os
import socket as stdlib
import struct
import tempfile
import threading

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import GreenletExit, Timeout, resolve, socket
from greenscope.runtime.hub import ConcurrentObjectUseError


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def reset(sock) -> None:
    """Close it so that the peer sees a reset."""
    sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.fixture
def tcp():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    yield client, server
    client.close()
    server.close()


def fill(sock) -> int:
    """Send until the kernel takes no more."""
    sent = 0
    while True:
        try:
            sent += sock._sock.send(b"x" * 65536)
        except BlockingIOError:
            return sent


def test_a_second_greenlet_on_the_same_direction_is_refused_by_the_name_of_the_first(pair):
    one, other = pair
    first = runtime.Greenlet(one.recv, 1)
    first.name = "the first reader"
    first.start()
    settle()
    with pytest.raises(ConcurrentObjectUseError, match="the first reader"):
        one.recv(1)
    one.settimeout(60)
    with pytest.raises(ConcurrentObjectUseError, match="the first reader"):
        one.recv(1)
    other.send(b"x")
    assert first.get() == b"x"


def test_one_may_read_while_another_writes(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 10)
    data = b"y" * fill(one)
    writer = runtime.spawn(one.sendall, b"tail")
    settle()
    other.send(b"hello")
    assert reader.get() == b"hello"
    received = b""
    while len(received) < len(data) + 4:
        received += other.recv(1 << 20)
    writer.get()
    assert received.endswith(b"tail")


@pytest.mark.parametrize("end", ["close", "cancel_wait", "shutdown", "detach"])
def test_whoever_waits_is_woken_with_EBADF_when_another_greenlet_ends_the_socket(pair, end):
    one, _ = pair
    fd = one.fileno()
    reader = runtime.spawn(one.recv, 1)
    settle()
    if end == "shutdown":
        one.shutdown(stdlib.SHUT_RDWR)
    else:
        getattr(one, end)()
    with pytest.raises(OSError, match="File descriptor was closed in another greenlet") as caught:
        reader.get()
    assert caught.value.errno == errno.EBADF
    if end == "detach":
        os.close(fd)


def test_a_writer_is_woken_too(pair):
    one, _ = pair
    fill(one)
    writer = runtime.spawn(one.sendall, b"more")
    settle()
    one.close()
    with pytest.raises(OSError, match="closed in another"):
        writer.get()


def test_a_closed_socket_says_EBADF_and_closing_twice_is_fine(pair):
    one, _ = pair
    one.close()
    one.close()
    assert one.fileno() == -1
    for call in (lambda: one.recv(1), lambda: one.send(b"x"), lambda: one.accept()):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF


def test_send_gives_0_when_the_buffer_is_full_after_one_wait(pair):
    one, other = pair
    fill(one)
    with pytest.raises(TimeoutError, match="timed out"):
        one.send(b"x", 0, 0.01)
    with pytest.raises(BlockingIOError):
        one.send(b"x", timeout=0.0)
    assert one.timeout is None

    def steal():
        watcher = one._write
        watcher.fire()  # as if it were writable, which it is not

    thief = runtime.spawn(steal)
    assert one.send(b"x") == 0
    thief.join()


def test_sendall_has_one_timeout_for_all_of_it(pair):
    one, other = pair
    one.settimeout(0.03)

    def trickle():
        with Timeout(5, False):
            while True:
                other.recv(1024)
                runtime.sleep(0.005)

    reader = runtime.spawn(trickle)
    with pytest.raises(TimeoutError):
        one.sendall(b"x" * (1 << 24))
    reader.kill()


def test_sendall_takes_every_kind_of_buffer(pair):
    import array

    one, other = pair
    for data in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), array.array("H", [0x6261, 0x6463])):
        assert one.sendall(data) is None
        assert other.recv(10) == b"abcd"
    one.sendall(b"")


def test_a_reset_peer_wakes_the_reader_with_the_kernels_error(tcp):
    client, server = tcp
    reader = runtime.spawn(client.recv, 1)
    settle()
    reset(server)
    with pytest.raises(ConnectionResetError):
        reader.get()


def test_a_reset_peer_while_nobody_waits_is_noticed_by_the_next_call(tcp):
    client, server = tcp
    server.send(b"x")
    assert client.recv(1) == b"x"
    reader = runtime.spawn(client.recv, 1)
    settle()
    server.send(b"y")
    assert reader.get() == b"y"  # the handle is armed, nobody waits
    reset(server)
    runtime.sleep(0.01)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_timeouts_are_the_standard_librarys_and_leave_nothing_behind(pair, hub):
    one, _ = pair
    one.settimeout(0.01)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="timed out"):
            one.recv(1)
    assert runtime.getcurrent()._state.timeouts == []
    assert hub.loop.active == 0


def test_a_timeout_of_0_never_waits(pair):
    one, _ = pair
    one.setblocking(False)
    assert one.gettimeout() == 0.0 and not one.getblocking()
    with pytest.raises(BlockingIOError):
        one.recv(1)
    with pytest.raises(ValueError, match="-1"):
        one.settimeout(-1)


def test_the_default_timeout_is_the_standard_librarys():
    socket.setdefaulttimeout(7)
    try:
        one, other = socket.socketpair()
        assert one.timeout == other.gettimeout() == 7
    finally:
        socket.setdefaulttimeout(None)
    one.close()
    other.close()


def test_a_descriptor_that_is_given_out_again_is_watched_afresh():
    for _ in range(3):
        one, other = socket.socketpair()
        reader = runtime.spawn(one.recv, 1)
        settle()
        other.send(b"x")
        assert reader.get() == b"x"
        one.close()
        other.close()


def test_a_descriptor_closed_behind_its_socket_and_given_out_again(pair):
    one, _ = pair
    victim = runtime.spawn(one.recv, 1)
    settle()
    new, peer = stdlib.socketpair()
    fd = one._sock.detach()
    os.dup2(new.fileno(), fd)
    green = socket.socket(new.family, new.type, new.proto, fd)
    new.close()
    reader = runtime.spawn(green.recv, 1)
    settle()
    peer.send(b"x")
    assert reader.get() == b"x"
    with pytest.raises(OSError) as caught:
        victim.get()
    assert caught.value.errno == errno.EBADF
    green.close()
    peer.close()


def test_closing_does_not_leave_a_duplicate_reporting_to_the_loop(pair, hub):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    other.send(b"x")
    reader.join()
    copy = os.dup(one.fileno())  # as a forked child has one
    one.close()
    other.send(b"y")
    runtime.sleep(0.01)
    assert hub.loop._epoll is None or hub.loop._epoll.poll(0) == []
    os.close(copy)


def test_a_socket_that_is_dropped_without_being_closed_warns_and_harms_nobody():
    one, other = socket.socketpair()
    with Timeout(0.001, False):
        one.recv(1)
    runtime.sleep(0)  # until then the hub holds the timeout it raised, and so these frames
    with pytest.warns(ResourceWarning):
        del one
        gc.collect()
    runtime.sleep(0.001)
    assert other.recv(1) == b""
    other.close()


def test_a_killed_first_wait_leaves_nothing_for_the_kernel_to_be_told(pair):
    one, other = pair

    def arm_and_close():
        with Timeout(0):  # never polled in between
            one.recv(1)

    worker = runtime.spawn(arm_and_close)
    runtime.sleep(0)
    worker.kill()
    one.close()
    runtime.sleep(0.001)


def test_a_socket_that_two_other_threads_wait_on_can_be_closed(pair):
    one, _ = pair
    fill(one)
    errors = []

    def wait(call):
        with pytest.raises(OSError) as caught:
            call()
        errors.append(caught.value.errno)

    threads = [threading.Thread(target=wait, args=(call,)) for call in (lambda: one.recv(1), lambda: one.sendall(b"x"))]
    for thread in threads:
        thread.start()
    while not all(watcher is not None and watcher.greenlet is not None for watcher in (one._read, one._write)):
        runtime.sleep(0.001)
    assert one._read.loop is not one._write.loop
    one.close()
    for thread in threads:
        thread.join(10)
    assert errors == [errno.EBADF] * 2
    assert one.fileno() == -1


def test_a_socket_dropped_in_another_thread_stays_open_until_its_loop_let_go_of_it(hub):
    one, other = socket.socketpair()
    fd = one.fileno()
    with Timeout(0.001, False):
        one.recv(1)
    runtime.sleep(0)
    left = [one]
    del one
    thread = threading.Thread(target=left.clear)
    with pytest.warns(ResourceWarning, match="unclosed"):
        thread.start()
        thread.join()
    os.fstat(fd)
    runtime.sleep(0.001)
    with pytest.raises(OSError):
        os.fstat(fd)
    other.close()


def test_a_regular_file_is_refused_with_an_error_that_says_so(hub):
    with tempfile.TemporaryFile() as file:
        with pytest.raises(PermissionError, match="regular file"):
            hub.loop.io(file.fileno(), 1)


def test_a_descriptor_that_is_not_one_is_refused(hub):
    with pytest.raises(OSError) as caught:
        hub.loop.io(10_000, 1)
    assert caught.value.errno == errno.EBADF


def test_connect_to_nobody_is_refused_and_connect_ex_says_so():
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with socket.socket() as one:
        assert one.connect_ex(address) == errno.ECONNREFUSED
    with pytest.raises(ExceptionGroup):
        socket.create_connection(address, all_errors=True)


def test_create_connection_by_name_does_not_block_the_hub():
    listener = socket.create_server(("127.0.0.1", 0))
    ticks = []
    ticker = runtime.spawn(lambda: [ticks.append(runtime.sleep(0)) for _ in range(5)])
    client = socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5)
    server, address = listener.accept()
    assert address == client.getsockname() and isinstance(server, socket.socket)
    assert client.timeout == 5 and server.timeout is None
    ticker.join()
    for each in (client, server, listener):
        each.close()


def test_a_look_up_lets_others_run_and_keeps_the_loop_alive(monkeypatch):
    asked = threading.Event()
    go_on = threading.Event()

    def slow(*arguments):
        asked.set()
        assert go_on.wait(5)
        return ["found"]

    monkeypatch.setattr(resolve, "_getaddrinfo", slow)
    looker = runtime.spawn(socket.getaddrinfo, "name.invalid", 80)
    settle()
    assert asked.wait(5)
    go_on.set()
    assert looker.get() == ["found"]


def test_a_name_that_does_not_exist_raises_the_resolvers_error(monkeypatch):
    def missing(*arguments):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(resolve, "_getaddrinfo", missing)
    with pytest.raises(socket.gaierror):
        socket.create_connection(("name.invalid", 80))


def test_makefile_reads_and_writes_lines(pair):
    one, other = pair
    with other.makefile("rwb") as file:
        file.write(b"question\n")
        file.flush()
        assert one.recv(100) == b"question\n"
        one.sendall(b"answer\nrest")
        assert file.readline() == b"answer\n"
    with one.makefile("w", encoding="utf-8") as text:
        text.write("grün\n")
    with other.makefile(encoding="utf-8") as text:
        assert text.readline() == "grün\n"
    with pytest.raises(ValueError, match="mode"):
        one.makefile("x")


def test_a_socket_closes_after_its_last_file(pair):
    one, other = pair
    file = one.makefile("rb", buffering=0)
    one.close()
    other.send(b"x")
    assert file.read(1) == b"x"
    file.close()
    assert one.fileno() == -1


def test_datagrams_and_messages():
    with socket.socket(type=stdlib.SOCK_DGRAM) as one, socket.socket(type=stdlib.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        reader = runtime.spawn(one.recvfrom, 100)
        settle()
        other.sendto(b"hi", ("localhost", one.getsockname()[1]))
        data, address = reader.get()
        assert data == b"hi" and address[1] == other.getsockname()[1]
        other.sendto(b"again", 0, one.getsockname())
        buffer = bytearray(10)
        assert one.recvfrom_into(buffer)[0] == 5 and buffer.startswith(b"again")
        other.sendmsg([b"a", b"b"], (), 0, one.getsockname())
        assert one.recvmsg(10)[0] == b"ab"


def test_dup_and_detach_and_fromfd(pair):
    one, other = pair
    copy = one.dup()
    other.send(b"xyz")
    assert copy.recv(1) == b"x"
    third = socket.fromfd(one.fileno(), one.family, one.type)
    assert third.recv(1) == b"y"
    raw = one.detach()
    os.close(raw)
    assert third.recv(1) == b"z"
    copy.close()
    third.close()


def test_sendfile_and_recv_into(pair):
    one, other = pair
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        assert one.sendfile(file, offset=2, count=5) == 5
    buffer = bytearray(8)
    assert other.recv_into(buffer) == 5 and buffer[:5] == b"23456"


def test_a_unix_socket_is_served(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(stdlib.AF_UNIX) as listener, socket.socket(stdlib.AF_UNIX) as client:
        listener.bind(path)
        listener.listen(1)
        accepting = runtime.spawn(listener.accept)
        settle()
        assert listener._read.peer == b"listening " + path.encode()
        client.connect(path)
        server, _ = accepting.get()
        server.send(b"x")
        assert client.recv(1) == b"x"
        server.close()


def test_the_peer_is_known_to_the_recording_by_its_address(tcp):
    client, server = tcp
    with pytest.raises(TimeoutError):
        server.settimeout(0.001)
        server.recv(1)
    host, port = client.getsockname()
    assert server._read.peer == f"{host}:{port}".encode()
    assert server._read.describe() == f"read on fd {server.fileno()} ({host}:{port})"


def test_an_exception_in_the_waiting_greenlet_does_not_lose_data(pair):
    one, other = pair
    reader = runtime.spawn(one.recv, 1)
    settle()
    other.send(b"x")
    runtime.sleep(0)  # the poll has seen it; the reader is ready
    reader.kill()
    assert isinstance(reader.value, GreenletExit) or reader.value == b"x"
    if isinstance(reader.value, GreenletExit):
        assert one.recv(1) == b"x"


def test_a_socket_moves_to_the_thread_that_uses_it(pair):
    one, other = pair
    with Timeout(0.001, False):
        one.recv(1)
    got = []

    def elsewhere():
        got.append(one.recv(1))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    other.send(b"x")
    thread.join(5)
    assert got == [b"x"]
    runtime.sleep(0)
    reader = runtime.spawn(one.recv, 1)
    settle()
    other.send(b"y")
    assert reader.get() == b"y"


def test_many_sockets_at_once():
    pairs = [socket.socketpair() for _ in range(100)]
    readers = [runtime.spawn(one.recv, 1) for one, _ in pairs]
    settle()
    for _, other in pairs:
        other.send(b"x")
    runtime.joinall(readers)
    assert [reader.value for reader in readers] == [b"x"] * 100
    for one, other in pairs:
        one.close()
        other.close()
