"""Lesson 7: who computes keeps the hub, and with it everybody."""

from __future__ import annotations

from greenscope.learn.finding import count, first, last
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, due, late, ms, ran, who
from greenscope.trace.events import Kind, Watch

__all__ = ["HOG"]

_MS = 1_000_000

asleep = first(Kind.GREENLET_PARK, of="hog")
runs = asleep.then(Kind.GREENLET_SWITCH, of="hog")
first_armed = first(Kind.WATCHER_START, of="ticker", reason=Watch.TIMER)
punctual = first_armed.then(Kind.WATCHER_FIRE, of="ticker")
armed = last(Kind.WATCHER_START, of="ticker", after=punctual, before=runs)
seen = runs.then(Kind.STALL_BEGIN)
back = runs.then(Kind.GREENLET_PARK, Kind.GREENLET_EXIT, of="hog")
ends = runs.then(Kind.GREENLET_EXIT, of="hog")
fired = armed.then(Kind.WATCHER_FIRE, of="ticker")
over = fired.then(Kind.GREENLET_SWITCH, of="ticker")


def _late(run: Run, less: int) -> bool:
    started, then = armed(run), fired(run)
    return started is not None and then is not None and run.event(then).time_ns - due(run.event(started)) < less * _MS


HOG = Lesson(
    "hog",
    passages=(
        passage("punctual", punctual, ms=ms(first_armed), late=late(first_armed, punctual)),
        passage("armed", armed, ms=ms(armed)),
        passage("runs", runs, at=at(runs)),
        passage("seen", seen, who=who(seen), ran=ran(seen)),
        passage("ends", ends, ran=between(runs, ends)),
        passage("fired", fired, late=late(armed, fired)),
        passage("remember", over),
    ),
    questions=(
        Number("ticks", count(Kind.GREENLET_SWITCH, of="ticker", after=runs, before=ends), seen=runs),
        Choice(
            "late",
            (
                Option("little", lambda run: _late(run, 20)),
                Option("more", lambda run: _late(run, 100)),
                Option("much", lambda run: fired(run) is not None),
            ),
            seen=fired,
            places={"late": late(armed, fired)},
        ),
        Where("back", back, {"ran": between(runs, back)}),
    ),
    shows="seen",
)
