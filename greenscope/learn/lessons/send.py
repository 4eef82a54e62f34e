"""Lesson 4: send gives to the kernel, and waits for room there."""

from __future__ import annotations

from greenscope.learn.finding import first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, bytes_of, fd, who
from greenscope.trace.events import Kind, Op, Wait, Watch

__all__ = ["SEND"]

asked = first(Kind.OP_BEGIN, of="sender", reason=Op.SEND)
took = asked.then(Kind.OP_END, of="sender")
full = took.then(Kind.WATCHER_START, of="sender", reason=Watch.WRITE)
parked = full.then(Kind.GREENLET_PARK, of="sender", reason=Wait.WRITE)
reads = first(Kind.OP_END, of="receiver", after=parked)
fired = reads.then(Kind.WATCHER_FIRE, of="sender")
runs = fired.then(Kind.GREENLET_SWITCH, of="sender")
rest = runs.then(Kind.OP_END, of="sender")
over = rest.then(Kind.GREENLET_EXIT, of="receiver")


def _sent(run: Run) -> int | None:
    step = took(run)
    return None if step is None else run.event(step).arg


def _read(run: Run) -> int:
    """How much of it had been read by then."""
    ends = run.steps(Kind.OP_END, past=took(run))
    return sum(run.event(step).arg for step in ends if run.is_called(run.event(step).greenlet, "receiver"))


SEND = Lesson(
    "send",
    passages=(
        passage("asked", asked, at=at(asked)),
        passage("took", took, bytes=bytes_of(took)),
        passage("full", full, fd=fd(full)),
        passage("parked", parked, at=at(parked)),
        passage("reads", reads, bytes=bytes_of(reads)),
        passage("fired", fired, fd=fd(fired), waited=between(parked, fired), who=who(fired)),
        passage("rest", rest, bytes=bytes_of(rest)),
        passage("remember", over),
    ),
    questions=(
        Number("bytes", _sent, seen=took),
        Choice(
            "read",
            (
                Option("none", lambda run: _read(run) == 0),
                Option("part", lambda run: _read(run) < (_sent(run) or 0)),
                Option("all", lambda run: _sent(run) is not None),
            ),
            seen=took,
        ),
        Where("park", parked, {"waited": between(parked, runs)}),
    ),
    shows="parked",
)
