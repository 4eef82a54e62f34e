"""What the program says itself is found again, beginning and end, whatever lies between and however it is read."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis import Note, Timeline
from greenscope.trace.analysis import notes as notes_module
from greenscope.trace.events import Exit, Kind, pack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from tests.trace.analysis.batches import batch

NAMES = {0: "", 7: "load", 8: "ValueError"}


def timeline() -> Timeline:
    return Timeline(0, NAMES.__getitem__)


def test_a_program_s_own_words_are_all_there(tmp_path: Path, trace_directory: Path) -> None:
    program = """
import contextlib
from greenscope.runtime import sleep, spawn
from greenscope.trace import mark, request, span
sleep(0)
def work():
    with request("r1", "GET /"), span("outer"):
        with contextlib.suppress(KeyError), span("inner"):
            mark("here")
            raise KeyError
spawn(work).get()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    (path,) = trace_directory.glob("*.gsr")
    with contextlib.closing(RingReader(path)) as reader:
        line = Timeline(reader.info.start_monotonic_ns, reader.string)
        while found := reader.read_batch():
            line.apply(found)
    inner, outer = line.notes.spans.kept
    (asked,) = line.notes.requests.kept
    (said,) = line.notes.marks
    assert (inner.name, inner.how, inner.error) == ("inner", Exit.RAISED, "KeyError")
    assert (outer.name, outer.how, outer.error) == ("outer", Exit.RETURNED, "")
    assert asked.name.split("\n") == ["r1", "GET /"]
    assert len({note.number for note in (inner, outer, asked)} - {0}) == 3
    assert said.name == "here"
    assert asked.start <= outer.start <= inner.start <= said.start <= inner.end <= outer.end <= asked.end
    assert not line.notes.spans.open
    assert {note.greenlet for note in (inner, outer, asked, said)} == {inner.greenlet}
    assert inner.greenlet != line.hub


def test_what_the_watchdog_saw_has_its_stack_and_how_long_it_took() -> None:
    line = timeline()
    line.apply(batch([Event(500, 3, Kind.STALL_BEGIN, arg=100, text="app.py\t3\twork")]))
    assert list(line.notes.stalls) == [Note(3, 100, 0, "app.py\t3\twork")]
    line.apply(batch([Event(900, 3, Kind.STALL_END, arg=750)]))
    assert list(line.notes.stalls) == [Note(3, 100, 850, "app.py\t3\twork")]
    line.apply(batch([Event(950, 3, Kind.STALL_END, arg=1)]))  # its beginning was lost
    assert len(line.notes.stalls) == 1


@given(st.lists(st.integers(0, 7), max_size=80), st.lists(st.integers(0, 80), max_size=4), st.integers(1, 5))
def test_in_pieces_as_at_once(turns: list[int], cuts: list[int], keep: int) -> None:
    events: list[Event] = []
    going_on: list[int] = []
    for at, turn in enumerate(turns):
        if turn < len(going_on):
            events.append(Event(at, 3, Kind.SPAN_END, Exit.RAISED, arg=pack(going_on.pop(turn), 8)))
        elif turn == 7:
            events.append(Event(at, 3, Kind.SPAN_END, arg=pack(1000 + at, 0)))  # its beginning was lost
        else:
            going_on.append(at)
            events.append(Event(at, 3, Kind.SPAN_BEGIN, arg=pack(at, 7), site=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notes_module, "_KEEP", keep)
        at_once, in_pieces = timeline(), timeline()
        at_once.apply(batch(events))
        edges = [0, *sorted(cut for cut in cuts if cut <= len(events)), len(events)]
        for first, last in itertools.pairwise(edges):
            in_pieces.apply(batch(events[first:last]))
    ended = [event for event in events if event.kind == Kind.SPAN_END and event.arg & 0xFFFF < 1000]
    for line in (at_once, in_pieces):
        assert list(line.notes.spans.open) == going_on
        kept = list(line.notes.spans.kept)[-keep:]
        assert kept == [
            Note(3, e.arg & 0xFFFF, e.time_ns, "load", 2, Exit.RAISED, "ValueError", number=e.arg & 0xFFFF)
            for e in ended[-keep:]
        ]


def test_spans_whose_ends_were_lost_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_module, "_KEEP_OPEN", 10)
    line = timeline()
    line.apply(batch([Event(at, 3, Kind.SPAN_BEGIN, arg=pack(at, 7)) for at in range(100)]))
    assert list(line.notes.spans.open) == list(range(90, 100))
