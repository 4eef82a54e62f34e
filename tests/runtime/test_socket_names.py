"""Nothing of the standard library's socket is missing here, and what is wrong is refused in its words."""

from __future__ import annotations

import copy
import errno
import fractions
import gc
import os
import pickle
import socket as stdlib
import sys
import types
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import socket


def test_every_name_of_the_module_is_here():
    ours = set(dir(socket))
    missing = {
        name
        for name, value in vars(stdlib).items()
        if name not in ours and not name.startswith("__") and not isinstance(value, types.ModuleType)
    }
    assert missing == set()


def test_every_name_of_the_class_is_here():
    missing = set(dir(stdlib.socket)) - set(dir(socket.socket))
    assert missing == set()


def test_what_a_star_brings_is_what_the_standard_librarys_does_and_gevents_extras():
    assert set(socket.__all__) >= set(stdlib.__all__)
    assert all(hasattr(socket, name) for name in socket.__all__)
    assert {"wait_read", "wait_write", "wait_readwrite", "cancel_wait"} <= set(socket.__all__)


def test_what_is_not_ours_is_the_standard_librarys():
    for name in ("AF_INET", "gaierror", "timeout", "htons", "inet_aton", "if_nameindex", "send_fds", "SocketIO"):
        assert getattr(socket, name) is getattr(stdlib, name)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.recv(),
        lambda s: s.recv("x"),
        lambda s: s.recv(-1),
        lambda s: s.recv(1, "x"),
        lambda s: s.recv_into(b"read only"),
        lambda s: s.recv_into(bytearray(1), -1),
        lambda s: s.recv_into(bytearray(1), 2),
        lambda s: s.recvfrom(-1),
        lambda s: s.recvfrom_into(bytearray(1), 2),
        lambda s: s.recvmsg(-1),
        lambda s: s.recvmsg(1, -1),
        lambda s: s.recvmsg_into(1),
        lambda s: s.recvmsg_into([b"read only"]),
        lambda s: s.send("text"),
        lambda s: s.send(),
        lambda s: s.sendall("text"),
        lambda s: s.sendall(None),
        lambda s: s.sendto(b"x"),
        lambda s: s.sendto(b"x", 0, ("127.0.0.1", 1), 3),
        lambda s: s.sendto("text", ("127.0.0.1", 1)),
        lambda s: s.sendto(b"x", "no flags", ("127.0.0.1", 1)),
        lambda s: s.sendto(b"x", None),
        lambda s: s.sendmsg(b"x"),
        lambda s: s.sendmsg(1),
        lambda s: s.sendmsg([b"x"], 1),
        lambda s: s.sendmsg_afalg([b"x"]),
        lambda s: s.connect(None),
        lambda s: s.connect(("127.0.0.1",)),
        lambda s: s.connect(("127.0.0.1", 70000)),
        lambda s: s.connect(("127.0.0.1", -1)),
        lambda s: s.connect((None, 1)),
        lambda s: s.connect_ex(("127.0.0.1", "http")),
        lambda s: s.bind(("127.0.0.1", 1, 2)),
        lambda s: s.bind("path"),
        lambda s: s.listen("x"),
        lambda s: s.shutdown("x"),
        lambda s: s.shutdown(7),
        lambda s: s.setsockopt(1, 2),
        lambda s: s.getsockopt(1, 2, -1),
        lambda s: s.settimeout("1"),
        lambda s: s.settimeout(-1),
        lambda s: s.settimeout(float("nan")),
        lambda s: s.settimeout(float("inf")),
        lambda s: s.settimeout(1 << 70),
        lambda s: s.settimeout(1j),
        lambda s: s.settimeout(fractions.Fraction(1)),
        lambda s: s.makefile("a"),
        lambda s: s.makefile("r", 0),
        lambda s: s.sendfile(sys.__stdout__),
        lambda s: s.getpeername(),
        lambda s: s.accept(),
        lambda s: pickle.dumps(s),
        lambda s: copy.copy(s),
    ],
)
def test_what_is_wrong_raises_the_same_error(call):
    outcomes = []
    for module in (stdlib, socket):
        with module.socket() as one:
            one.settimeout(1)
            with pytest.raises(Exception) as caught:
                call(one)
        outcomes.append((caught.type, getattr(caught.value, "errno", None)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"fileno": -1},
        {"fileno": "x"},
        {"fileno": 1.5},
        {"fileno": 10_000},
        {"family": "x"},
        {"family": 9999},
        {"type": 99},
        {"proto": 12345678},
    ],
)
def test_a_socket_that_cannot_be_made_raises_the_same_error(arguments):
    outcomes = []
    for module in (stdlib, socket):
        with pytest.raises(Exception) as caught:
            module.socket(**arguments)
        outcomes.append((caught.type, str(caught.value)))
    assert outcomes[0] == outcomes[1]


def test_calls_on_a_closed_socket_raise_EBADF_as_the_standard_librarys():
    for name, arguments in [
        ("recv", (1,)),
        ("recvmsg", (1,)),
        ("send", (b"x",)),
        ("sendto", (b"x", ("127.0.0.1", 1))),
        ("sendmsg", ([b"x"],)),
        ("connect", (("127.0.0.1", 1),)),
        ("bind", (("127.0.0.1", 0),)),
        ("listen", ()),
        ("getsockname", ()),
        ("getsockopt", (1, 2)),
        ("shutdown", (2,)),
        ("settimeout", (1,)),
        ("setblocking", (True,)),
        ("dup", ()),
    ]:
        one = socket.socket()
        one.close()
        with pytest.raises(OSError) as caught:
            getattr(one, name)(*arguments)
        assert caught.value.errno == errno.EBADF, name
    assert one.connect_ex(("127.0.0.1", 1)) == errno.EBADF
    assert one.detach() == -1


def test_a_socket_says_what_it_is_like_the_standard_librarys():
    theirs, ours = stdlib.socket(), socket.socket()
    with theirs, ours:
        theirs.bind(("127.0.0.1", 0))
        ours.bind(("127.0.0.1", 0))
        for one in (theirs, ours):
            text = repr(one)
            assert f"fd={one.fileno()}, family=2, type=1, proto=0, laddr=('127.0.0.1', {one.getsockname()[1]})>" in text
    assert "[closed] fd=-1" in repr(ours) and "[closed] fd=-1" in repr(theirs)


def test_a_subclass_may_have_attributes_and_a_plain_one_may_not_as_the_standard_librarys():
    class Counting(socket.socket):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            self.sent = 0

        def send(self, data, *rest):
            self.sent += len(data)
            return super().send(data, *rest)

    one, other = socket.socketpair()
    with other, Counting(fileno=one.detach()) as counting:
        counting.send(b"abc")
        assert counting.sent == 3 and other.recv(3) == b"abc"
        with counting.dup() as copied:
            assert type(copied) is Counting and copied.sent == 0
        with pytest.raises(AttributeError):
            other.sent = 0


def test_a_socket_can_be_referred_to_weakly_and_is_freed_at_once():
    one, other = socket.socketpair()
    gone = weakref.ref(one)
    runtime.spawn(one.recv, 1)
    runtime.sleep(0)
    other.send(b"x")
    runtime.sleep(0.001)
    one.close()
    del one
    assert gone() is None
    other.close()


def test_a_socket_that_is_not_closed_says_so_by_its_name_and_its_descriptor_is_closed():
    one = socket.socket()
    fd, name = one.fileno(), repr(one)
    with pytest.warns(ResourceWarning) as warned:
        del one
        gc.collect()
    assert str(warned[0].message) == f"unclosed {name}"
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_socket_whose_making_failed_is_freed_without_a_word():
    with pytest.raises(OSError):
        socket.socket(-5, 1)
    gc.collect()
    assert "not made yet" in repr(socket.socket.__new__(socket.socket))


def test_a_type_with_SOCK_NONBLOCK_has_a_timeout_of_0():
    with socket.socket(type=stdlib.SOCK_STREAM | stdlib.SOCK_NONBLOCK) as one:
        assert one.gettimeout() == 0.0 and one.type is stdlib.SOCK_STREAM
    one, other = socket.socketpair(type=stdlib.SOCK_STREAM | stdlib.SOCK_NONBLOCK)
    with one, other:
        assert one.timeout == other.timeout == 0.0


def test_the_default_timeout_is_that_of_new_sockets_and_of_accepted_ones():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        socket.setdefaulttimeout(3)
        try:
            server, _ = listener.accept()
            with socket.socket() as new:
                assert (new.timeout, server.timeout, listener.timeout) == (3.0, 3.0, None)
        finally:
            socket.setdefaulttimeout(None)
        client.close()
        server.close()


def test_auditing_hooks_hear_of_it(run_script):
    done = run_script(
        "import sys\n"
        "from greenscope.runtime import socket\n"
        "heard = []\n"
        "sys.addaudithook(lambda name, arguments: heard.append(name) if name.startswith('socket.') else None)\n"
        "with socket.socket() as one:\n"
        "    one.bind(('127.0.0.1', 0))\n"
        "    one.connect_ex(('127.0.0.1', 9))\n"
        "socket.getaddrinfo('127.0.0.1', 80)\n"
        "print(*heard)\n"
    )
    heard = [name for name in done.stdout.split() if name != "socket.gethostname"]  # the recording's
    assert heard == ["socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo"], done.stderr


def test_a_class_and_a_resolver_of_the_programs_own_are_heeded_once_patched(run_script):
    done = run_script(
        "from greenscope.runtime import monkey\n"
        "monkey.patch_all()\n"
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "class Proxied(socket.socket):\n"
        "    pass\n"
        "asked = []\n"
        "def table(host, port, *rest):\n"
        "    asked.append(host)\n"
        "    return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', listener.getsockname())]\n"
        "socket.socket, socket.getaddrinfo = Proxied, table\n"
        "with socket.create_connection(('shop.example', 80)) as client:\n"
        "    print(type(client).__name__, asked)\n"
        "one, other = socket.socketpair()\n"
        "with one, other, socket.fromfd(one.fileno(), one.family, one.type) as third:\n"
        "    print({type(each).__name__ for each in (one, other, third)})\n"
        "listener.close()\n"
    )
    assert done.stdout == "Proxied ['shop.example']\n{'Proxied'}\n", done.stderr


def test_families_take_turns_when_a_host_has_both(monkeypatch):
    tried = []

    class Refusing(socket.socket):
        def connect(self, address):
            tried.append(address)
            raise ConnectionRefusedError(errno.ECONNREFUSED, "no")

    six = [(stdlib.AF_INET6, stdlib.SOCK_STREAM, 6, "", (f"::{number}", 80, 0, 0)) for number in (1, 2)]
    four = [(stdlib.AF_INET, stdlib.SOCK_STREAM, 6, "", (f"127.0.0.{number}", 80)) for number in (1, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: six + four)
    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("both.example", 80))
    assert [address[0] for address in tried] == ["::1", "127.0.0.1", "::2", "127.0.0.2"]
    with pytest.raises(ExceptionGroup) as group:
        socket.create_connection(("both.example", 80), all_errors=True)
    assert len(group.value.exceptions) == 4
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: [])
    with pytest.raises(OSError, match="knows no address"):
        socket.create_connection(("none.example", 80))


def test_a_raw_socket_receives_where_it_is_allowed():
    try:
        raw = socket.socket(stdlib.AF_INET, stdlib.SOCK_RAW, stdlib.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("raw sockets need a privilege")
    with raw, socket.socket(type=stdlib.SOCK_DGRAM) as sender, socket.socket(type=stdlib.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        raw.bind(("127.0.0.1", 0))
        raw.settimeout(5)
        reader = runtime.spawn(raw.recvfrom, 100)
        runtime.sleep(0)
        sender.sendto(b"seen", receiver.getsockname())
        while not reader.get()[0].endswith(b"seen"):  # somebody else's
            reader = runtime.spawn(raw.recvfrom, 100)


def test_a_forked_child_goes_on_with_a_socket_that_its_parent_waits_on(run_script):
    done = run_script(
        "import os\n"
        "import greenscope.runtime as runtime\n"
        "from greenscope.runtime import select, socket\n"
        "one, other = socket.socketpair()\n"
        "reader = runtime.spawn(one.recv, 1)\n"
        "runtime.sleep(0)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    selecting = runtime.spawn(select.select, [one], [], [], 5)\n"
        "    runtime.sleep(0)\n"
        "    other.send(b'ab')\n"
        "    assert selecting.get() == ([one], [], [])\n"
        "    got = one.recv(1)\n"
        "    one.close()\n"
        "    other.close()\n"
        "    os._exit(0 if got in b'ab' else 1)\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "print(status, reader.get() in {b'a', b'b'})\n"
        "one.close()\n"
        "other.close()\n"
    )
    assert done.stdout == "0 True\n", done.stderr


def test_who_made_the_descriptor_wait_behind_its_back_is_put_right_by_setblocking():
    one, other = socket.socketpair()
    with one, other:
        os.set_blocking(one.fileno(), True)
        one.setblocking(True)
        assert not os.get_blocking(one.fileno())
        assert one.gettimeout() is None
