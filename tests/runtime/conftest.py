"""What the tests of the runtime share: a hub of their own, pairs of sockets, scripts in processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from _thread import get_ident
from collections.abc import Callable, Iterator

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import socket
from greenscope.runtime.current import bystanders, current

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def hub() -> Iterator[runtime.Hub]:
    """A hub that no other test has used; nothing may be left that it waits for."""
    # Threads of other tests (a browser's, say) wake nobody here: a hub with nothing left is at its end.
    strangers = {thread.ident for thread in threading.enumerate()} - {get_ident()} - bystanders
    bystanders.update(strangers)
    if current.hub is not None:
        current.hub.destroy()
    made = runtime.get_hub()
    yield made
    left = made.loop.active
    made.destroy()
    bystanders.difference_update(strangers)
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


def settle() -> None:
    """Let every greenlet that is ready run until it waits."""
    for _ in range(3):
        runtime.sleep(0)
