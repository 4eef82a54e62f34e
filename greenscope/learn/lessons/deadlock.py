"""Lesson 8: two locks in two orders, and a hub that finds nothing left to wait for."""

from __future__ import annotations

from greenscope.learn.finding import first, last
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Number, Where, Whose
from greenscope.learn.run import Run
from greenscope.learn.telling import at, awaited, between, said, thing, who
from greenscope.trace.events import Kind, Wait

__all__ = ["DEADLOCK"]

takes = first(Kind.RESOURCE_ACQUIRE, of="anna")
other = takes.then(Kind.RESOURCE_ACQUIRE, of="ben")
wants = other.then(Kind.GREENLET_PARK, reason=Wait.LOCK)
over = first(Kind.LOOP_EXIT, after=wants)
circle = last(Kind.GREENLET_PARK, reason=Wait.LOCK, after=wants, before=over)
thrown = over.then(Kind.GREENLET_THROW, of="main")


def _waiting(run: Run) -> int | None:
    step = over(run)
    return None if step is None else run.event(step).aux


def _holder(run: Run) -> int | None:
    step = circle(run)
    return None if step is None else run.event(step).aux


DEADLOCK = Lesson(
    "deadlock",
    passages=(
        passage("first", takes, lock=thing(takes)),
        passage("second", other, lock=thing(other)),
        passage("wants", wants, who=who(wants), at=at(wants), lock=thing(wants), holder=awaited(wants)),
        passage("circle", circle, who=who(circle), at=at(circle), lock=thing(circle), holder=awaited(circle)),
        passage("over", over, count=said(_waiting)),
        passage("thrown", thrown, at=at(thrown)),
        passage("remember", thrown),
    ),
    questions=(
        Number("count", _waiting, seen=over),
        Whose("holder", _holder, seen=circle, places={"holder": awaited(circle)}),
        Where("closes", circle, {"waited": between(circle, over)}),
    ),
    shows="circle",
    fails=True,
)
