"""Lesson 1: a greenlet that sleeps has left; it is the hub that waits."""

from __future__ import annotations

from greenscope.learn.finding import blocks, count, first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.telling import at, between, ms, who
from greenscope.trace.events import Kind, Wait, Watch

__all__ = ["SLEEP"]

begins = first(Kind.GREENLET_SWITCH, of="main")
armed = begins.then(Kind.WATCHER_START, of="main", reason=Watch.TIMER)
parked = armed.then(Kind.GREENLET_PARK, of="main", reason=Wait.TIMER)
blocked = parked.then(Kind.POLL_BEGIN, where=blocks)
fired = blocked.then(Kind.WATCHER_FIRE, of="main")
ready = fired.then(Kind.GREENLET_READY, of="main")
runs = ready.then(Kind.GREENLET_SWITCH, of="main")
over = runs.then(Kind.WATCHER_STOP, of="main")
job = armed.then(Kind.JOB_PUT, before=fired)

SLEEP = Lesson(
    "sleep",
    passages=(
        passage("begins", begins),
        passage("armed", armed, at=at(armed), ms=ms(armed)),
        passage("parked", parked, at=at(parked)),
        passage("blocks", blocked),
        passage("fired", fired, waited=between(blocked, fired), who=who(fired)),
        passage("ready", ready),
        passage("runs", runs, at=at(runs)),
        passage("remember", over),
    ),
    questions=(
        Number("blocked", count(Kind.POLL_BEGIN, where=blocks), seen=blocked),
        Choice(
            "where",
            (
                Option("inside", lambda run: parked(run) is None),
                Option("hub", lambda run: blocked(run) is not None),
                Option("thread", lambda run: job(run) is not None),
            ),
            seen=blocked,
        ),
        Where("ready", ready, {"gap": between(ready, runs)}),
    ),
    shows="blocks",
)
