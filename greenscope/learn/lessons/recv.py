"""Lesson 2: a green recv asks first, then arms a watcher and leaves, and asks again when it is back."""

from __future__ import annotations

from greenscope.learn.finding import blocks, count, first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, bytes_of, fd, who
from greenscope.trace.events import Kind, Ready, Wait, Watch

__all__ = ["RECV"]

asked = first(Kind.OP_BEGIN, of="reader")
armed = asked.then(Kind.WATCHER_START, of="reader", reason=Watch.READ)
parked = armed.then(Kind.GREENLET_PARK, of="reader", reason=Wait.READ)
others = parked.then(Kind.GREENLET_SWITCH, of="writer")
blocked = others.then(Kind.POLL_BEGIN, where=blocks)
sent = blocked.then(Kind.OP_END, of="writer")
fired = sent.then(Kind.WATCHER_FIRE, of="reader")
ready = parked.then(Kind.GREENLET_READY, of="reader")
runs = ready.then(Kind.GREENLET_SWITCH, of="reader")
got = runs.then(Kind.OP_END, of="reader")
again = got.then(Kind.OP_END, of="reader")
ended = again.then(Kind.GREENLET_EXIT, of="reader")


def _woken(run: Run, reason: Ready) -> bool:
    step = ready(run)
    return step is not None and run.event(step).reason == reason


RECV = Lesson(
    "recv",
    passages=(
        passage("asked", asked, at=at(asked)),
        passage("armed", armed, fd=fd(armed)),
        passage("parked", parked, at=at(parked)),
        passage("others", others),
        passage("blocks", blocked, fd=fd(parked)),
        passage("sent", sent, bytes=bytes_of(sent)),
        passage("fired", fired, fd=fd(fired), who=who(fired)),
        passage("runs", runs, waited=between(parked, runs), at=at(runs)),
        passage("got", got, bytes=bytes_of(got)),
        passage("again", again, bytes=bytes_of(again)),
        passage("remember", ended),
    ),
    questions=(
        Number("waits", count(Kind.GREENLET_PARK, of="reader", reason=Wait.READ), seen=parked),
        Choice(
            "woke",
            (
                Option("writer", lambda run: _woken(run, Ready.GREENLET)),
                Option("hub", lambda run: _woken(run, Ready.WATCHER), {"fd": fd(parked)}),
                Option("self", lambda run: _woken(run, Ready.YIELD)),
            ),
            seen=ready,
        ),
        Where("back", runs),
    ),
    shows="parked",
)
