"""Names and addresses: look-ups that block nobody, can be ended, and answer as the standard library's do."""

from __future__ import annotations

import os
import socket as stdlib
import threading
import time

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import GreenletExit, Timeout, resolve, socket


@pytest.fixture
def no_threads(monkeypatch):
    """Nothing may go to a thread."""

    def refuse(function, *arguments):
        raise AssertionError(f"{function.__name__}{arguments} was sent to a thread")

    monkeypatch.setattr(resolve, "look_up", refuse)


@pytest.fixture
def hanging(monkeypatch):
    """A resolver that does not answer until it is let."""
    asked, answer = threading.Event(), threading.Event()

    def hang(*arguments):
        asked.set()
        assert answer.wait(10)
        return [(stdlib.AF_INET, stdlib.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(resolve, "_getaddrinfo", hang)
    yield asked
    answer.set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("127.0.0.1", 80),
        ("127.0.0.1", "80"),
        (b"127.0.0.1", b"80"),
        ("::1", 80, stdlib.AF_INET6),
        ("::1", None),
        (None, 80),
        (None, 80, 0, stdlib.SOCK_STREAM, 0, stdlib.AI_PASSIVE),
        ("127.0.0.1", 80, 0, stdlib.SOCK_DGRAM, 0, stdlib.AI_NUMERICHOST),
        ("127.0.0.1", 80, 0, 0, stdlib.IPPROTO_TCP, stdlib.AI_CANONNAME),
    ],
)
def test_a_numeric_address_is_answered_at_once(no_threads, arguments):
    assert socket.getaddrinfo(*arguments) == stdlib.getaddrinfo(*arguments)


def test_other_look_ups_that_need_none_are_answered_at_once(no_threads):
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
    assert socket.gethostbyname("") == "0.0.0.0"
    assert socket.gethostbyname("<broadcast>") == "255.255.255.255"
    flags = stdlib.NI_NUMERICHOST | stdlib.NI_NUMERICSERV
    assert socket.getnameinfo(("::1", 80, 0, 0), flags) == ("::1", "80")


@pytest.mark.parametrize(
    "arguments",
    [
        ("localhost", 80),
        ("localhost", "http"),
        ("127.0.0.1", "http"),
        (b"localhost", None),
        ("localhost", 80, stdlib.AF_INET, stdlib.SOCK_STREAM),
    ],
)
def test_names_are_looked_up_as_the_standard_library_does(arguments):
    assert socket.getaddrinfo(*arguments) == stdlib.getaddrinfo(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("getaddrinfo", ("localhost", "no such service")),
        ("getaddrinfo", ("name.invalid", 80, 0, 0, 0, stdlib.AI_NUMERICHOST)),
        ("getaddrinfo", ("::1", 80, stdlib.AF_INET)),
        ("getaddrinfo", ("127.0.0.1", 80, 12345)),
        ("getaddrinfo", (None, None)),
        ("getaddrinfo", ("", 80)),
        ("getaddrinfo", (bytearray(b"localhost"), 80)),
        ("getaddrinfo", (1, 80)),
        ("getaddrinfo", ("x" * 64 + ".example", 80)),
        ("getaddrinfo", ("127.0.0.1", 1.5)),
        ("getnameinfo", (("not an address", 80), 0)),
        ("getnameinfo", (("127.0.0.1",), 0)),
        ("getnameinfo", ("127.0.0.1", 0)),
        ("gethostbyname", ("::1",)),
        ("gethostbyname", (None,)),
        ("gethostbyaddr", (None,)),
        ("gethostbyname_ex", (1,)),
    ],
)
def test_what_is_wrong_raises_the_same_error(name, arguments):
    outcomes = []
    for module in (stdlib, socket):
        with pytest.raises(Exception) as caught:
            getattr(module, name)(*arguments)
        outcomes.append((caught.type, getattr(caught.value, "errno", None), str(caught.value)))
    assert outcomes[0] == outcomes[1]


def test_reverse_look_ups_and_full_names_answer_as_the_standard_librarys():
    for name, arguments in [
        ("gethostbyaddr", ("127.0.0.1",)),
        ("gethostbyname_ex", ("localhost",)),
        ("getfqdn", ("localhost",)),
        ("getfqdn", ("",)),
        ("getfqdn", (" 127.0.0.1 ",)),
        ("getnameinfo", (("127.0.0.1", 80), 0)),
    ]:
        assert getattr(socket, name)(*arguments) == getattr(stdlib, name)(*arguments), name


def test_getfqdn_takes_the_first_name_with_a_dot_or_the_name_itself(monkeypatch):
    monkeypatch.setattr(resolve, "gethostbyaddr", lambda name: ("short", ["alias", "long.example", "b.example"], []))
    assert socket.getfqdn("x") == "long.example"
    monkeypatch.setattr(resolve, "gethostbyaddr", lambda name: ("short", ["alias"], []))
    assert socket.getfqdn("x") == "short"

    def unknown(name):
        raise stdlib.herror(1, "unknown")

    monkeypatch.setattr(resolve, "gethostbyaddr", unknown)
    assert socket.getfqdn("x.example") == "x.example"
    assert socket.getfqdn("0.0.0.0") == stdlib.gethostname()


def test_a_look_up_that_hangs_can_time_out_and_the_others_run(hanging):
    ticks = []
    ticker = runtime.spawn(lambda: [ticks.append(runtime.sleep(0)) for _ in range(5)])
    with pytest.raises(Timeout):
        with Timeout(0.02):
            socket.getaddrinfo("name.invalid", 80)
    ticker.join()
    assert hanging.wait(5) and len(ticks) == 5


def test_a_greenlet_can_be_killed_in_a_look_up(hanging, hub):
    looker = runtime.spawn(socket.create_connection, ("name.invalid", 80))
    while not hanging.is_set():
        runtime.sleep(0.001)
    looker.kill()
    assert isinstance(looker.value, GreenletExit)
    assert hub.loop.active == 0


@pytest.mark.parametrize("call", ["connect", "connect_ex", "sendto", "bind", "sendmsg"])
def test_calls_that_take_an_address_look_its_name_up_without_blocking(hanging, call):
    with socket.socket(type=stdlib.SOCK_DGRAM) as one:
        with Timeout(0.05, False):
            if call == "sendmsg":
                one.sendmsg([b"x"], (), 0, ("name.invalid", 9))
            else:
                getattr(one, call)(*([b"x"] if call == "sendto" else []), ("name.invalid", 9))
            pytest.fail("it did not look the name up")
    assert hanging.wait(5)


def test_an_address_is_resolved_for_its_socket_and_keeps_all_else():
    assert resolve.resolve(("localhost", 80), stdlib.AF_INET) == ("127.0.0.1", 80)
    assert resolve.resolve((b"localhost", 80), stdlib.AF_INET) == ("127.0.0.1", 80)
    for left_alone in [("", 1), ("<broadcast>", 1), ("10.0.0.1", 1), ("localhost",), "text", None, (None, 1)]:
        assert resolve.resolve(left_alone, stdlib.AF_INET) is left_alone
    assert resolve.resolve(("fe80::1%lo", 80, 1, 2), stdlib.AF_INET6) == ("fe80::1%lo", 80, 1, 2)
    assert resolve.resolve("localhost", stdlib.AF_UNIX) == "localhost"


def test_a_name_that_cannot_be_encoded_is_refused_as_the_standard_library_does():
    outcomes = []
    for module in (stdlib, socket):
        with module.socket() as one, pytest.raises(Exception) as caught:
            one.connect(("ü" * 70 + ".invalid", 80))
        outcomes.append(caught.type)
    assert outcomes[0] is outcomes[1]


def test_a_name_of_another_script_is_looked_up_by_its_ascii_form(monkeypatch):
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("bücher.invalid", 80, 0, 0, 0, stdlib.AI_NUMERICHOST)
    assert caught.value.errno == stdlib.EAI_NONAME


def test_families_take_turns_and_the_resolvers_order_stays_within_each():
    six, four = stdlib.AF_INET6, stdlib.AF_INET
    found = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]
    assert resolve.interleaved(found) == [(six, 1), (four, 4), (six, 2), (four, 5), (six, 3)]
    assert resolve.interleaved([(four, 1), (four, 2)]) == [(four, 1), (four, 2)]
    assert resolve.interleaved([]) == []


def test_more_look_ups_than_threads_are_all_answered(monkeypatch):
    def slow(host, *rest):
        time.sleep(0.001)
        return [host]

    monkeypatch.setattr(resolve, "_getaddrinfo", slow)
    lookers = [runtime.spawn(socket.getaddrinfo, f"host-{number}.invalid", 80) for number in range(100)]
    assert [looker.get() for looker in lookers] == [[f"host-{number}.invalid"] for number in range(100)]


def test_a_forked_child_can_look_names_up(run_script):
    done = run_script(
        "import os\n"
        "import greenscope.runtime as runtime\n"
        "from greenscope.runtime import socket\n"
        "assert socket.getaddrinfo('localhost', 80)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    assert socket.getaddrinfo('localhost', 80)\n"
        "    assert runtime.spawn(socket.gethostbyname, 'localhost').get() == '127.0.0.1'\n"
        "    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert done.stdout == "7\n", done.stderr


def test_addresses_for_people():
    assert resolve.format_address(("127.0.0.1", 80)) == "127.0.0.1:80"
    assert resolve.format_address(("::1", 80, 0, 0)) == "[::1]:80"
    assert resolve.format_address("\0abstract") == "@abstract"
    assert resolve.format_address(b"\0abstract") == "@abstract"
    assert resolve.format_address(None) == ""
    assert os.fsencode(resolve.format_address("/run/x")) == b"/run/x"
