"""One attempt at a non-blocking socket, in C and in Python."""

from __future__ import annotations

import _socket
import contextlib
import importlib.util
import os
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from greenscope.runtime import attempt


def _twin() -> ModuleType:
    """The module as it is where nothing was compiled."""
    spec = importlib.util.spec_from_file_location("attempt_in_python", Path(attempt.__file__))
    module = importlib.util.module_from_spec(spec)
    compiled = sys.modules.get("greenscope.runtime._attempt")
    sys.modules["greenscope.runtime._attempt"] = None
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["greenscope.runtime._attempt"]
        if compiled is not None:
            sys.modules["greenscope.runtime._attempt"] = compiled
    assert module.receive.__module__ == "attempt_in_python"
    return module


@pytest.fixture(params=["C", "Python"])
def implementation(request: pytest.FixtureRequest) -> ModuleType:
    return pytest.importorskip("greenscope.runtime._attempt") if request.param == "C" else _twin()


def test_an_attempt_gives_what_the_socket_would_or_none(implementation, pair):
    one, other = pair[0]._sock, pair[1]._sock
    assert implementation.receive(one, 10, 0) is None
    assert implementation.transmit(other, b"hello", 0) == 5
    assert implementation.transmit(other, memoryview(bytearray(b"!!")), 0) == 2
    assert implementation.receive(one, 3, 0) == b"hel"
    assert implementation.receive(one, 1 << 20, 0) == b"lo!!"
    assert implementation.receive(one, 0, 0) == b""
    while implementation.transmit(other, bytes(1 << 16), 0) is not None:
        pass
    other.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        implementation.transmit(other, b"x", 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        implementation.receive(other, 1, 0)


@pytest.mark.parametrize("sizes", [(1, 6000, 2, 7000, 8000, 4096, 4097, 3), (7000, 7000, 1)])
def test_small_and_large_pieces_arrive_whole_in_any_order(implementation, pair, sizes):
    one, other = pair[0]._sock, pair[1]._sock
    for number, size in enumerate(sizes):
        sent = bytes([number]) + os.urandom(size - 1)
        other.sendall(sent)
        got = b""
        while (piece := implementation.receive(one, 65536, 0)) is not None:
            got += piece
        assert got == sent


def test_what_was_cut_off_is_not_made_up_for_with_what_came_to_another_socket(implementation, pair):
    one, other = pair[0]._sock, pair[1]._sock
    # All of it is kept: the interpreter gives freed memory out again as it is, and its own recv would show it here.
    sent = b"secret" * 10
    other.sendall(sent)
    received = implementation.receive(one, 100, 0)
    assert received == sent
    sender, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver = _socket.socket(fileno=other_end.detach())  # the interpreter's own class, as ours hold it
    with sender, contextlib.closing(receiver):
        receiver.setblocking(False)
        sender.send(b"x" * 60)
        got = implementation.receive(receiver, 1, int(socket.MSG_TRUNC))
        assert got[:1] == b"x"
        assert b"secret" not in got
        assert implementation.receive(receiver, 1, int(socket.MSG_TRUNC)) is None


def test_what_was_received_stays_when_more_is_received(implementation, pair):
    one, other = pair[0]._sock, pair[1]._sock
    got = []
    for sent in (b"first", b"second", b"x" * 5000, b"third"):
        other.sendall(sent)
        got.append(implementation.receive(one, 65536, 0))
    assert got == [b"first", b"second", b"x" * 5000, b"third"]


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("receive", (-1, 0), ValueError),
        ("receive", ("ten", 0), TypeError),
        ("receive", (10, None), TypeError),
        ("receive", (10, 1 << 40), OverflowError),
        ("receive", (10, 1 << 70), OverflowError),
        ("transmit", ("text", 0), TypeError),
        ("transmit", (b"x", "flags"), TypeError),
        ("transmit", (b"x", 1 << 70), OverflowError),
        ("transmit", (memoryview(b"abcd")[::2], 0), BufferError),
    ],
)
def test_an_attempt_refuses_what_the_socket_refuses(implementation, pair, name, arguments, error):
    with pytest.raises(error):
        getattr(implementation, name)(pair[0]._sock, *arguments)


def test_an_attempt_does_not_wait_where_somebody_has_made_the_descriptor_block(pair):
    """Whether it blocks is shared by all who have the socket, other processes too; and nobody else could run."""
    attempted = pytest.importorskip("greenscope.runtime._attempt")
    one, other = pair[0]._sock, pair[1]._sock
    os.set_blocking(one.fileno(), True)
    os.set_blocking(other.fileno(), True)
    assert attempted.receive(one, 10, 0) is None
    while attempted.transmit(other, bytes(1 << 15), 0) is not None:
        pass


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")
def test_ctrl_c_in_the_making_of_a_buffer_is_not_lost(implementation, pair):
    class Data:
        struck = 0

        def __buffer__(self, _flags: int) -> memoryview:
            self.struck += 1
            if self.struck == 1:
                raise KeyboardInterrupt
            return memoryview(b"x")

    with pytest.raises(KeyboardInterrupt):
        implementation.transmit(pair[0]._sock, Data(), 0)
