"""Lesson 10: another thread blocks, and sends word; the hub goes on meanwhile."""

from __future__ import annotations

from greenscope.learn.finding import blocks, count, first
from greenscope.learn.lesson import Lesson, passage
from greenscope.learn.questions import Choice, Number, Option, Where
from greenscope.learn.run import Run
from greenscope.learn.telling import at, between, said, who
from greenscope.trace.events import Kind, Wait

__all__ = ["THREADPOOL"]

put = first(Kind.JOB_PUT, of="slow")
parked = put.then(Kind.GREENLET_PARK, of="slow", reason=Wait.THREAD)
blocked = parked.then(Kind.POLL_BEGIN, where=blocks)
ticks = blocked.then(Kind.GREENLET_SWITCH, of="ticker")
done = put.then(Kind.JOB_END)
ready = done.then(Kind.GREENLET_READY, of="slow")
runs = ready.then(Kind.GREENLET_SWITCH, of="slow")
over = runs.then(Kind.GREENLET_EXIT, of="slow")
meanwhile = count(Kind.GREENLET_SWITCH, of="ticker", after=put, before=done)


def _woken_by(run: Run) -> str:
    step = ready(run)
    return "" if step is None else run.label(run.event(step).arg)


THREADPOOL = Lesson(
    "threadpool",
    passages=(
        passage("put", put, at=at(put)),
        passage("parked", parked, who=who(parked)),
        passage("blocks", blocked),
        passage("ticks", ticks, who=who(ticks), count=said(meanwhile)),
        passage("done", done),
        passage("ready", ready, who=who(ready), waited=between(put, ready)),
        passage("runs", runs, who=who(runs), at=at(runs)),
        passage("remember", over),
    ),
    questions=(
        Number("ticks", meanwhile, seen=done),
        Choice(
            "who",
            (
                Option("thread", lambda run: _woken_by(run) == "slow"),
                Option("hub", lambda run: _woken_by(run) == "hub"),
                Option("other", lambda run: _woken_by(run).startswith("ticker")),
            ),
            seen=ready,
        ),
        Where("heard", done, {"waited": between(put, done)}),
    ),
    shows="ticks",
)
