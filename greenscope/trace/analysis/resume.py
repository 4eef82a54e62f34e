"""After events were lost: who still does what it did, and what the greenlet table says of the rest.

The table is read after the events that follow the gap, so it may be ahead of them: what it says is
taken up only of those who were in that state already when the first of those events happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.lane import ALIVE
from greenscope.trace.analysis.lanes import Lanes
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.stalls import FOUND
from greenscope.trace.analysis.states import Life, State
from greenscope.trace.analysis.texts import Texts
from greenscope.trace.events import NO_FD, Exit, Spawn
from greenscope.trace.records import END_OF_TIME, GreenletSlot

__all__ = ["Resumed", "resume"]

_LIVES = {"spawned": Life.SPAWNED, "ready": Life.READY, "running": Life.RUNNING, "waiting": Life.WAITING}
_SPANS = {"ready": State.READY, "running": State.RUNNING, "waiting": State.WAITING}


class Resumed(NamedTuple):
    """How things stand after a gap; the lanes are changed in place."""

    closed: SpanArray
    stalls: npt.NDArray[Any]
    run_time: int
    hub: int
    running: int
    ready: int


def resume(
    lanes: Lanes, texts: Texts, table: Iterable[GreenletSlot], hub: int, last: int, following: int, stall_ns: int
) -> Resumed:
    """Take up the table.

    Args:
        lanes: as they were before the gap.
        texts: where names and peers are kept.
        table: the greenlet table, read after the events that follow; may be empty.
        hub: the hub's number.
        last: when the last event before the gap happened.
        following: when the first one after it did, or ``last``.
        stall_ns: a run this long is a stall.
    """
    slots = {slot.greenlet: slot for slot in table}
    rows, going_on = lanes.rows, lanes.open
    living = np.flatnonzero(rows["exit"] == ALIVE)
    known = [slots.get(greenlet) for greenlet in rows["greenlet"][living].tolist()]
    as_before = rows["goes_on"][living] & np.array(
        [slot is not None and slot.since_ns == start and _LIVES.get(slot.state) == life for slot, start, life in
         zip(known, going_on["start"][living].tolist(), rows["life"][living].tolist(), strict=True)], bool
    )  # fmt: skip
    stopped = living[~as_before]
    closed, stalls, run_time = _end(lanes, stopped[rows["goes_on"][stopped]], hub, last, stall_ns)
    rows["life"][stopped] = Life.UNKNOWN
    if slots:
        # These exited where nobody saw it, or will exit in events to come, which say how.
        gone = living[np.array([slot is None for slot in known], bool)]
        rows["exit"][gone], rows["ended_at"][gone] = Exit.RETURNED, last
    running = 0
    numbers = np.array(sorted(slots), np.uint64)
    new = numbers[~lanes.find(numbers)[1]]
    if len(new):
        lanes.add(new)
    for slot in slots.values():
        row = lanes.row(slot.greenlet)
        _name(lanes, row, slot, texts)
        if slot.spawn_reason == Spawn.HUB:
            hub = slot.greenlet
        elif slot.since_ns <= following:  # else its events are still to come
            _seed(lanes, row, slot, texts)
            if slot.state == "running":
                running = slot.greenlet
    ready = int(np.count_nonzero(lanes.rows["life"] == Life.READY))
    return Resumed(closed, stalls, run_time, hub, running, ready)


def _end(
    lanes: Lanes, ending: npt.NDArray[np.intp], hub: int, last: int, stall_ns: int
) -> tuple[SpanArray, npt.NDArray[Any], int]:
    """End the spans of some rows: those, the stalls among them, and how long greenlets ran in them."""
    rows = lanes.rows
    closed = lanes.open.take(ending)
    closed["end"] = np.maximum(closed["start"], last)
    length = closed["end"] - closed["start"]
    runs = closed["state"] == State.RUNNING
    rows["run_time"][ending[runs]] += length[runs]
    rows["begins"][ending] = np.where(rows["spans"][ending] > 0, rows["begins"][ending], closed["start"])
    rows["ends"][ending] = closed["end"]
    rows["spans"][ending] += 1
    rows["goes_on"][ending] = False
    runs &= closed["greenlet"] != hub
    long = np.flatnonzero(runs & (length >= stall_ns))
    closed["state"][long] = State.STALLED
    stalls = np.zeros(len(long), FOUND)
    for field in ("greenlet", "start", "end"):
        stalls[field] = closed[field][long]
    stalls["before"] = closed["site"][long]
    stalls["name"], stalls["numbered"] = rows["name"][ending[long]], rows["numbered"][ending[long]]
    return closed, stalls, int(length[runs].sum())


def _name(lanes: Lanes, row: int, slot: GreenletSlot, texts: Texts) -> None:
    rows = lanes.rows
    rows["exit"][row] = ALIVE
    rows["name"][row], rows["numbered"][row] = texts.number(slot.name), slot.numbered
    rows["parent"][row] = slot.parent
    rows["spawn_reason"][row], rows["spawn_site"][row] = slot.spawn_reason, slot.spawn_site


def _seed(lanes: Lanes, row: int, slot: GreenletSlot, texts: Texts) -> None:
    rows = lanes.rows
    rows["life"][row] = _LIVES.get(slot.state, Life.UNKNOWN)
    rows["site"][row] = slot.site
    for field, known in (("switches", slot.switches), ("run_time", slot.run_ns)):
        rows[field][row] = max(int(rows[field][row]), min(known, END_OF_TIME - 1))
    state = _SPANS.get(slot.state)
    if state is None or rows["goes_on"][row]:
        return
    span = np.zeros(1, lanes.open.dtype)[0]
    span["greenlet"], span["state"], span["fd"] = slot.greenlet, state, NO_FD
    span["start"] = max(slot.since_ns, int(rows["ends"][row]))
    if state is not State.READY:
        span["site"] = slot.site
    if state is not State.RUNNING:
        span["reason"] = slot.reason
    if state is State.WAITING:
        span["about"], span["deadline"], span["peer"] = slot.resource, slot.deadline_ns, texts.number(slot.peer)
        span["fd"] = NO_FD if slot.fd is None else slot.fd
    lanes.open[row] = span
    rows["goes_on"][row] = True
