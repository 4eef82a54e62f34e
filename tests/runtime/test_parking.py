"""Parking in Python and in C: the tests of the runtime run over both."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from greenscope.runtime import parking, waiter

RUNTIME_TESTS = Path(__file__).parent
WITHOUT_C = """
import sys
sys.modules["greenscope.runtime._parking"] = None
import pytest
from greenscope.runtime import waiter
assert waiter.Board.__module__ == "greenscope.runtime.parking"
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_c_is_used_where_it_was_compiled():
    pytest.importorskip("greenscope.runtime._parking")
    assert waiter.Board.__module__ == "greenscope.runtime._parking"


def test_the_python_twin_passes_the_same_tests():
    names = ("test_hub.py", "test_watchers.py", "test_greenlet.py", "test_timeout.py", "test_socket.py")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT_C,
            "-q",
            "-p",
            "no:cacheprovider",
            *(str(RUNTIME_TESTS / name) for name in names),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=RUNTIME_TESTS.parent.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class _Recorder:
    """A recorder in which Ctrl-C strikes when the hub is about to switch."""

    def __getattr__(self, name: str) -> Any:
        return self.strike if name == "switch" else lambda *arguments: None

    def strike(self, handle: int) -> None:
        raise KeyboardInterrupt


def test_an_entry_is_not_lost_when_ctrl_c_strikes_the_hub():
    board: Any = parking.Board(deque(), _Recorder(), True)
    entry: Any = parking.Waiter(0)
    entry.greenlet, entry.state, entry.queued = object(), parking.State(None, board, 1), True
    board.ready.append(entry)
    with pytest.raises(KeyboardInterrupt):
        board.run_ready()
    assert list(board.ready) == [entry]


def test_what_is_no_waiter_is_not_parked_on(hub):
    if waiter.Board.__module__ != "greenscope.runtime._parking":
        pytest.skip("the twin finds out by itself")
    with pytest.raises(TypeError, match="not a waiter"):
        hub.park(object())
    with pytest.raises(TypeError, match="not a watcher"):
        hub.wait_io(object())
