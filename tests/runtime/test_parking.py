"""Parking in Python and in C: the tests of the runtime run over both."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from greenlet import getcurrent, greenlet

from greenscope.runtime import Hub, parking, sleep, waiter
from greenscope.trace.events import Spawn

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


@pytest.fixture(params=["C", "Python"])
def kinds(request: pytest.FixtureRequest) -> Any:
    """The module with the five types."""
    return pytest.importorskip("greenscope.runtime._parking") if request.param == "C" else parking


def test_an_entry_is_not_lost_when_ctrl_c_strikes_the_hub(kinds):
    board: Any = kinds.Board(deque(), _Recorder(), True)
    entry: Any = kinds.Waiter(0)
    entry.greenlet, entry.state, entry.queued = getcurrent(), kinds.State(None, board, 1), True
    board.ready.append(entry)
    with pytest.raises(KeyboardInterrupt):
        board.run_ready()
    assert list(board.ready) == [entry]


def test_whom_the_hub_switches_to_is_settled_before_it_is_recorded(kinds):
    class Recorder:
        def __getattr__(self, _name: str) -> Any:
            return self.forget

        def forget(self, handle: int) -> None:
            entry.greenlet = None

    board: Any = kinds.Board(deque(), Recorder(), True)
    switched = []
    entry: Any = kinds.Waiter(0)
    entry.state, entry.queued = kinds.State(None, board, 1), True
    entry.greenlet = greenlet(switched.append)
    board.ready.append(entry)
    assert board.run_ready() == 1
    assert switched == [entry]


def test_an_error_to_raise_is_not_lost_when_ctrl_c_strikes_the_hub(kinds):
    class Hub:
        def special(self, entry: Any) -> None:
            raise KeyboardInterrupt

    board: Any = kinds.Board(deque(), _Recorder(), False)
    board.hub = Hub()
    entry: Any = kinds.Waiter(0)
    entry.greenlet, entry.state, entry.queued = getcurrent(), kinds.State(board.hub, board, 1), True
    entry.exception = ValueError()
    board.ready.append(entry)
    with pytest.raises(KeyboardInterrupt):
        board.run_ready()
    assert list(board.ready) == [entry]


def test_who_is_woken_while_the_hub_makes_its_acquaintance_does_not_park(hub, monkeypatch):
    place = waiter.Place(0)
    meet = Hub.state_of

    def state_of(self: Hub, target: Any) -> Any:
        thread = threading.Thread(target=place.give)
        thread.start()
        thread.join()
        return meet(self, target)

    monkeypatch.setattr(Hub, "state_of", state_of)
    went_on = []
    greenlet(lambda: went_on.append(hub.park(place))).switch()
    assert went_on == [None]


def test_ctrl_c_is_not_lost_when_it_strikes_as_a_wait_ends_with_an_error(kinds):
    class Recorder:
        def __getattr__(self, name: str) -> Any:
            return self.strike if name == "watcher_stop" else lambda *arguments: None

        def strike(self, *arguments: Any) -> None:
            raise KeyboardInterrupt

    def fail(_result: object = None) -> None:
        parked.throw(TimeoutError)

    board: Any = kinds.Board(deque(), Recorder(), True)
    board.hub = greenlet(fail)
    watcher: Any = kinds.Wakeable()
    watcher.descriptor = kinds.Armed(board)
    state = kinds.State(board.hub, board, 1)
    raised = []

    def wait() -> None:
        getcurrent()._state = state
        try:
            board.wait_io(watcher)
        except BaseException as error:
            raised.append(type(error))

    parked = greenlet(wait)
    parked.switch()
    assert raised == [KeyboardInterrupt]
    assert (board.active, watcher.greenlet) == (0, None)


def test_a_greenlet_that_has_ended_may_give_way(hub):
    state = waiter.State(hub, hub.loop, hub.recorder.spawn(Spawn.RAW, 0, 1, 0))
    went_on = []

    def run() -> None:
        getcurrent()._state = state
        state.yielder = None  # as the end of a greenlet does, so that nothing is left to the collector
        went_on.append(hub.give_way())

    greenlet(run).switch()
    sleep(0)
    assert went_on == [None]


def test_a_watcher_that_is_closed_while_the_kernel_is_told_is_not_waited_for(kinds):
    class Closed(kinds.Armed):
        def arm(self, events: int) -> None:
            raise OSError(errno.EBADF, "closed")

    class Open(kinds.Armed):
        def arm(self, events: int) -> None:
            self.armed |= events
            watcher.descriptor = Closed(board)  # as the handler of a signal would, that comes now

    board: Any = kinds.Board(deque(), _Recorder(), False)
    board.hub = getcurrent()
    getcurrent()._state, before = kinds.State(board.hub, board, 1), getcurrent()._state
    watcher: Any = kinds.Wakeable()
    watcher.mask = 1
    watcher.descriptor = Open(board)
    try:
        with pytest.raises(OSError, match="closed"):
            board.wait_io(watcher)
    finally:
        getcurrent()._state = before
    assert watcher.greenlet is None


OUTLIVES = """
from greenlet import GreenletExit, getcurrent, greenlet
from greenscope.runtime import get_hub, sleep, socket
from greenscope.runtime.hub import InvalidSwitchError
from greenscope.runtime.queue import Queue
from greenscope.trace.events import Ready
main, queue, got = getcurrent(), Queue(), []
one, other = socket.socketpair()
one.settimeout(0.001)
def receives():
    try:
        one.recv(1)
    except TimeoutError as error:
        return error
def run():
    sleep(0)
    main.switch()
    WAIT
outlives = greenlet(run, get_hub())
get_hub().loop.run_callback(outlives.switch)
try:
    for _ in range(3):
        sleep(0)
except InvalidSwitchError:
    pass
get_hub().destroy()
hub = outlives.parent = get_hub()
hub.loop.run_callback(outlives.switch)
sleep(0)
WAKE
for _ in range(3):
    sleep(0)
print(outlives.dead, got)
"""


@pytest.mark.parametrize(
    ("wait", "wake", "got"),
    [
        ("got.append(queue.get())", "queue.put(5)", [5]),
        ("sleep(10)", "hub.interrupt(outlives, GreenletExit(), Ready.OTHER, 0)", []),
        ("got.append(str(receives()))", "sleep(0.05)", ["timed out"]),
    ],
)
@pytest.mark.parametrize("prelude", ["", 'import sys; sys.modules["greenscope.runtime._parking"] = None'])
def test_a_greenlet_that_outlives_its_hub_is_woken_by_the_next_one(run_script, prelude, wait, wake, got):
    done = run_script(prelude + OUTLIVES.replace("WAIT", wait).replace("WAKE", wake))
    assert (done.returncode, done.stdout) == (0, f"True {got}\n"), done.stderr


UNFINISHED = {
    "a board without a hub": "kinds.Board(deque(), Recorder(), False).give_way()",
    "a board that was not initialized": "kinds.Board.__new__(kinds.Board).give_way()",
    "a deleted state": "entry.greenlet = getcurrent(); del entry.state; entry.give()",
    "no state": "entry.greenlet = getcurrent(); entry.give()",
    "a state that is none": "entry.state = object()",
    "a deleted number": "board.hub = None; getcurrent()._state = state; del state.handle; board.give_way()",
    "a descriptor that was not initialized": "kinds.Armed.__new__(kinds.Armed).on_events(None, 1, None)",
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_what_lacks_a_part_raises_an_error_and_does_not_crash(run_script, what):
    pytest.importorskip("greenscope.runtime._parking")
    done = run_script(f"""
from collections import deque
from greenlet import getcurrent
from greenscope.runtime import _parking as kinds
class Recorder:
    def __getattr__(self, name):
        return lambda *arguments: None
board = kinds.Board(deque(), Recorder(), True)
state = kinds.State(None, board, 1)
entry = kinds.Place(0)
try:
    {UNFINISHED[what]}
except (AttributeError, TypeError):
    print("refused")
""")
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


def test_what_is_no_waiter_is_not_parked_on(hub):
    if waiter.Board.__module__ != "greenscope.runtime._parking":
        pytest.skip("the twin finds out by itself")
    with pytest.raises(TypeError, match="not a waiter"):
        hub.park(object())
    with pytest.raises(TypeError, match="not a watcher"):
        hub.wait_io(object())
