"""The same cases over the standard library with threads, and over greenscope with greenlets.

What a program can tell apart is a difference that its author has to know of. There is one here: the
standard library's ``close`` does not wake a thread that waits, so that case is not in this file.
"""

from __future__ import annotations

import errno
import io
import os
import queue as stdlib_queue
import select as stdlib_select
import selectors as stdlib_selectors
import socket as stdlib_socket
import struct
import threading
import time
from types import SimpleNamespace

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import queue as green_queue
from greenscope.runtime import select as green_select
from greenscope.runtime import selectors as green_selectors
from greenscope.runtime import socket as green_socket

_METHODS = [
    "accept",
    "bind",
    "close",
    "connect",
    "connect_ex",
    "detach",
    "dup",
    "fileno",
    "getpeername",
    "getsockname",
    "getsockopt",
    "gettimeout",
    "listen",
    "makefile",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "send",
    "sendall",
    "sendfile",
    "sendmsg",
    "sendto",
    "setblocking",
    "setsockopt",
    "settimeout",
    "shutdown",
    "family",
    "type",
    "proto",
    "get_inheritable",
    "set_inheritable",
    "timeout",
]


class _Thread:
    def __init__(self, function, *arguments):
        self._result = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            self._result = function(*arguments), None
        except Exception as error:
            self._result = None, error

    def get(self):
        self._thread.join(10)
        value, error = self._result
        if error is not None:
            raise error
        return value


STDLIB = SimpleNamespace(
    name="stdlib",
    select=stdlib_select,
    selectors=stdlib_selectors,
    socket=stdlib_socket,
    spawn=_Thread,
    sleep=time.sleep,
    Event=threading.Event,
    Lock=threading.Lock,
    Semaphore=threading.Semaphore,
    BoundedSemaphore=threading.BoundedSemaphore,
    Queue=stdlib_queue.Queue,
)
GREEN = SimpleNamespace(
    name="green",
    select=green_select,
    selectors=green_selectors,
    socket=green_socket,
    spawn=runtime.spawn,
    sleep=runtime.sleep,
    Event=runtime.Event,
    Lock=runtime.Lock,
    Semaphore=runtime.Semaphore,
    BoundedSemaphore=runtime.BoundedSemaphore,
    Queue=green_queue.Queue,
)


@pytest.fixture(params=["stdlib", "green"])
def kit(request, capsys):
    if request.param == "stdlib":
        yield STDLIB
    else:
        yield GREEN
        runtime.get_hub().destroy()


@pytest.fixture
def tcp(kit):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        client = kit.socket.create_connection(listener.getsockname())
        server, address = listener.accept()
        assert address == client.getsockname()
    with client, server:
        yield client, server


def test_bytes_arrive_in_order_and_then_the_end(kit, tcp):
    client, server = tcp
    data = bytes(range(256)) * 4096

    def receive():
        blocks = []
        while block := server.recv(5000):
            blocks.append(block)
        return b"".join(blocks)

    receiver = kit.spawn(receive)
    client.sendall(data)
    client.shutdown(kit.socket.SHUT_WR)
    assert receiver.get() == data


def test_recv_of_nothing_within_the_timeout(kit, tcp):
    client, _ = tcp
    client.settimeout(0.02)
    assert client.gettimeout() == 0.02
    with pytest.raises(TimeoutError, match=r"(?m)^timed out$"):
        client.recv(1)


def test_recv_without_waiting(kit, tcp):
    client, server = tcp
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            server.send(b"x" * 65536)


def test_sendall_of_too_much_within_the_timeout(kit, tcp):
    client, _ = tcp
    client.settimeout(0.02)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * (1 << 25))


def test_accept_within_the_timeout(kit):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_peer_that_resets(kit, tcp):
    client, server = tcp
    reader = kit.spawn(client.recv, 1)
    kit.sleep(0.001)
    server.setsockopt(kit.socket.SOL_SOCKET, kit.socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    with pytest.raises(ConnectionResetError):
        reader.get()


def test_sending_to_a_peer_that_has_gone(kit, tcp):
    client, server = tcp
    server.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            client.send(b"x" * 1024)
            kit.sleep(0.001)


def test_a_connection_that_is_refused(kit):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        kit.socket.create_connection(address)
    with kit.socket.socket() as one:
        assert one.connect_ex(address) != 0


def test_names_of_the_module_and_of_the_class(kit):
    for name in stdlib_socket.__all__:
        assert hasattr(kit.socket, name), name
    for name in _METHODS:
        assert hasattr(kit.socket.socket, name), name


def test_family_type_and_proto_are_enumerations(kit):
    with kit.socket.socket(kit.socket.AF_INET, kit.socket.SOCK_DGRAM) as one:
        assert one.family is kit.socket.AF_INET
        assert one.type is kit.socket.SOCK_DGRAM
        assert one.proto == 0
    assert one.fileno() == -1


def test_files_of_a_socket(kit, tcp):
    client, server = tcp
    with client.makefile("rwb") as file, server.makefile("r", encoding="utf-8", newline="\n") as lines:
        file.write("zeile\nünd\n".encode())
        file.flush()
        assert lines.readline() == "zeile\n"
        assert lines.readline() == "ünd\n"
        server.sendall(b"abc")
        assert file.read(3) == b"abc"


def test_a_file_after_a_timeout_is_not_to_be_trusted(kit, tcp):
    client, _ = tcp
    client.settimeout(0.01)
    with client.makefile("rb") as file:
        with pytest.raises(TimeoutError):
            file.read(1)
        with pytest.raises(OSError, match="timed out"):
            file.read(1)


def test_detach_leaves_the_descriptor_open(kit, tcp):
    client, server = tcp
    again = kit.socket.socket(client.family, client.type, client.proto, client.detach())
    with again:
        again.sendall(b"x")
        assert server.recv(1) == b"x"
    assert client.fileno() == -1


def test_a_pair_talks_both_ways(kit):
    one, other = kit.socket.socketpair()
    with one, other:
        reader = kit.spawn(other.recv, 5)
        one.sendall(b"there")
        assert reader.get() == b"there"
        other.sendall(b"back")
        assert one.recv(4) == b"back"


def test_datagrams_keep_their_bounds(kit):
    with kit.socket.socket(type=kit.socket.SOCK_DGRAM) as one, kit.socket.socket(type=kit.socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.sendto(b"a", one.getsockname())
        other.sendto(b"bc", one.getsockname())
        assert [one.recvfrom(10)[0], one.recv(10)] == [b"a", b"bc"]


def test_a_message_into_buffers(kit, tcp):
    client, server = tcp
    server.sendall(b"hello")
    first, second = bytearray(2), bytearray(9)
    assert client.recvmsg_into([first, second])[0] == 5
    assert (first, second[:3]) == (b"he", b"llo")


def test_what_is_wrong_is_refused_alike(kit, tcp):
    client, _ = tcp
    with pytest.raises(TypeError):
        client.sendto(b"x")
    with pytest.raises(ValueError, match="mode"):
        client.makefile("a")
    with pytest.raises(kit.socket.gaierror):
        kit.socket.gethostbyname("::1")
    with client.makefile("w", buffering=1) as file:
        assert not file.line_buffering


def test_connect_ex_says_what_connect_raises(kit, tmp_path):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with kit.socket.socket() as one:
        assert one.connect_ex(address) == errno.ECONNREFUSED
    with kit.socket.socket(kit.socket.AF_UNIX) as one:
        assert one.connect_ex(str(tmp_path / "nobody")) == errno.ENOENT
        with pytest.raises(FileNotFoundError):
            one.connect(str(tmp_path / "nobody"))
    with kit.socket.socket() as one, pytest.raises(kit.socket.gaierror):
        one.connect_ex(("name.invalid." + "x" * 64, 80))


def test_connecting_twice_is_EISCONN(kit, tcp):
    client, _ = tcp
    # The kernel may only now note that a connection that it made without being waited for has come about.
    assert client.connect_ex(client.getpeername()) in {0, errno.EISCONN}
    assert client.connect_ex(client.getpeername()) == errno.EISCONN
    with pytest.raises(OSError) as caught:
        client.connect(client.getpeername())
    assert caught.value.errno == errno.EISCONN


def test_all_that_failed_or_the_last_of_it(kit):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ExceptionGroup, match="create_connection failed") as group:
        kit.socket.create_connection(address, all_errors=True)
    assert [type(error) for error in group.value.exceptions] == [ConnectionRefusedError]
    with pytest.raises(ConnectionRefusedError):
        kit.socket.create_connection(address, timeout=1)


def test_a_connection_from_a_given_address(kit):
    with kit.socket.create_server(("127.0.0.1", 0)) as listener:
        with kit.socket.create_connection(listener.getsockname(), 5, ("127.0.0.2", 0)) as client:
            server, address = listener.accept()
            server.close()
            assert address[0] == client.getsockname()[0] == "127.0.0.2"
            assert client.gettimeout() == 5
        with pytest.raises(OSError):
            kit.socket.create_connection(listener.getsockname(), 5, ("192.0.2.1", 0))


def test_servers_of_each_family_and_what_cannot_be_had(kit):
    for arguments, error in [
        ({"address": ("127.0.0.1", 0), "dualstack_ipv6": True}, ValueError),
        ({"address": ("192.0.2.1", 0)}, OSError),
    ]:
        with pytest.raises(error):
            kit.socket.create_server(**arguments)
    with pytest.raises(OSError, match="while attempting to bind on address"):
        kit.socket.create_server(("192.0.2.1", 0))
    with kit.socket.create_server(("127.0.0.1", 0), reuse_port=True, backlog=1) as one:
        with kit.socket.create_server(one.getsockname(), reuse_port=True) as other:
            assert one.getsockname() == other.getsockname()
            assert one.getsockopt(kit.socket.SOL_SOCKET, kit.socket.SO_REUSEADDR)


@pytest.mark.skipif(not stdlib_socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_ipv6_and_both_at_once(kit):
    with kit.socket.create_server(("::1", 0), family=kit.socket.AF_INET6) as listener:
        assert listener.getsockopt(kit.socket.IPPROTO_IPV6, kit.socket.IPV6_V6ONLY)
        with kit.socket.create_connection(listener.getsockname()[:2]) as client:
            server, address = listener.accept()
            server.close()
            assert address == client.getsockname() and len(address) == 4
    with kit.socket.create_server(("", 0), family=kit.socket.AF_INET6, dualstack_ipv6=True) as listener:
        with kit.socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
            listener.accept()[0].close()


def test_unix_sockets_with_a_path_an_abstract_name_and_datagrams(kit, tmp_path):
    for address in (str(tmp_path / "stream"), bytes(tmp_path / "bytes"), f"\0greenscope-{kit.name}-{time.time_ns()}"):
        with kit.socket.socket(kit.socket.AF_UNIX) as listener, kit.socket.socket(kit.socket.AF_UNIX) as client:
            listener.bind(address)
            listener.listen()
            client.connect(address)
            server, peer = listener.accept()
            with server:
                server.sendall(b"x")
                assert client.recv(1) == b"x" and not peer
    path = str(tmp_path / "datagrams")
    kind = (kit.socket.AF_UNIX, kit.socket.SOCK_DGRAM)
    with kit.socket.socket(*kind) as one, kit.socket.socket(*kind) as other:
        one.bind(path)
        other.connect(path)
        reader = kit.spawn(one.recvfrom, 10)
        other.send(b"hello")
        assert reader.get()[0] == b"hello"


def test_descriptors_are_handed_over(kit):
    one, other = kit.socket.socketpair()
    reader, writer = os.pipe()
    with one, other:
        kit.socket.send_fds(one, [b"here"], [writer])
        data, [copy], _flags, _address = kit.socket.recv_fds(other, 10, 2)
    os.write(copy, b"!")
    assert (data, os.read(reader, 1)) == (b"here", b"!")
    for fd in (reader, writer, copy):
        os.close(fd)


def test_files_are_sent_from_where_and_as_far_as_wanted(kit, tcp, tmp_path):
    client, server = tcp
    path = tmp_path / "file"
    content = bytes(range(256)) * 8192  # 2 MiB: more than a socket takes at once
    path.write_bytes(content)
    for arguments, expected in [
        ((), content),
        ((5,), content[5:]),
        ((0, 10), content[:10]),
        ((7, 1 << 20), content[7 : 7 + (1 << 20)]),
        ((10, 1 << 30), content[10:]),
        ((len(content) + 5,), b""),
    ]:
        for name in ("sendfile", "_sendfile_use_send", "_sendfile_use_sendfile"):

            def receive(size):
                return server.recv(size, kit.socket.MSG_WAITALL) if size else b""

            with path.open("rb") as file:
                receiver = kit.spawn(receive, len(expected))
                assert getattr(client, name)(file, *arguments) == len(expected)
                assert receiver.get() == expected
                if expected:
                    assert file.tell() == (arguments[0] if arguments else 0) + len(expected)


def test_what_is_no_file_of_the_kernels_is_read_and_sent(kit, tcp):
    client, server = tcp
    assert client.sendfile(io.BytesIO(b"0123456789"), 2, 5) == 5
    assert server.recv(10) == b"23456"


def test_files_that_cannot_be_sent(kit, tcp, tmp_path):
    client, _ = tcp
    (tmp_path / "file").write_bytes(b"x" * (1 << 24))
    with (tmp_path / "file").open() as text, pytest.raises(ValueError, match="binary"):
        client.sendfile(text)
    with (tmp_path / "file").open("rb") as file:
        for count, error in [(-1, ValueError), (0, ValueError), (1.5, TypeError), ("x", TypeError)]:
            with pytest.raises(error, match="count must be a positive integer"):
                client.sendfile(file, 0, count)
        with kit.socket.socket(type=kit.socket.SOCK_DGRAM) as datagrams, pytest.raises(ValueError, match="SOCK_STREAM"):
            datagrams.sendfile(file)
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.sendfile(file)
        assert 0 < file.tell() < 1 << 24
        client.setblocking(False)
        with pytest.raises(ValueError, match="non-blocking sockets are not supported"):
            client.sendfile(file)


def test_datagrams_that_are_too_long_are_cut_or_refused(kit):
    kind = {"type": kit.socket.SOCK_DGRAM}
    with kit.socket.socket(**kind) as one, kit.socket.socket(**kind) as other:
        one.bind(("127.0.0.1", 0))
        with pytest.raises(OSError) as caught:
            other.sendto(b"x" * 70000, one.getsockname())
        assert caught.value.errno == errno.EMSGSIZE
        other.connect(one.getsockname())
        other.send(b"abcdef")
        data, _, flags, address = one.recvmsg(3)
        assert (data, flags & kit.socket.MSG_TRUNC, address) == (b"abc", kit.socket.MSG_TRUNC, other.getsockname())
        other.send(b"")
        assert one.recvfrom(3) == (b"", other.getsockname())
        one.settimeout(0.01)
        with pytest.raises(TimeoutError):
            one.recvfrom(1)


def test_what_is_ready_by_select_and_poll(kit, tcp):
    client, server = tcp
    assert kit.select.select([client], [client], [client], 0.01) == ([], [client], [])
    poller = kit.select.poll()
    poller.register(client, kit.select.POLLIN)
    assert poller.poll(10) == []
    waiter = kit.spawn(kit.select.select, [client, server], [], [], 5)
    kit.sleep(0.001)
    server.send(b"x")
    assert waiter.get() == ([client], [], [])
    assert poller.poll() == [(client.fileno(), kit.select.POLLIN)]
    with kit.selectors.DefaultSelector() as selector:
        key = selector.register(client, kit.selectors.EVENT_READ, "data")
        assert selector.select(1) == [(key, kit.selectors.EVENT_READ)]


def test_an_event_is_waited_for(kit):
    event = kit.Event()
    waiter = kit.spawn(event.wait)
    assert event.wait(0.001) is False
    event.set()
    assert waiter.get() is True and event.is_set()


@pytest.mark.parametrize("name", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_locks_exclude(kit, name):
    lock = getattr(kit, name)()
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    assert lock.acquire(timeout=0.001) is False
    waiter = kit.spawn(lock.acquire)
    kit.sleep(0.001)
    lock.release()
    assert waiter.get() is True
    lock.release()
    with lock:
        pass
    if name != "Semaphore":
        with pytest.raises((RuntimeError, ValueError)):
            lock.release()


def test_queues_hold_so_many(kit):
    queue = kit.Queue(1)
    queue.put(1)
    assert queue.full() and queue.qsize() == 1
    with pytest.raises(stdlib_queue.Full):
        queue.put(2, timeout=0.001)
    producer = kit.spawn(queue.put, 2)
    assert [queue.get(), queue.get()] == [1, 2]
    producer.get()
    with pytest.raises(stdlib_queue.Empty):
        queue.get(block=False)
    with pytest.raises(stdlib_queue.Empty):
        queue.get(timeout=0.001)
