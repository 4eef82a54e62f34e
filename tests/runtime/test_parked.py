"""What errors say of greenlets that wait: whose turn it is, for what, and at which line."""

from __future__ import annotations

import traceback
from inspect import currentframe

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Timeout, lock
from greenscope.runtime.event import Event
from greenscope.runtime.exceptions import ConcurrentObjectUseError


def notes_of(error: BaseException) -> list[str]:
    """The notes below the traceback's last line."""
    return "".join(traceback.format_exception(error)).rstrip().splitlines()[-1:]


def test_the_traceback_of_a_timeout_says_what_was_waited_for_and_who_holds_it():
    taken = lock.RLock()

    def keep():
        with taken:
            runtime.sleep(60)

    keeper = runtime.spawn(keep)
    runtime.sleep(0)
    number = keeper._state.handle & 0xFFFFFFFFFF
    with pytest.raises(Timeout) as raised, Timeout(0.01):
        taken.acquire()
    (note,) = notes_of(raised.value)
    assert note.startswith("while waiting for ")
    assert note.endswith(f", which greenlet #{number} holds")
    keeper.kill()


def test_the_traceback_of_a_sockets_timeout_says_whom_it_waited_for(pair):
    ours, _ = pair
    ours.settimeout(0.01)
    with pytest.raises(TimeoutError) as raised:
        ours.recv(1)
    assert f"fd {ours.fileno()}" in notes_of(raised.value)[0]


def test_a_timeout_that_is_raised_again_says_only_what_it_was_last_raised_for():
    timeout = Timeout(0.01)
    for _ in range(2):
        with pytest.raises(Timeout), timeout:
            Event().wait()
    assert timeout.__notes__ == ["while waiting for an event"]


def test_an_exception_that_the_program_gave_is_not_written_on():
    mine = ValueError("too late")
    with pytest.raises(ValueError, match="too late"), Timeout(0.01, mine):
        runtime.sleep(60)
    assert not hasattr(mine, "__notes__")


@pytest.mark.parametrize("seconds", [None, 5])
def test_whoever_waits_where_another_one_does_is_told_who_and_at_which_line(pair, seconds):
    ours, _ = pair

    def read():
        ours.recv(1)

    frame = currentframe()
    assert frame is not None
    line = frame.f_lineno - 4
    reader = runtime.spawn(read)
    runtime.sleep(0)
    ours.settimeout(seconds)
    told = rf"greenlet .*read.* waits for it already at .*test_parked\.py:{line}"
    with pytest.raises(ConcurrentObjectUseError, match=told):
        ours.recv(1)
    reader.kill()
