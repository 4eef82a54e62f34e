"""One attempt at a non-blocking socket, in C and in Python."""

from __future__ import annotations

import importlib.util
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


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("receive", (-1, 0), ValueError),
        ("receive", ("ten", 0), TypeError),
        ("receive", (10, None), TypeError),
        ("receive", (10, 1 << 40), OverflowError),
        ("transmit", ("text", 0), TypeError),
        ("transmit", (b"x", "flags"), TypeError),
    ],
)
def test_an_attempt_refuses_what_the_socket_refuses(implementation, pair, name, arguments, error):
    with pytest.raises(error):
        getattr(implementation, name)(pair[0]._sock, *arguments)
