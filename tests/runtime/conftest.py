"""What the tests of the runtime share: a hub of their own, pairs of sockets, scripts in processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from _thread import get_ident
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import socket
from greenscope.runtime.current import bystanders, current, others_may_wake

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def hub() -> Iterator[runtime.Hub]:
    """A hub that no other test has used; nothing may be left that it waits for."""
    await_threads_of_other_tests()
    if current.hub is not None:
        current.hub.destroy()
    made = runtime.get_hub()
    yield made
    left = made.loop.active
    made.destroy()
    assert left == 0


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets."""
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of some lines in a process of its own."""

    def run(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-c", source, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    return run


def await_threads_of_other_tests() -> None:
    """Threads of an earlier test could wake somebody here, for all the hub knows; then it would not give up."""
    by = monotonic() + 30
    while others_may_wake():
        left = sys._current_frames().keys() - bystanders - {get_ident()}
        assert monotonic() < by, f"an earlier test has left threads that do not end: {threading.enumerate()}, {left}"
        sleep(0.001)


def settle() -> None:
    """Let every greenlet that is ready run until it waits."""
    for _ in range(3):
        runtime.sleep(0)
