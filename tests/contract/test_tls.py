"""TLS: the same cases over the standard library with threads, and over greenscope with greenlets."""

from __future__ import annotations

import contextlib
import queue
import socket as stdlib_socket
import ssl as stdlib_ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import socket as green_socket
from greenscope.runtime import ssl as green_ssl

CERTIFICATE = str(Path(__file__).parent.parent / "runtime" / "localhost.pem")


class _Thread:
    def __init__(self, function, *arguments, **keywords):
        self._result: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(function, arguments, keywords), daemon=True).start()

    def _run(self, function, arguments, keywords):
        try:
            self._result.put((function(*arguments, **keywords), None))
        except Exception as error:
            self._result.put((None, error))

    def get(self):
        value, error = self._result.get(timeout=10)
        if error is not None:
            raise error
        return value


@pytest.fixture(params=["stdlib", "green"])
def kit(request, capsys):
    if request.param == "stdlib":
        yield SimpleNamespace(socket=stdlib_socket, ssl=stdlib_ssl, spawn=_Thread)
    else:
        yield SimpleNamespace(socket=green_socket, ssl=green_ssl, spawn=runtime.spawn)
        runtime.get_hub().destroy()


@pytest.fixture
def contexts(kit):
    server = kit.ssl.create_default_context(kit.ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(CERTIFICATE)
    client = kit.ssl.create_default_context(cafile=CERTIFICATE)
    for context in (server, client):
        context.set_alpn_protocols(["echo/1"])
    return client, server


@pytest.fixture
def plain(kit):
    one, other = kit.socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def pair(request, kit, contexts, plain):
    client_context, server_context = contexts
    client_context.maximum_version = client_context.minimum_version = kit.ssl.TLSVersion[request.param]
    server = kit.spawn(server_context.wrap_socket, plain[1], server_side=True)
    client = client_context.wrap_socket(plain[0], server_hostname="localhost")
    with client, server.get() as server:
        yield client, server


def test_what_was_agreed_on_is_told_the_same_way(kit, pair, contexts):
    client, server = pair
    assert client.version() == server.version() == str(client.context.maximum_version.name).replace("_", ".")
    assert client.cipher() == server.cipher() and server.shared_ciphers() and client.shared_ciphers() is None
    assert client.selected_alpn_protocol() == server.selected_alpn_protocol() == "echo/1"
    assert client.getpeercert(True) == kit.ssl.PEM_cert_to_DER_cert(
        "-----BEGIN CERT" + Path(CERTIFICATE).read_text("ascii").partition("-----BEGIN CERT")[2]
    )
    assert server.getpeercert() is None
    assert (client.server_side, server.server_side, client.server_hostname) == (False, True, "localhost")
    assert client.compression() is None and client.pending() == 0
    assert client.context is contexts[0] and client.session_reused is False
    binding = "tls-unique" if client.version() == "TLSv1.2" else None
    assert binding is None or client.get_channel_binding(binding) == server.get_channel_binding(binding) != b""


def test_bytes_arrive_in_order_and_then_the_end(kit, pair):
    client, server = pair
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


def test_a_file_and_a_line(kit, pair, tmp_path):
    client, server = pair
    path = tmp_path / "file"
    path.write_bytes(b"first\nsecond\n")
    with path.open("rb") as file:
        assert client.sendfile(file, offset=6) == 7
        assert file.tell() == 13
    with server.makefile("rb") as lines:
        assert lines.readline() == b"second\n"


def test_parts_of_a_record_wait_to_be_read(pair):
    client, server = pair
    client.sendall(b"0123456789")
    assert server.recv(4) == b"0123" and server.pending() == 6
    buffer = bytearray(4)
    assert (server.recv_into(buffer), bytes(buffer)) == (4, b"4567")
    assert (server.read(0), server.read(1), server.read()) == (b"", b"8", b"9")


@pytest.mark.parametrize("what", ["read", "write", "handshake"])
def test_the_time_is_over(kit, pair, plain, contexts, what):
    client, _ = pair
    with pytest.raises(TimeoutError, match=f"(?m)The {what} operation timed out$"):
        if what == "handshake":
            one, other = kit.socket.socketpair()
            with one, other:
                one.settimeout(0.02)
                contexts[0].wrap_socket(one, server_hostname="localhost")
        client.settimeout(0.02)
        while what == "read":
            client.recv(1)
        while True:
            client.send(b"x" * 65536)


def test_without_waiting(kit, pair):
    client, _ = pair
    client.setblocking(False)
    with pytest.raises(kit.ssl.SSLWantReadError):
        client.recv(1)
    with pytest.raises(kit.ssl.SSLWantWriteError):
        while True:
            client.send(b"x" * 65536)
    with pytest.raises(kit.ssl.SSLWantReadError):
        client.recv_into(bytearray(1))


@pytest.mark.parametrize("suppress", [True, False])
def test_an_end_without_a_farewell(kit, pair, suppress):
    client, server = pair
    client.suppress_ragged_eofs = suppress
    server.shutdown(kit.socket.SHUT_RDWR)
    if suppress:
        assert client.recv(1) == b"" and client.recv_into(bytearray(1)) == 0
    else:
        with pytest.raises(kit.ssl.SSLEOFError):
            client.recv(1)


def test_farewell_and_on_in_the_clear(kit, pair):
    client, server = pair
    other = kit.spawn(server.unwrap)
    plain = client.unwrap()
    other = other.get()
    plain.sendall(b"clear")
    assert other.recv(5) == b"clear"
    for call in (client.unwrap, client.verify_client_post_handshake):
        with pytest.raises(ValueError, match="No SSL wrapper around"):
            call()
    for call in (client.read, lambda: client.write(b"x")):
        with pytest.raises(ValueError, match="closed or unwrapped SSL socket"):
            call()
    assert client.version() is None and client.cipher() is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda end: end.recv(1, 2), "non-zero flags not allowed in calls to recv()"),
        (lambda end: end.recv_into(bytearray(1), 1, 2), "non-zero flags not allowed in calls to recv_into()"),
        (lambda end: end.send(b"x", 2), "non-zero flags not allowed in calls to send()"),
        (lambda end: end.sendall(b"x", 2), "non-zero flags not allowed in calls to sendall()"),
        (lambda end: end.recvfrom(1), "recvfrom not allowed on instances of"),
        (lambda end: end.recvfrom_into(bytearray(1)), "recvfrom_into not allowed on instances of"),
        (lambda end: end.sendto(b"x", ("127.0.0.1", 1)), "sendto not allowed on instances of"),
        (lambda end: end.recvmsg(1), "recvmsg not allowed on instances of"),
        (lambda end: end.recvmsg_into([bytearray(1)]), "recvmsg_into not allowed on instances of"),
        (lambda end: end.sendmsg([b"x"]), "sendmsg not allowed on instances of"),
        (lambda end: end.dup(), "Can't dup() SSLSocket instances"),
        (lambda end: end.connect(("127.0.0.1", 1)), "attempt to connect already-connected SSLSocket!"),
        (lambda end: end.get_channel_binding("none"), "'none' channel binding type not implemented"),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(pair, call, error):
    with pytest.raises((ValueError, NotImplementedError)) as caught:
        call(pair[0])
    assert str(caught.value).startswith(error)


def test_a_certificate_that_is_not_trusted(kit, contexts, plain):
    server = kit.spawn(contexts[1].wrap_socket, plain[1], server_side=True)
    with pytest.raises(kit.ssl.SSLCertVerificationError) as caught:
        kit.ssl.create_default_context().wrap_socket(plain[0], server_hostname="localhost")
    assert caught.value.verify_code == 18
    with pytest.raises(kit.ssl.SSLError, match="alert"):
        server.get()


def test_a_name_that_is_not_the_certificates(kit, contexts, plain):
    server = kit.spawn(contexts[1].wrap_socket, plain[1], server_side=True)
    with pytest.raises(kit.ssl.SSLCertVerificationError, match="Hostname mismatch"):
        contexts[0].wrap_socket(plain[0], server_hostname="example.org")
    with pytest.raises(kit.ssl.SSLError):
        server.get()


def test_what_makes_no_sense(kit, contexts, plain):
    client, server = contexts
    for make, error in (
        (lambda: client.wrap_socket(plain[0]), "check_hostname requires server_hostname"),
        (lambda: server.wrap_socket(plain[0], server_side=True, server_hostname="x"), "server_hostname can only be"),
    ):
        with pytest.raises(ValueError, match=error):
            make()
    with kit.socket.socket(type=kit.socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(NotImplementedError, match="only stream sockets are supported"):
            client.wrap_socket(datagrams, server_hostname="localhost")
    with pytest.raises(TypeError, match="public constructor"):
        kit.ssl.SSLSocket()
    plain[0].setblocking(False)
    with pytest.raises(ValueError, match="should not be specified for non-blocking sockets"):
        client.wrap_socket(plain[0], server_hostname="localhost")


def test_a_client_is_asked_for_its_certificate_in_the_middle_of_it_all(kit, contexts, plain):
    client_context, server_context = contexts
    client_context.load_cert_chain(CERTIFICATE)
    client_context.post_handshake_auth = server_context.post_handshake_auth = True
    server_context.load_verify_locations(CERTIFICATE)
    server_context.verify_mode = kit.ssl.CERT_REQUIRED
    server = kit.spawn(server_context.wrap_socket, plain[1], server_side=True)
    with client_context.wrap_socket(plain[0], server_hostname="localhost") as client, server.get() as server:
        client.sendall(b"1")
        assert server.recv(1) == b"1" and not server.getpeercert()
        server.verify_client_post_handshake()
        server.sendall(b"2")
        assert client.recv(1) == b"2"
        client.sendall(b"3")
        assert server.recv(1) == b"3" and server.getpeercert()


def test_through_memory_and_no_socket_at_all(kit, contexts):
    to_server, to_client = kit.ssl.MemoryBIO(), kit.ssl.MemoryBIO()
    client = contexts[0].wrap_bio(to_client, to_server, server_hostname="localhost")
    server = contexts[1].wrap_bio(to_server, to_client, server_side=True)
    assert isinstance(client, kit.ssl.SSLObject)
    for end in (client, server, client, server):
        with contextlib.suppress(kit.ssl.SSLWantReadError):
            end.do_handshake()
    client.write(b"x")
    assert server.read() == b"x"
