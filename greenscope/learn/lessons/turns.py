"""Lesson 3: nobody is interrupted, and the ready queue says who is next."""

from __future__ import annotations

from greenscope.learn.finding import count, first, last
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Number, Where, Whose, whom
from greenscope.learn.telling import at, between, waker, who
from greenscope.trace.events import Kind, Ready, Wait

__all__ = ["TURNS"]

spawned = first(Kind.GREENLET_READY, of="ping", reason=Ready.SPAWN)
parks = spawned.then(Kind.GREENLET_PARK, of="main")
begins = parks.then(Kind.GREENLET_SWITCH)
was_ready = last(Kind.GREENLET_READY, of=begins, before=begins)
yields = begins.then(Kind.GREENLET_PARK, of=begins, reason=Wait.YIELD)
behind = yields.then(Kind.GREENLET_READY, of=begins, reason=Ready.YIELD)
other = behind.then(Kind.GREENLET_SWITCH)
again = other.then(Kind.GREENLET_SWITCH, of=begins)
ends = again.then(Kind.GREENLET_EXIT)
woken = ends.then(Kind.GREENLET_READY, of="main")
over = woken.then(Kind.GREENLET_SWITCH, of="main")
pong_spawned = first(Kind.GREENLET_SPAWN, of="pong")
pong_begins = pong_spawned.then(Kind.GREENLET_SWITCH, of="pong")

TURNS = Lesson(
    "turns",
    passages=(
        passage("spawned", spawned),
        passage("parks", parks, at=at(parks)),
        passage("begins", begins, who=who(begins), waited=between(was_ready, begins)),
        passage("yields", yields, at=at(yields)),
        passage("behind", behind),
        passage("other", other, who=who(other)),
        passage("again", again, other=who(other), who=who(again), at=at(again)),
        passage("ends", ends),
        passage("woken", woken, by=waker(woken)),
        passage("remember", over),
    ),
    questions=(
        Number("count", count(Kind.GREENLET_SWITCH, of="ping"), seen=begins),
        Whose("first", whom(begins), seen=begins, places={"who": who(begins)}),
        Where("begin", pong_begins, {"waited": between(pong_spawned, pong_begins)}),
    ),
    shows="behind",
)
