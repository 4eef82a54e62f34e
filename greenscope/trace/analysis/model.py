"""All that a diagnosis looks at: what the events came to, and the greenlet table at one moment.

A model is fed with batches, as they come, and is then asked as often as one likes: ``look`` says which
moment it is and what the table was. It has no clock and reads no file, so a living ring, what a killed
process left and a snapshot give the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from greenscope.trace.analysis.callbacks import Callbacks
from greenscope.trace.analysis.finding import Who
from greenscope.trace.analysis.jobs import Jobs
from greenscope.trace.analysis.loop_exits import LoopExits
from greenscope.trace.analysis.rates import Rates
from greenscope.trace.analysis.stalls import Stall
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.thresholds import Thresholds
from greenscope.trace.analysis.timeline import Folded, Timeline
from greenscope.trace.analysis.wakers import Wakers
from greenscope.trace.events import Spawn
from greenscope.trace.records import Batch, GreenletSlot, Site

__all__ = ["Model", "Numbers", "Waited", "is_of_program", "line_of_program"]

HUB = 1
_EVENT_LOOP = "event loop"  # what the debug middleware calls the hub of an asyncio thread's ring


class Numbers(Protocol):
    """What the numbers in events stand for; a ``RingReader`` knows."""

    def string(self, number: int) -> str:
        """An interned text."""

    def site(self, number: int) -> Site | None:
        """A call site."""

    def stack(self, number: int) -> list[Site]:
        """A call site and its callers, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Waited:
    """How long a greenlet was ready, and not running."""

    greenlet: int
    ns: int


class Model:
    """What one ring says.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
        numbers: what the numbers in events stand for.
        thresholds: from when on something is called wrong.
        keep_spans: as of ``Timeline``.
    """

    def __init__(
        self, start: int, numbers: Numbers, thresholds: Thresholds | None = None, keep_spans: int = 1_000_000
    ) -> None:
        self.thresholds = thresholds if thresholds is not None else Thresholds()
        self.numbers = numbers
        self.timeline = Timeline(start, numbers.string, self.thresholds.stall_ns, keep_spans)
        self.rates = Rates(start, self.thresholds)
        self.wakers = Wakers()
        self.callbacks = Callbacks()
        self.loop_exits = LoopExits()
        self.jobs = Jobs(numbers.string, self.thresholds)
        self.followers: list[Callable[[Folded | None, int], None]] = []
        """Each is told what came of a batch, and how many records were lost before it: for what not all need."""
        self.complete = True
        """Whether every living greenlet had room in the table."""
        self.watched_ns = 0
        """The threshold of the process's watchdog, which sees the stacks of stalls; 0 if it has none."""
        self.now = start
        """The moment that is looked at; of a process that is dead, its last."""
        self.state = "live"
        """As of ``RingReader.state``."""
        self.slots: Sequence[GreenletSlot] = ()
        """The living greenlets at that moment."""
        self._slot: dict[int, GreenletSlot] = {}

    def apply(self, batch: Batch, table: Iterable[GreenletSlot] = ()) -> None:
        """Take up what a reader gave; arguments as of ``Timeline.apply``."""
        folded = self.timeline.apply(batch, table)
        self.rates.add(folded, batch.lost)
        self.wakers.add(folded, batch.lost)
        self.callbacks.add(folded, self.hub, batch.lost)
        self.loop_exits.add(folded)
        self.jobs.add(folded, batch.lost)
        for follower in self.followers:
            follower(folded, batch.lost)

    def look(self, slots: Iterable[GreenletSlot], now: int, state: str) -> None:
        """Say what the greenlet table was, when, and whether the process lived."""
        self.slots = [slot for slot in slots if slot.state != "free"]
        self._slot = {slot.greenlet: slot for slot in self.slots}
        self.now = max(now, self.timeline.last)
        self.state = state

    @property
    def hub(self) -> int:
        """The hub's number."""
        return self.timeline.hub or HUB

    @property
    def of_asyncio(self) -> bool:
        """Whether the hub is asyncio's event loop: then nothing is green, and what waits has to be awaited."""
        return self.who(self.hub).name == _EVENT_LOOP

    def who(self, greenlet: int) -> Who:
        """A greenlet by its number, with the name it has, or had."""
        slot = self._slot.get(greenlet)
        if slot is not None:
            return Who(greenlet, f"{slot.name} #{greenlet}" if slot.numbered else slot.name)
        lane = self.timeline.lanes.get(greenlet)
        if lane is not None and lane.name:
            return Who(greenlet, lane.label)
        return Who(greenlet, f"greenlet #{greenlet}")

    def slot(self, greenlet: int) -> GreenletSlot | None:
        """A living greenlet's row of the table."""
        return self._slot.get(greenlet)

    def waiting(self) -> Iterable[GreenletSlot]:
        """The greenlets that wait, but for the hub."""
        return (slot for slot in self.slots if slot.state == "waiting" and slot.spawn_reason != Spawn.HUB)

    def site(self, number: int) -> Site | None:
        """A call site."""
        return self.numbers.site(number)

    def ready_during(self, start: int, end: int) -> list[Waited]:
        """Who could have run within a time, and did not, for how much of it; the longest first.

        That is who was ready, and whose deadline was over, which a hub that does not poll has not seen. What
        came in for the others meanwhile is not known.
        """
        lanes = self.timeline.lanes
        ended = self.timeline.spans(lanes.ids, start, end)
        going_on = lanes.open.take(np.flatnonzero(lanes.rows["goes_on"]))
        going_on["end"] = end
        spans = np.concatenate((ended, going_on[going_on["start"] < end]))
        spans = spans[spans["greenlet"] != self.hub]
        ready, waiting = spans["state"] == State.READY, spans["state"] == State.WAITING
        due = spans["deadline"].astype(np.int64)
        overdue = waiting & (due > spans["start"]) & (due < end) & (spans["end"] >= end)
        begin = np.maximum(np.where(overdue, due, spans["start"]), start)
        inside = np.where(ready | overdue, np.minimum(spans["end"], end) - begin, 0)
        some = np.flatnonzero(inside > 0)
        waited: dict[int, int] = {}
        for greenlet, ns in zip(spans["greenlet"][some].tolist(), inside[some].tolist(), strict=True):
            waited[greenlet] = waited.get(greenlet, 0) + ns
        return sorted((Waited(*each) for each in waited.items()), key=lambda each: -each.ns)

    def was_start(self, run: Stall) -> bool:
        """Whether a program started, imported what it needs and loaded its application, and nobody waited for that.

        It is the main greenlet's first run, which went on from no line. While it goes on, it may be why nothing starts.
        """
        if not run.end or run.before:
            return False
        lane = self.timeline.lanes.get(run.greenlet)
        if lane is None or not lane.spawned_at or lane.spawn_reason != Spawn.MAIN:
            return False
        return all(one.ns < self.thresholds.stall_ns for one in self.ready_during(run.start, run.end))


def is_of_program(site: Site) -> bool:
    """Whether a line is the program's own, and not a library's, greenscope's or the interpreter's."""
    file = site.file
    return not (
        "/lib/python3" in file
        or "/site-packages/" in file
        or "/dist-packages/" in file
        or "/greenscope/runtime/" in file
        or "/greenscope/integrations/" in file
        or "/greenscope/web/middleware/" in file
        or "/greenscope/trace/" in file
        or file.startswith("<")
    )


def line_of_program(frames: Iterable[Site]) -> Site | None:
    """The innermost frame that is the program's own; the innermost of all if none is."""
    innermost = None
    for frame in frames:
        if is_of_program(frame):
            return frame
        innermost = innermost or frame
    return innermost
