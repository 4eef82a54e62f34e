"""Lesson 6: to close wakes who waits, by EBADF."""

from __future__ import annotations

from greenscope.learn.finding import first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Number, Where, Whose
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, fd, waker, who
from greenscope.trace.events import Kind, Ready, Wait, unpack

__all__ = ["CLOSE"]

parked = first(Kind.GREENLET_PARK, of="reader", reason=Wait.READ)
ready = parked.then(Kind.GREENLET_READY, of="reader", reason=Ready.CLOSE)
closed = ready.then(Kind.WATCHER_CLOSE)
goes_on = closed.then(Kind.GREENLET_EXIT, of=closed)
thrown = goes_on.then(Kind.GREENLET_THROW, of="reader")
failed = thrown.then(Kind.OP_END, of="reader")
over = failed.then(Kind.GREENLET_EXIT, of="reader")


def _fd(run: Run) -> int | None:
    step = closed(run)
    return None if step is None else unpack(run.event(step).arg)[1]


def _closer(run: Run) -> int | None:
    step = ready(run)
    return None if step is None else run.event(step).arg


CLOSE = Lesson(
    "close",
    passages=(
        passage("parked", parked, at=at(parked), fd=fd(parked)),
        passage("ready", ready, by=waker(ready), at=at(closed)),
        passage("closed", closed, fd=fd(closed)),
        passage("goes_on", goes_on, who=who(goes_on)),
        passage("thrown", thrown, at=at(thrown), gap=between(ready, thrown)),
        passage("failed", failed),
        passage("remember", over),
    ),
    questions=(
        Number("fd", _fd, seen=closed),
        Whose("who", _closer, seen=ready, places={"who": waker(ready)}),
        Where("throw", ready.then(Kind.GREENLET_THROW, of="reader")),
    ),
    shows="ready",
)
