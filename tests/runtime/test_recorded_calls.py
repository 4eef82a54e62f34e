"""Level io: the calls of real sockets are in the recording, with their bytes or errors; below it, none is."""

from __future__ import annotations

import contextlib
import errno
import ssl as stdlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import sleep, socket, spawn, ssl
from greenscope.runtime.server import StreamServer
from greenscope.trace import set_detail
from greenscope.trace.events import NO_ERRNO, Kind, Op, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))

Pair = tuple[socket.socket, socket.socket]
Recorded = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def recorded(hub: runtime.Hub) -> Iterator[Recorded]:
    """Gives the calls that were recorded, as they ended: (call, errno, count, exception)."""
    path = hub.recorder.path
    assert path is not None

    def read() -> list[tuple[Any, ...]]:
        begun: dict[int, list[int]] = {}
        calls: list[tuple[Any, ...]] = []
        for event in events(path):
            open_ones = begun.setdefault(event.greenlet, [])
            if event.kind == Kind.OP_BEGIN:
                open_ones.append(event.reason)
            elif event.kind == Kind.OP_END:
                assert open_ones.pop() == event.reason
                calls.append((Op(event.reason).name.lower(), event.aux, event.arg, event.text))
        return calls

    set_detail("io")
    yield read
    set_detail("switch")


def events(path: Path) -> list[Event]:
    with contextlib.closing(RingReader(path)) as reader:
        return [event for event in reader.read() if isinstance(event, Event)]


def test_what_is_sent_and_received_is_recorded_with_its_bytes(pair: Pair, recorded: Recorded) -> None:
    one, other = pair
    assert one.send(b"12345") == 5
    one.sendall(b"67")
    assert other.recv(100) == b"1234567"
    one.sendmsg([b"a", b"bc"])
    assert other.recv_into(bytearray(8)) == 3
    one.sendall(memoryview(b"abcd"))
    assert other.recvmsg(9)[0] == b"abcd"
    one.shutdown(socket.SHUT_WR)
    assert other.recv(1) == b""
    assert recorded() == [
        ("send", 0, 5, ""), ("sendall", 0, 2, ""), ("recv", 0, 7, ""), ("sendmsg", 0, 3, ""),
        ("recv_into", 0, 3, ""), ("sendall", 0, 4, ""), ("recvmsg", 0, 4, ""), ("recv", 0, 0, ""),
    ]  # fmt: skip


def test_a_call_that_waits_begins_before_and_ends_after_it(hub: runtime.Hub, pair: Pair, recorded: Recorded) -> None:
    one, other = pair
    receiver = spawn(other.recv, 100)
    sleep(0)
    one.sendall(b"late")
    assert receiver.get() == b"late"
    assert recorded() == [("sendall", 0, 4, ""), ("recv", 0, 4, "")]
    assert hub.recorder.path is not None
    all_events = events(hub.recorder.path)
    number = next(event.greenlet for event in all_events if event.kind == Kind.OP_BEGIN)
    mine = [Kind(event.kind).name for event in all_events if event.greenlet == number]
    between = mine[mine.index("OP_BEGIN") : mine.index("OP_END")]
    assert [kind for kind in between if kind.startswith("GREENLET")] == [
        "GREENLET_PARK", "GREENLET_READY", "GREENLET_SWITCH",
    ]  # fmt: skip
    again = spawn(other.recv, 100)
    sleep(0)
    one.sendall(b"x")
    again.join()
    parked = [unpack(event.arg)[0] for event in events(hub.recorder.path) if event.kind == Kind.GREENLET_PARK]
    begun = [event for event in events(hub.recorder.path) if event.kind == Kind.OP_BEGIN and event.reason == Op.RECV]
    assert unpack(begun[-1].arg) == (next(filter(None, parked)), other.fileno())


def test_connecting_and_accepting_are_calls_and_a_servers_too(recorded: Recorded) -> None:
    numbers: list[int] = []

    def serve(connection: socket.socket, _address: Any) -> None:
        numbers.append(connection.fileno())
        connection.sendall(b"hello")

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        assert client.recv(9) == b"hello"
    server.stop()
    calls = recorded()
    assert ("connect", 0, 0, "") in calls
    assert ("accept", 0, numbers[0], "") in calls
    assert ("sendall", 0, 5, "") in calls
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    assert ("accept", 0, accepted.fileno(), "") in recorded()
    for one in (listener, client, accepted):
        one.close()


def test_datagrams_are_calls(recorded: Recorded) -> None:
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    other.bind(("127.0.0.1", 0))
    one.sendto(b"abc", other.getsockname())
    assert other.recvfrom(10)[0] == b"abc"
    one.sendto(b"defg", other.getsockname())
    assert other.recvfrom_into(bytearray(10))[0] == 4
    assert recorded() == [
        ("sendto", 0, 3, ""), ("recvfrom", 0, 3, ""), ("sendto", 0, 4, ""), ("recvfrom_into", 0, 4, ""),
    ]  # fmt: skip
    one.close()
    other.close()


def test_a_file_is_sent_in_one_call(pair: Pair, recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with open(tmp_path / "file", "rb") as file:
        assert pair[0].sendfile(file) == 1000
    assert recorded() == [("sendfile", 0, 1000, "")]


def test_an_error_is_recorded_with_its_number_and_its_class(pair: Pair, recorded: Recorded) -> None:
    one, other = pair
    other.settimeout(0)
    with pytest.raises(BlockingIOError):
        other.recv(1)
    other.settimeout(0.001)
    with pytest.raises(TimeoutError):
        other.recv(1)
    other.close()
    with pytest.raises(BrokenPipeError):
        one.send(b"x")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", 1))
    with pytest.raises(TypeError):
        one.send("text")  # type: ignore[arg-type]
    assert recorded() == [
        ("recv", errno.EAGAIN, 0, "BlockingIOError"),
        ("recv", NO_ERRNO, 0, "TimeoutError"),
        ("send", errno.EPIPE, 0, "BrokenPipeError"),
        ("connect", errno.ECONNREFUSED, 0, ""),
        ("connect", errno.ECONNREFUSED, 0, "ConnectionRefusedError"),
        ("send", NO_ERRNO, 0, "TypeError"),
    ]


def test_a_greenlet_that_is_killed_in_a_call_ends_it(pair: Pair, recorded: Recorded) -> None:
    waits = spawn(pair[0].recv, 1)
    sleep(0)
    waits.kill()
    assert recorded() == [("recv", NO_ERRNO, 0, "GreenletExit")]


def test_over_tls_a_call_says_so_and_the_handshake_is_one(hub: runtime.Hub, pair: Pair, recorded: Recorded) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    server = spawn(ours.wrap_socket, pair[1], server_side=True)
    client = ssl.create_default_context(cafile=CERTIFICATE).wrap_socket(pair[0], server_hostname="localhost")
    accepted = server.get()
    client.sendall(b"question")
    assert accepted.recv(100) == b"question"
    accepted.write(b"yes")
    assert client.read(100) == b"yes"
    with contextlib.closing(client), contextlib.closing(accepted):
        assert sorted(recorded()) == sorted([
            ("handshake", 0, 0, ""), ("handshake", 0, 0, ""), ("sendall", 0, 8, ""), ("recv", 0, 8, ""),
            ("send", 0, 3, ""), ("recv", 0, 3, ""),
        ])  # fmt: skip
        assert hub.recorder.path is not None
        assert {event.aux for event in events(hub.recorder.path) if event.kind == Kind.OP_BEGIN} == {1}


def test_a_handshake_that_fails_has_a_class_and_no_errno(pair: Pair, recorded: Recorded) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    server = spawn(ours.wrap_socket, pair[1], server_side=True)
    with pytest.raises(stdlib.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(pair[0], server_hostname="localhost")
    with pytest.raises(stdlib.SSLError):
        server.get()
    assert ("handshake", NO_ERRNO, 0, "SSLCertVerificationError") in recorded()


def test_a_connection_over_tls_is_two_calls_one_in_the_other(recorded: Recorded) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    server = StreamServer(("127.0.0.1", 0), lambda connection, _: connection.recv(1), ssl_context=ours)
    server.start()
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with context.wrap_socket(socket.socket(), server_hostname="localhost") as client:
        client.connect(("127.0.0.1", server.server_port))
        mine = [call for call, *_ in recorded()]
        assert mine.index("handshake") < mine.index("connect")
        assert mine.count("connect") == 1
    server.stop()


def test_the_level_is_switched_while_sockets_are_in_use(hub: runtime.Hub, pair: Pair, recorded: Recorded) -> None:
    one, other = pair
    own = vars(socket.socket)["recv"]
    waits = spawn(other.recv, 1)
    sleep(0)
    set_detail("switch")
    assert vars(socket.socket)["recv"] is not own
    one.send(b"a")
    assert waits.get() == b"a"
    one.send(b"b")
    assert other.recv(1) == b"b"
    assert recorded() == [("recv", 0, 1, "")]
    set_detail("teach")
    one.send(b"c")
    assert other.recv(1) == b"c"
    assert recorded() == [("recv", 0, 1, ""), ("send", 0, 1, ""), ("recv", 0, 1, "")]
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        begun = [event for event in reader.read() if isinstance(event, Event) and event.kind == Kind.OP_BEGIN]
        sites = [reader.site(event.site) for event in begun]
    assert [site and site.file for site in sites] == [None, __file__, __file__]


def test_below_the_level_the_methods_are_the_classes_own() -> None:
    set_detail("switch")
    before = dict(vars(socket.socket)), dict(vars(ssl.SSLSocket))
    set_detail("io")
    assert (dict(vars(socket.socket)), dict(vars(ssl.SSLSocket))) != before
    set_detail("switch")
    assert (dict(vars(socket.socket)), dict(vars(ssl.SSLSocket))) == before
