"""The server: accepts, limits, backs off, stops."""

from __future__ import annotations

import errno
import os
import socket as stdlib
import ssl as stdlib_ssl
from pathlib import Path
from typing import ClassVar

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Queue, socket, ssl
from greenscope.runtime.pool import Pool
from greenscope.runtime.server import DatagramServer, StreamServer

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))


def echo(connection, address):
    while data := connection.recv(1024):
        connection.sendall(data)


def settle() -> None:
    for _ in range(5):
        runtime.sleep(0)


@pytest.fixture(autouse=True)
def handlers_end(hub):
    yield
    settle()


def test_it_echoes_to_several_clients_at_once():
    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    assert server.started and server.server_port > 0
    clients = [socket.create_connection(server.address) for _ in range(5)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    for number, client in enumerate(clients):
        assert client.recv(10) == b"%d" % number
        client.close()
    server.stop()
    assert server.closed and not server.started
    settle()


def test_a_connection_is_closed_when_its_handler_ends_or_fails(capsys):
    def fail(connection, address):
        raise ValueError("handler")

    server = StreamServer(("127.0.0.1", 0), fail)
    server.start()
    with socket.create_connection(server.address) as client:
        assert client.recv(1) == b""
    assert "ValueError: handler" in capsys.readouterr().err
    server.stop()


def test_it_takes_a_listening_socket_of_either_kind():
    for make in (stdlib.create_server, socket.create_server):
        listener = make(("127.0.0.1", 0))
        server = StreamServer(listener, echo)
        server.start()
        with socket.create_connection(server.address) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        server.stop()
        settle()


def test_it_handles_no_more_than_its_limit_at_a_time():
    inside, release = Queue(), Event()

    def hold(connection, address):
        inside.put(address)
        release.wait()

    server = StreamServer(("127.0.0.1", 0), hold, spawn=1)
    server.start()
    clients = [socket.create_connection(server.address) for _ in range(2)]
    inside.get()
    settle()
    assert inside.empty()
    release.set()
    inside.get()
    server.stop()
    for client in clients:
        client.close()


def test_stop_kills_the_handlers_of_a_limited_server():
    begun = Event()

    def hold(connection, address):
        begun.set()
        runtime.sleep(60)

    server = StreamServer(("127.0.0.1", 0), hold, spawn=2)
    server.start()
    with socket.create_connection(server.address) as client:
        begun.wait()
        server.stop(timeout=0)
        assert client.recv(1) == b""


def test_after_an_error_it_backs_off_longer_each_time_and_goes_on(capsys):
    class Failing(StreamServer):
        min_delay = 0.001
        max_delay = 0.004
        failures: ClassVar = [OSError(errno.EMFILE, "none left")] * 3 + [ValueError("odd")]

        def do_read(self):
            if self.failures:
                raise self.failures.pop(0)
            return super().do_read()

    server = Failing(("127.0.0.1", 0), echo)
    server.start()
    with socket.create_connection(server.address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    said = capsys.readouterr().err
    assert [f"again in {delay} s" in said for delay in (0.001, 0.002, 0.004)] == [True] * 3
    assert "none left" in said and "ValueError: odd" in said
    assert server.delay == server.min_delay
    server.stop()


def test_an_error_that_takes_the_listener_away_closes_it(capsys):
    server = StreamServer(("127.0.0.1", 0), echo)
    server.do_read = lambda: (_ for _ in ()).throw(OSError(errno.EBADF, "gone"))
    server.start()
    server.serve_forever()
    assert server.closed and not hasattr(server, "socket")
    assert "gone" in capsys.readouterr().err


def test_serve_forever_ends_when_it_is_stopped():
    server = StreamServer("127.0.0.1:0", echo)
    runtime.spawn(server.stop)
    server.serve_forever()
    assert server.closed
    with pytest.raises(RuntimeError, match="stopped"):
        server.start()


def test_an_address_in_use_is_said_so_at_once():
    first = StreamServer(("127.0.0.1", 0), echo)
    first.start()
    second = StreamServer(first.address, echo)
    with pytest.raises(OSError) as caught:
        second.start()
    assert caught.value.errno == errno.EADDRINUSE
    first.stop()


@pytest.mark.parametrize("spawn", [0, -1, True, "many", 1.5])
def test_a_limit_that_makes_no_sense_is_refused(spawn):
    with pytest.raises(ValueError, match=str(spawn)):
        StreamServer(("127.0.0.1", 0), echo, spawn=spawn)


def test_without_a_handle_it_is_refused():
    with pytest.raises(TypeError, match="handle"):
        StreamServer(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("listener", "family", "host"),
    [
        (("127.0.0.1", 0), stdlib.AF_INET, "127.0.0.1"),
        ("127.0.0.1:0", stdlib.AF_INET, "127.0.0.1"),
        (":0", stdlib.AF_INET, "0.0.0.0"),
        (("localhost", 0), stdlib.AF_INET, "127.0.0.1"),
        (("::1", 0), stdlib.AF_INET6, "::1"),
        ("[::1]:0", stdlib.AF_INET6, "::1"),
        (0, stdlib.AF_INET6, "::"),
        ("0", stdlib.AF_INET6, "::"),
        (("", 0), stdlib.AF_INET6, "::"),
    ],
)
def test_addresses_are_written_as_for_gevent(listener, family, host):
    server = StreamServer(listener, echo)
    if family == stdlib.AF_INET6:
        try:
            stdlib.create_server(("::1", 0), family=family).close()
        except OSError:
            pytest.skip("no IPv6 here")
    with server:
        server.start()
        assert (server.family, server.server_host) == (family, host)
        assert server.server_port == server.address[1] > 0
        assert f":{server.server_port}" in repr(server)


def test_an_address_of_every_family_is_reached_by_each():
    with StreamServer(0, echo) as server:
        server.start()
        with socket.create_connection(("127.0.0.1", server.server_port)) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


@pytest.mark.parametrize(
    ("listener", "error"),
    [("/run/socket", ValueError), ("localhost:http", ValueError), (None, TypeError), (1.5, TypeError)],
)
def test_an_address_that_is_none_is_refused_with_what_to_do(listener, error):
    with pytest.raises(error, match="host"):
        StreamServer(listener, echo)


def test_it_listens_on_a_unix_socket_that_it_is_given(tmp_path):
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    with StreamServer(listener, echo) as server:
        server.start()
        assert (server.server_host, server.server_port, server.address) == (None, None, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"x")
            assert client.recv(1) == b"x"


def test_a_plain_listener_that_it_is_given_is_closed_with_it():
    listener = stdlib.create_server(("127.0.0.1", 0))
    fd = listener.fileno()
    server = StreamServer(listener, echo)
    server.start()
    server.stop()
    assert listener.fileno() == -1
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_backlog_for_a_socket_that_has_one_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TypeError, match="backlog"):
        StreamServer(listener, echo, backlog=5)


@pytest.mark.parametrize("spawn", ["default", "raw", None, 2, "pool", "function"])
def test_each_way_of_spawning_handles_connections(spawn):
    spawn = {"pool": Pool(2), "function": runtime.Greenlet.spawn}.get(spawn, spawn)
    with StreamServer(("127.0.0.1", 0), echo, spawn=spawn) as server:
        server.start()
        for _ in range(3):
            with socket.create_connection(server.address) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"


def test_it_accepts_again_once_its_pool_has_room_and_not_before():
    inside, release = Queue(), Event()

    def hold(connection, address):
        inside.put(address)
        release.wait()

    pool = Pool(2)
    with StreamServer(("127.0.0.1", 0), hold, spawn=pool) as server:
        server.start()
        clients = [socket.create_connection(server.address) for _ in range(4)]
        inside.get(), inside.get()
        settle()
        assert inside.empty() and server.full() and pool.free_count() == 0
        release.set()
        inside.get(), inside.get()
    for client in clients:
        client.close()
    assert len(pool) == 0


def test_a_subclass_has_its_own_idea_of_being_full():
    class Choosy(StreamServer):
        inside = 0

        def full(self):
            return self.inside >= 1

    release, begun = Event(), Queue()

    def handle(connection, address):
        server.inside += 1
        begun.put(None)
        release.wait()
        server.inside -= 1

    server = Choosy(("127.0.0.1", 0), handle)
    server.start()
    clients = [socket.create_connection(server.address) for _ in range(2)]
    begun.get()
    settle()
    assert begun.empty()
    release.set()
    begun.get()
    server.stop()
    for client in clients:
        client.close()
    settle()


def test_stop_lets_the_handlers_of_a_pool_end_in_time():
    begun, done = Event(), []

    def handle(connection, address):
        begun.set()
        connection.recv(1)
        done.append(address)

    server = StreamServer(("127.0.0.1", 0), handle, spawn=1)
    server.start()
    client = socket.create_connection(server.address)
    begun.wait()
    runtime.spawn(client.sendall, b"x")
    server.stop(timeout=10)
    assert done == [client.getsockname()]
    client.close()


def test_accepting_stops_and_starts_again_without_losing_anybody():
    with StreamServer(("127.0.0.1", 0), echo) as server:
        server.start()
        server.stop_accepting()
        with socket.create_connection(server.address) as client:
            client.sendall(b"x")
            settle()
            server.start_accepting()
            server.stop_accepting()
            server.start_accepting()
            assert client.recv(1) == b"x"
        assert server.started


def test_a_handler_stops_its_own_server():
    server = StreamServer(("127.0.0.1", 0), lambda *_: server.close(), spawn=None)
    server.start()
    with socket.create_connection(server.address) as client:
        assert client.recv(1) == b""
    server.serve_forever() if server.started else None
    assert server.closed


def test_a_handle_in_a_subclass_and_one_that_is_set_later_are_used():
    class Greeter(StreamServer):
        def handle(self, connection, address):
            connection.sendall(b"hello")

    with Greeter(("127.0.0.1", 0)) as server:
        server.start()
        with socket.create_connection(server.address) as client:
            assert client.recv(10) == b"hello"
        server.set_handle(echo)
        with socket.create_connection(server.address) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


@pytest.mark.parametrize("how", ["context", "stdlib context", "files"])
def test_it_talks_TLS(how):
    context = (
        stdlib_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if "stdlib" in how else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    )
    context.load_cert_chain(CERTIFICATE)
    arguments = {"certfile": CERTIFICATE} if how == "files" else {"ssl_context": context}
    seen = []

    def handle(connection, address):
        seen.append(connection)
        echo(connection, address)

    with StreamServer(("127.0.0.1", 0), handle, **arguments) as server:
        assert server.ssl_enabled
        server.start()
        silent = socket.create_connection(server.address)  # holds nobody up
        plain = socket.create_connection(server.address)
        with ssl.create_default_context(cafile=CERTIFICATE).wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        silent.close()
        settle()
    assert [type(connection) for connection in seen] == [ssl.SSLSocket]


def test_arguments_for_TLS_that_are_none_are_refused():
    with pytest.raises(TypeError, match="colour"):
        StreamServer(("127.0.0.1", 0), echo, certfile=CERTIFICATE, colour="red")
    with pytest.raises(TypeError, match="ssl_context"):
        StreamServer(("127.0.0.1", 0), echo, ssl_context=None)
    with pytest.raises(OSError):
        StreamServer(("127.0.0.1", 0), echo, certfile="/nonexistent")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with (
        context.wrap_socket(socket.socket(), server_side=True) as wrapped,
        pytest.raises(TypeError, match="ssl_context"),
    ):
        StreamServer(wrapped, echo)


def test_datagrams_are_answered():
    def answer(data, address):
        server.sendto(data.upper(), address)

    with DatagramServer("127.0.0.1:0", answer) as server:
        server.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(server.address)
            for word in (b"one", b"", b"two"):
                client.send(word)
                assert client.recv(10) == word.upper()
    assert server.closed


def test_a_bound_datagram_socket_is_taken():
    got = Queue()
    listener = stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    with DatagramServer(listener, lambda *what: got.put(what)) as server:
        server.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", server.address)
            assert got.get()[0] == b"x"
    assert listener.fileno() == -1
