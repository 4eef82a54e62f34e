"""Lesson 5: a timeout is a timer, and a throw into the one who waits."""

from __future__ import annotations

from greenscope.learn.finding import Step, count, first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, bytes_of, fd, left, ms, said, who
from greenscope.trace.events import Kind, Ready, Wait

__all__ = ["TIMEOUT"]

joins = first(Kind.GREENLET_PARK, of="main", reason=Wait.JOIN)
started = first(Kind.TIMEOUT_START, of="client")
parked = started.then(Kind.GREENLET_PARK, of="client", reason=Wait.READ)
over = parked.then(Kind.TIMEOUT_FIRE, of="client")
ready = over.then(Kind.GREENLET_READY, of="client", reason=Ready.TIMEOUT)
thrown = ready.then(Kind.GREENLET_THROW, of="client")
second = thrown.then(Kind.TIMEOUT_START, of="client")
got = second.then(Kind.OP_END, of="client")
cancelled = got.then(Kind.TIMEOUT_CANCEL, of="client")
ended = cancelled.then(Kind.GREENLET_EXIT, of="client")


def _raised_at(key: str, step: Step) -> Option:
    """The answer that it was raised at the line of this step."""

    def holds(run: Run) -> bool:
        where, here = thrown(run), step(run)
        return where is not None and here is not None and run.site(where) == run.site(here)

    return Option(key, holds, {"at": at(step)})


TIMEOUT = Lesson(
    "timeout",
    passages=(
        passage("started", started, at=at(started), ms=ms(started), who=who(started)),
        passage("parked", parked, fd=fd(parked), ms=ms(started)),
        passage("over", over, ms=ms(started)),
        passage("ready", ready),
        passage("thrown", thrown, at=at(thrown)),
        passage("second", second, ms=ms(second)),
        passage("got", got, bytes=bytes_of(got)),
        passage("cancelled", cancelled, at=at(cancelled), left=left(second, cancelled)),
        passage("remember", ended),
    ),
    questions=(
        Number(
            "raised",
            count(Kind.TIMEOUT_FIRE),
            seen=over,
            places={"all": said(count(Kind.TIMEOUT_START))},
        ),
        Choice(
            "line",
            (_raised_at("start", started), _raised_at("wait", parked), _raised_at("main", joins)),
            seen=thrown,
        ),
        Where("throw", thrown, {"gap": between(over, thrown)}),
    ),
    shows="thrown",
)
