"""What is recorded when nothing is left to wake anyone: whose wait that comes down to, and what of it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, LoopExit, joinall, sleep, spawn
from greenscope.runtime.lock import RLock
from greenscope.trace.analysis.diagnoses import Finding, Thresholds
from greenscope.trace.events import Kind, Wait
from greenscope.trace.examination import Examination
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event as Record

MAIN = 2


@pytest.fixture
def recorded(hub: runtime.Hub) -> Callable[[], list[Record]]:
    """Gives the loop exits of the recording."""

    def read() -> list[Record]:
        assert hub.recorder.path is not None
        with contextlib.closing(RingReader(hub.recorder.path)) as reader:
            return [one for one in reader.read(1 << 20) if isinstance(one, Record) and one.kind == Kind.LOOP_EXIT]

    return read


@pytest.fixture
def found(hub: runtime.Hub) -> Callable[[], list[Finding]]:
    """Gives what is wrong, except that a slow machine let nobody else run: the main greenlet is the test itself."""
    thresholds = Thresholds(deadlock_ms=0, stall_ms=600_000, starved_ms=600_000)

    def look() -> list[Finding]:
        assert hub.recorder.path is not None
        with contextlib.closing(Examination(hub.recorder.path, thresholds)) as examination:
            return examination.findings()

    return look


def number(greenlet: Any) -> int:
    return int(greenlet._handle) & ((1 << 40) - 1)


def wait_in_vain(join: Callable[[], object]) -> None:
    with pytest.raises(LoopExit):
        join()


def test_who_waits_by_itself_is_named_by_itself(recorded, found) -> None:
    wait_in_vain(Event().wait)
    (seen,) = recorded()
    assert (seen.greenlet, seen.reason, seen.aux) == (MAIN, Wait.EVENT, 1)
    (finding,) = found()
    assert finding.id == "loop-exit"
    assert finding.site is not None
    assert finding.site.function == "wait_in_vain"


def test_a_wait_for_an_end_comes_down_to_the_wait_of_who_is_to_end(recorded, found) -> None:
    last = spawn(Event().wait)
    middle = spawn(last.join)
    wait_in_vain(middle.join)
    (seen,) = recorded()
    assert (seen.greenlet, seen.reason, seen.aux) == (number(last), Wait.EVENT, 3)
    (finding,) = found()
    assert [one.id for one in finding.others] == [MAIN, number(middle)]


def test_a_wait_for_many_ends_comes_down_to_the_last_that_has_not_ended(recorded) -> None:
    one, last, done = spawn(Event().wait), spawn(Event().wait), spawn(sleep, 0.001)
    wait_in_vain(lambda: joinall([one, last, done]))
    (seen,) = recorded()
    assert seen.greenlet == number(last)


def test_those_that_wait_for_one_another_s_ends_are_a_deadlock_and_no_more(recorded, found) -> None:
    ours: list[runtime.Greenlet] = []
    one, other = spawn(lambda: ours[1].join()), spawn(lambda: ours[0].join())
    ours += [one, other]
    wait_in_vain(one.join)
    (seen,) = recorded()
    assert seen.greenlet in {number(one), number(other)}
    assert [finding.id for finding in found()] == ["deadlock"]


def test_a_lock_that_two_want_in_turn_is_a_deadlock_and_no_more(found) -> None:
    locks = RLock(), RLock()

    def take(first: RLock, second: RLock) -> None:
        with first:
            sleep(0.001)
            with second:
                pass

    both = [spawn(take, *locks), spawn(take, *reversed(locks))]
    wait_in_vain(lambda: joinall(both))
    assert [finding.id for finding in found()] == ["deadlock"]


def test_what_happens_again_at_a_line_is_one_finding(recorded, found) -> None:
    for _ in range(3):
        wait_in_vain(Event().wait)
    assert len(recorded()) == 3
    (finding,) = found()
    assert finding.count == 3
    assert "it happened 3 times" in finding.sentence
