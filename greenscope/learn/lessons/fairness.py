"""Lesson 9: those who wait are served in turn; who need not wait goes on."""

from __future__ import annotations

from greenscope.learn.finding import count, first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Number, Where, Whose, whom
from greenscope.learn.telling import at, said, waker, who
from greenscope.trace.events import Kind, Resource, Wait

__all__ = ["FAIRNESS"]

waits = first(Kind.GREENLET_PARK, of="worker", reason=Wait.EVENT)
opened = waits.then(Kind.GREENLET_READY, of="worker", by="main")
is_set = opened.then(Kind.RESOURCE_RELEASE, of="main", reason=Resource.EVENT)
parks = is_set.then(Kind.GREENLET_PARK, of="main")
begins = parks.then(Kind.GREENLET_SWITCH, of="worker")
queues = begins.then(Kind.GREENLET_PARK, of=begins, reason=Wait.QUEUE)
given = queues.then(Kind.GREENLET_READY, of="worker", by="main")
put = given.then(Kind.RESOURCE_RELEASE, of="main", reason=Resource.QUEUE)
second = put.then(Kind.GREENLET_READY, of="worker", by="main")
kept = put.then(Kind.RESOURCE_RELEASE, of="main", reason=Resource.QUEUE, where=lambda event: event.arg >> 32 > 0)
runs = kept.then(Kind.GREENLET_SWITCH, of="worker")
took = runs.then(Kind.RESOURCE_ACQUIRE, of=runs, reason=Resource.QUEUE)
more = took.then(Kind.RESOURCE_ACQUIRE, of=runs, reason=Resource.QUEUE)
ends = more.then(Kind.GREENLET_EXIT, of=runs)
next_turn = put.then(Kind.GREENLET_PARK, Kind.GREENLET_EXIT)
woken = count(Kind.GREENLET_READY, of="worker", by="main", after=waits, before=is_set)

FAIRNESS = Lesson(
    "fairness",
    passages=(
        passage("waits", waits, who=who(waits)),
        passage("opened", opened, by=waker(opened), at=at(opened), who=who(opened)),
        passage("set", is_set, count=said(woken), who=who(is_set)),
        passage("begins", begins, who=who(begins)),
        passage("queues", queues),
        passage("given", given, by=waker(given), who=who(given)),
        passage("put", put),
        passage("kept", kept),
        passage("runs", runs, who=who(runs)),
        passage("more", more),
        passage("remember", ends),
    ),
    questions=(
        Number("woken", woken, seen=is_set),
        Whose("next", whom(next_turn), seen=put, places={"woken": who(given), "who": who(next_turn)}),
        Where("second", second, {"who": who(second)}),
    ),
    shows="set",
)
