"""The server: accepts, limits, backs off, stops."""

from __future__ import annotations

import errno
import socket as stdlib

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Queue, socket
from greenscope.runtime.server import StreamServer


def echo(connection, address):
    while data := connection.recv(1024):
        connection.sendall(data)


def settle() -> None:
    for _ in range(5):
        runtime.sleep(0)


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


def test_out_of_descriptors_it_backs_off_and_goes_on(capsys, monkeypatch):
    server = StreamServer(("127.0.0.1", 0), echo)
    server.init_socket()
    server.first_delay = 0.001
    accept, failures = socket.socket.accept, [OSError(errno.EMFILE, "none left"), OSError(errno.ECONNABORTED, "gone")]

    def sometimes(self):
        if self is server.socket and failures:
            raise failures.pop(0)
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", sometimes)
    server.start()
    with socket.create_connection(server.address) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert "none left" in capsys.readouterr().err
    assert not failures
    server.stop()


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


def test_a_limit_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="0"):
        StreamServer(("127.0.0.1", 0), echo, spawn=0)
