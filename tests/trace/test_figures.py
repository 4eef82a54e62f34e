"""A ring says what became of a greenlet's time, to the process that writes it: both writers say the same."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.events import Exit, Kind, Ready, Spawn, Wait, Watch
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from tests.trace.rings import SMALL, WRITERS, begin, new_ring

ALL = 1 << 20


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_greenlets_time_is_what_it_ran_was_ready_and_waited_for(writer: str) -> None:
    ring, _ = new_ring(writer)
    hub, main = begin(ring)
    other = ring.spawn(Spawn.GREENLET, ring.string("other"), 0, hub)
    ring.request_begin(b"id\nGET /")
    head = ring.head
    ring.clock_ns = 1100
    ring.wait(Watch.READ, 5, 7, 0, b"")
    ring.clock_ns = 1400
    ring.fire(main, Watch.READ, 5, 7)
    ring.ready(other, Ready.SPAWN, hub)
    ring.clock_ns = 1500
    ring.switch(other)
    ring.clock_ns = 2000
    ring.park(Wait.TIMER, 0, -1, 0, b"")
    ring.ready(main, Ready.TIMEOUT, 3)
    ring.clock_ns = 2300
    ring.throw(main)
    ring.clock_ns = 2310
    ring.park(Wait.LOCK, 6, -1, 0, b"")
    ring.clock_ns = 2330
    ring.ready(main, Ready.GREENLET, other)
    ring.switch(main)
    ring.clock_ns = 2400
    assert ring.figures(head, 1000, main, ALL) == (
        True, 100 + 10 + 70, 900, {Wait.READ: 300, Wait.LOCK: 20}, 0, 0,
    )  # fmt: skip


def test_greenlets_that_it_spawned_count_with_those_that_they_spawned_and_no_other(writer: str) -> None:
    ring, _ = new_ring(writer)
    hub, main = begin(ring)
    before = ring.spawn(Spawn.GREENLET, 0, 0, main)
    head = ring.head
    child = ring.spawn(Spawn.GREENLET, 0, 0, main)
    ring.park(Wait.JOIN, child, -1, 0, b"")
    for greenlet, nanoseconds in ((child, 50), (before, 1000)):
        ring.switch(greenlet)
        ring.clock_ns += nanoseconds
        ring.park(Wait.TIMER, 0, -1, 0, b"")
    ring.switch(child)
    grandchild = ring.spawn(Spawn.GREENLET, 0, 0, child)
    ring.clock_ns += 5
    ring.exit(child, Exit.RETURNED)
    ring.spawn(Spawn.GREENLET, 0, 0, hub)
    ring.switch(grandchild)
    ring.clock_ns += 7
    assert ring.figures(head, 1000, main, ALL) == (True, 0, 0, {Wait.JOIN: 1062}, 2, 62)


def test_what_was_overwritten_is_in_no_sum_and_that_is_said(writer: str) -> None:
    ring, _ = new_ring(writer, sizes=replace(SMALL, events=16))
    _, main = begin(ring)
    head = ring.head
    ring.clock_ns = 3000
    ring.park(Wait.TIMER, 0, -1, 0, b"")
    for _ in range(20):
        ring.poll_begin(1)
    ring.clock_ns = 9000
    ring.ready(main, Ready.WATCHER, 0)
    ring.clock_ns = 9100
    ring.switch(main)
    ring.clock_ns = 9101
    assert ring.figures(head, 1000, main, ALL) == (False, 1, 100, {}, 0, 0)


def test_no_more_records_are_read_than_was_said(writer: str) -> None:
    ring, _ = new_ring(writer)
    _, main = begin(ring)
    head = ring.head
    ring.park(Wait.TIMER, 0, -1, 0, b"")
    ring.clock_ns = 2000
    ring.ready(main, Ready.WATCHER, 0)
    ring.switch(main)
    assert ring.figures(head, 1000, main, 3) == (True, 0, 0, {Wait.TIMER: 1000}, 0, 0)
    assert ring.figures(head, 1000, main, 2) == (False, 0, 0, {}, 0, 0)


def test_a_moment_that_has_not_come_is_not_whole(writer: str) -> None:
    ring, _ = new_ring(writer)
    _, main = begin(ring)
    assert ring.figures(ring.head + 1, 1000, main, ALL)[0] is False


def test_a_ring_that_is_closed_has_no_figures(writer: str) -> None:
    ring, _ = new_ring(writer)
    _, main = begin(ring)
    ring.detach()
    assert ring.figures(0, 1000, main, ALL) == (False, 0, 0, {}, 0, 0)


@pytest.mark.parametrize("arguments", [(), (1, 2, 3), ("x", 1, 2, 3)])
def test_wrong_arguments_are_a_type_error(arguments: tuple[Any, ...]) -> None:
    ring, _ = new_ring("c")
    with pytest.raises(TypeError):
        ring.figures(*arguments)


STEPS = st.lists(
    st.tuples(st.sampled_from(["spawn", "ready", "switch", "throw", "park", "exit", "mark"]), st.integers(0, 6),
              st.integers(0, 13), st.integers(0, 40)),
    max_size=60,
)  # fmt: skip


@given(steps=STEPS, of=st.integers(0, 3), since=st.integers(0, 30), events=st.sampled_from([16, 64, 256]))
@settings(max_examples=150, deadline=None)
def test_both_writers_say_the_same_of_any_records(
    steps: list[tuple[str, int, int, int]], of: int, since: int, events: int
) -> None:
    said = []
    for writer in WRITERS:
        ring, _ = new_ring(writer, sizes=replace(SMALL, events=events))
        handles = list(begin(ring))
        head, begun = ring.head, ring.clock_ns
        for number, (step, who, reason, later) in enumerate(steps):
            if number == since:
                head, begun = ring.head, ring.clock_ns
            ring.clock_ns += later
            handle = handles[who % len(handles)]
            if step == "spawn":
                handles.append(ring.spawn(Spawn.GREENLET, 0, 0, handle))
            elif step == "ready":
                ring.ready(handle, Ready.WATCHER, 0)
            elif step == "park":
                ring.park(reason, 0, -1, 0, b"")
            elif step == "mark":
                ring.mark(b"text" * 10)
            elif step == "exit":
                ring.exit(handle, Exit.RETURNED)
            else:
                getattr(ring, step)(handle)
        said.append(ring.figures(head, begun, handles[of % len(handles)], ALL))
    assert said[0] == said[1]


def suspended() -> Any:
    yield "here"


def test_a_place_in_code_that_does_not_run_is_a_site(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr")
    begin(ring)
    generator = suspended()
    next(generator)
    frame = generator.gi_frame
    site = ring.site(suspended.__code__, frame.f_lasti)
    assert site > 0
    assert site == ring.site(suspended.__code__, frame.f_lasti)
    ring.park_there(site, Wait.LOCK, 9, -1, 20)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        event = reader.read()[-1]
        assert event == Event(1000, 2, Kind.GREENLET_PARK, Wait.LOCK, 0, site, 9 | 20 << 32)
        found = reader.site(site)
        assert found is not None
        assert (found.file, found.function, found.line) == (__file__, "suspended", frame.f_lineno)


def test_of_plumbing_a_place_is_negative_and_of_our_own_it_is_none(writer: str) -> None:
    ring, _ = new_ring(writer)
    own = "greenscope.trace.ring_python"
    assert ring.site(compile("1", "/plumbing/a.py", "exec"), 0) < 0
    assert ring.site(compile("1", sys.modules[own].__file__ or "", "exec"), 0) == 0
    ring.detach()
    assert ring.site(suspended.__code__, 0) == 0


def test_what_is_no_code_has_no_place() -> None:
    ring, _ = new_ring("c")
    with pytest.raises(TypeError, match="expected a code object"):
        ring.site("code", 0)  # type: ignore[arg-type]
