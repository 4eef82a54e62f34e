"""TLS: handshakes, records and farewells that wait in the hub. The interpreter's test_ssl is in tests/acceptance."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import ssl as stdlib
import struct
import subprocess
import weakref
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, Queue, socket, ssl

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def connected(request, pair):
    """A client and a server that have shaken hands."""
    ours, theirs = server_context(), client_context()
    theirs.maximum_version = ssl.TLSVersion[request.param.replace(".", "_")]
    server = runtime.spawn(ours.wrap_socket, pair[1], server_side=True)
    client = theirs.wrap_socket(pair[0], server_hostname="localhost")
    accepted = server.get()
    assert client.version() == accepted.version() == request.param
    yield client, accepted
    client.close()
    accepted.close()


def test_it_talks_in_both_directions_and_knows_its_peer(connected):
    client, server = connected
    client.sendall(b"question")
    assert server.recv(100) == b"question"
    assert server.send(b"answer") == 6
    buffer = bytearray(10)
    assert client.recv_into(buffer) == 6 and buffer[:6] == b"answer"
    assert ("DNS", "localhost") in client.getpeercert()["subjectAltName"]
    assert client.cipher() == server.cipher() and client.server_hostname == "localhost"
    assert client.pending() == 0 and client.session is not None and not client.session_reused
    assert isinstance(client, ssl.SSLSocket) and isinstance(client, socket.socket)


def test_more_than_the_kernel_takes_arrives_whole_while_others_run(connected):
    client, server = connected
    data = bytes(range(256)) * 8000
    sender = runtime.spawn(client.sendall, data)
    got = bytearray()
    while len(got) < len(data):
        got += server.recv(65536)
    sender.get()
    assert got == data


def test_both_ends_may_send_and_receive_at_once(connected):
    data = b"x" * 1_000_000

    def receive(end):
        left = len(data)
        while left:
            left -= len(end.recv(65536))

    senders = [runtime.spawn(end.sendall, data) for end in connected]
    receivers = [runtime.spawn(receive, end) for end in connected]
    runtime.joinall([*senders, *receivers], raise_error=True)
    assert all(one.successful() for one in (*senders, *receivers))


def test_the_files_of_one_are_read_by_line(connected):
    client, server = connected
    with client.makefile("rw", encoding="ascii") as ours, server.makefile("rb") as theirs:
        ours.write("first\nsecond\n")
        ours.flush()
        assert theirs.readline() == b"first\n"
        assert theirs.readline() == b"second\n"


def test_sendfile_sends_what_was_asked_for_and_leaves_the_file_behind_it(connected, tmp_path):
    client, server = connected
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        assert client.sendfile(file, 2, 5) == 5
        assert file.tell() == 7
    assert server.recv(100) == b"23456"


def test_unwrap_says_farewell_and_goes_on_in_the_clear(connected):
    client, server = connected
    other = runtime.spawn(server.unwrap)
    plain = client.unwrap()
    assert plain is client
    other.get().sendall(b"in the clear")
    assert plain.recv(100) == b"in the clear"
    with pytest.raises(ValueError, match="No SSL wrapper"):
        client.unwrap()


def test_a_read_and_a_write_time_out_with_the_standard_types(connected):
    client, server = connected
    client.settimeout(0.01)
    with pytest.raises(TimeoutError, match="read operation timed out"):
        client.recv(1)
    with pytest.raises(TimeoutError, match="write operation timed out"):
        while True:
            client.send(b"x" * 65536)


def test_a_socket_that_must_not_wait_says_what_it_would_wait_for(connected):
    client, server = connected
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.recv(1)
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            client.send(b"x" * 65536)


def test_a_peer_that_goes_without_a_farewell_is_the_end_or_an_error_as_asked(connected):
    client, server = connected
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    client.suppress_ragged_eofs = False
    with pytest.raises(ssl.SSLEOFError):
        client.recv(1)


def test_what_makes_no_sense_with_TLS_is_refused(connected):
    client, _ = connected
    for call in (
        lambda: client.recv(1, socket.MSG_PEEK),
        lambda: client.send(b"x", socket.MSG_OOB),
        lambda: client.recvfrom(1),
        lambda: client.sendto(b"x", ("127.0.0.1", 1)),
    ):
        with pytest.raises(ValueError, match="not allowed"):
            call()
    for call in (client.dup, lambda: client.recvmsg(1), lambda: client.sendmsg([b"x"])):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(TypeError, match="wrap_socket"):
        ssl.SSLSocket()


def test_close_wakes_a_reader_with_EBADF(connected):
    client, _ = connected
    reader = runtime.spawn(client.recv, 1)
    runtime.sleep(0)
    client.close()
    reader.join()
    assert reader.exception.errno == errno.EBADF
    with pytest.raises(ValueError, match="closed or unwrapped"):
        client.read(1)


def test_several_greenlets_may_read_one_connection(connected):
    client, server = connected
    readers = [runtime.spawn(client.recv, 1) for _ in range(3)]
    runtime.sleep(0)
    for byte in (b"a", b"b", b"c"):
        server.sendall(byte)
    assert sorted(reader.get(timeout=5) for reader in readers) == [b"a", b"b", b"c"]
    readers = [runtime.spawn(client.recv, 1) for _ in range(3)]
    runtime.sleep(0)
    client.close()
    runtime.joinall(readers, timeout=5)
    assert [reader.exception.errno for reader in readers] == [errno.EBADF] * 3


def test_a_handshake_with_a_silent_peer_times_out_and_closes(pair):
    pair[0].settimeout(0.01)
    with pytest.raises(TimeoutError, match="handshake operation timed out"):
        client_context().wrap_socket(pair[0], server_hostname="localhost")
    assert pair[0].fileno() == -1
    while pair[1].recv(4096):  # the client's hello, and then the end
        pass


def test_a_kill_in_the_middle_of_a_handshake_closes_the_connection(pair):
    handshake = runtime.spawn(client_context().wrap_socket, pair[0], server_hostname="localhost")
    assert pair[1].recv(4096)
    handshake.kill()
    assert pair[1].recv(4096) == b""


def test_a_handshake_lets_others_run_and_can_be_asked_for_on_a_socket_that_must_not_wait(pair):
    client = client_context().wrap_socket(pair[0], server_hostname="localhost", do_handshake_on_connect=False)
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    server = runtime.spawn(server_context().wrap_socket, pair[1], server_side=True)
    client.do_handshake(block=True)
    assert client.gettimeout() == 0.0
    client.close()
    server.get().close()


def test_a_certificate_nobody_vouches_for_is_refused_at_both_ends(pair):
    server = runtime.spawn(server_context().wrap_socket, pair[1], server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        ssl.create_default_context().wrap_socket(pair[0], server_hostname="localhost")
    server.join()
    assert isinstance(server.exception, ssl.SSLError)


def test_connect_and_accept_shake_hands(capsys):
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        with server_context().wrap_socket(plain, server_side=True) as listener:
            accepting = runtime.spawn(listener.accept)
            with client_context().wrap_socket(socket.socket(), server_hostname="localhost") as client:
                client.connect(listener.getsockname())
                server, address = accepting.get()
                assert address == client.getsockname() and isinstance(server, ssl.SSLSocket)
                client.sendall(b"x")
                assert server.recv(1) == b"x"
                with pytest.raises(ValueError, match="already-connected"):
                    client.connect(listener.getsockname())
                server.close()
        with client_context().wrap_socket(socket.socket(), server_hostname="localhost") as client:
            assert client.connect_ex(("127.0.0.1", 1)) == errno.ECONNREFUSED
            assert client.version() is None


def test_one_made_of_a_socket_that_blocks_for_its_caller_does_not_block_the_hub(pair):
    listener = server_context().wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
    wrapped = client_context().wrap_socket(pair[0], server_hostname="localhost", do_handshake_on_connect=False)
    for made in (listener, wrapped):
        assert made.gettimeout() is None and not os.get_blocking(made.fileno())
        made.close()


def test_data_that_came_before_the_handshake_of_a_peer_that_is_gone_is_not_believed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        accepted, _ = listener.accept()
        client.sendall(b"in the clear")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.getpeername()
        client.close()
        with pytest.raises(OSError):
            server_context().wrap_socket(accepted, server_side=True)
        assert accepted.fileno() == -1


def test_the_callback_for_a_servers_name_gets_the_socket(pair):
    seen = []
    context = server_context()
    context.sni_callback = lambda connection, name, its_context: seen.append((connection, name, its_context))
    server = runtime.spawn(context.wrap_socket, pair[1], server_side=True)
    client_context().wrap_socket(pair[0], server_hostname="localhost").close()
    server.join()
    [(connection, name, its_context)] = seen
    assert isinstance(connection, ssl.SSLSocket) and name == "localhost" and its_context is context


def test_a_session_is_taken_up_again():
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    ours, session = server_context(), None
    for reused in (False, True):
        one, other = socket.socketpair()
        server = runtime.spawn(ours.wrap_socket, one, server_side=True)
        with context.wrap_socket(other, server_hostname="localhost", session=session) as client:
            assert client.session_reused == reused
            session = client.session
        server.get().close()


def test_get_server_certificate_does_not_block_the_hub():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with server_context().wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.recv(1)

        server = runtime.spawn(serve)
        found = ssl.get_server_certificate(listener.getsockname(), timeout=5)
        server.join()
    assert found.strip() in Path(CERTIFICATE).read_text(encoding="ascii")


def test_every_name_of_the_standard_module_is_there():
    missing = [name for name in vars(stdlib) if not name.startswith("__") and not hasattr(ssl, name)]
    assert missing == []
    lacking = {name for name in vars(stdlib.SSLSocket) if not hasattr(ssl.SSLSocket, name)} - {"_real_connect"}
    assert not lacking
    for make in (ssl.create_default_context, ssl._create_unverified_context, ssl._create_stdlib_context):
        assert isinstance(make(), ssl.SSLContext)


def test_contexts_made_before_and_after_the_module_is_patched_can_be_set_and_make_green_sockets(run_script):
    result = run_script("""
import ssl, socket
before = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
plain = ssl.SSLContext
import greenscope.runtime.ssl as green
green.adopt_contexts()
for name in green.__implements__:
    setattr(ssl, name, getattr(green, name))
after = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
for context in (before, after, plain(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context()):
    context.options |= ssl.OP_NO_TICKET
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context._msg_callback = print
    context._msg_callback = None
    assert context.options & ssl.OP_NO_TICKET and context.verify_mode is ssl.CERT_NONE
    with context.wrap_socket(socket.socket()) as wrapped:
        assert isinstance(wrapped, ssl.SSLSocket) and isinstance(wrapped, green.SSLSocket)
print("done")
""")
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_a_connection_is_freed_at_once_and_not_by_the_collector():
    def use() -> weakref.ref:
        one, other = socket.socketpair()
        server = runtime.spawn(server_context().wrap_socket, one, server_side=True)
        client = client_context().wrap_socket(other, server_hostname="localhost")
        client.settimeout(0.001)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(b"x")
        with server.get() as end:
            assert end.recv(1) == b"x"
        assert client.recv(1) == b""
        client.close()
        return weakref.ref(client)

    gc.collect()
    gc.disable()
    try:
        freed = use()
        runtime.sleep(0)
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@pytest.mark.parametrize(("version", "orders"), [("tls1_2", "rR"), ("tls1_3", "kKc")])
def test_a_peer_that_shakes_hands_again_meanwhile_stops_neither_reader_nor_writer(version, orders):
    """Renegotiation, new keys, a question for our certificate: a read that has to write, and the other way round."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["openssl", "s_server", f"-{version}", "-accept", f"127.0.0.1:{port}", "-cert", CERTIFICATE]
    context = client_context()
    context.post_handshake_auth = True
    context.load_cert_chain(CERTIFICATE)
    with subprocess.Popen(
        [*command, "-key", CERTIFICATE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:

        def tell(line: bytes) -> None:
            server.stdin.write(line + b"\n")
            server.stdin.flush()

        try:
            with runtime.Timeout(20):
                while True:
                    try:
                        plain = socket.create_connection(("127.0.0.1", port))
                        break
                    except ConnectionRefusedError:  # it is not there yet
                        runtime.sleep(0.01)
                with context.wrap_socket(plain, server_hostname="localhost") as client:
                    lines = Queue()

                    def read():
                        with client.makefile("rb") as file:
                            for line in file:
                                lines.put(line)

                    def write():
                        while True:
                            client.sendall(b"y" * 1000 + b"\n")
                            runtime.sleep(0.001)

                    workers = [runtime.spawn(read), runtime.spawn(write)]
                    for number, order in enumerate(orders * 3):
                        tell(order.encode())
                        line = b"line %d\n" % number
                        while True:  # it takes no more than one order from what it reads at once
                            tell(line[:-1])
                            with runtime.Timeout(0.05, False):
                                while lines.get() != line:
                                    pass
                                break
                    assert not any(worker.dead for worker in workers)
                    runtime.killall(workers)
        finally:
            server.kill()


def test_a_timeout_of_the_runtime_ends_a_read(connected):
    with pytest.raises(runtime.Timeout):
        with runtime.Timeout(0.01):
            connected[0].recv(1)
    done = Event()
    runtime.spawn(done.set)
    done.wait()
