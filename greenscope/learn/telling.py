"""What goes into the places of a lesson's words: who, which line, which descriptor, how long, as this run has it.

Each is a function of a run, made from the steps it is read off. What the run does not say has words of its own, too:
where a sentence has no step, because it did not happen, and where a step has no line.
"""

from __future__ import annotations

from collections.abc import Callable

from greenscope.learn.finding import Step
from greenscope.learn.run import Run
from greenscope.trace.analysis.narrate.phrases import Part, Say, milliseconds
from greenscope.trace.analysis.words import duration
from greenscope.trace.events import NO_FD, Kind, unpack
from greenscope.trace.records import Event

__all__ = [
    "Value", "at", "awaited", "between", "bytes_of", "fd", "late", "left", "ms", "ran", "said", "thing", "waker", "who",
]  # fmt: skip

Value = Callable[[Run], Part]
_UNKNOWN, _NO_LINE = Say("unknown"), Say("unknown.line")


def _of(step: Step, tell: Callable[[Run, Event], str | None]) -> Value:
    def value(run: Run) -> Part:
        found = step(run)
        told = tell(run, run.event(found)) if found is not None else None
        return _UNKNOWN if told is None else told

    return value


def who(step: Step) -> Value:
    """Whom a step is about: "reader #3"."""
    return _of(step, lambda run, event: run.label(event.greenlet))


def waker(step: Step) -> Value:
    """Of a ``greenlet_ready``: who woke it."""
    return _of(step, lambda run, event: run.label(event.arg))


def awaited(step: Step) -> Value:
    """Of a park for a lock or an end: who has that in its hand."""
    return _of(step, lambda run, event: run.label(event.aux))


def at(step: Step) -> Value:
    """A step's line: "recv.py:11"."""

    def value(run: Run) -> Part:
        found = step(run)
        site = run.site(found) if found is not None else None
        return _NO_LINE if site is None else f"{site.file.rsplit('/', 1)[-1]}:{site.line}"

    return value


def fd(step: Step) -> Value:
    """The descriptor of a watcher's step, or of a park for one."""
    return _of(step, lambda _, event: _descriptor(event))


def _descriptor(event: Event) -> str | None:
    if event.kind == Kind.GREENLET_PARK:
        return str(event.aux - 1) if event.aux else None
    number = unpack(event.arg)[1]
    return str(number) if number != NO_FD else None


def thing(step: Step) -> Value:
    """The number of its lock, queue or event."""
    return _of(step, lambda _, event: str(unpack(event.arg)[0]))


def ms(step: Step) -> Value:
    """For how long a timer or a timeout was started: "200 ms"."""
    return _of(step, lambda _, event: milliseconds(unpack(event.arg)[1]))


def bytes_of(step: Step) -> Value:
    """How many bytes a call of a socket came to."""
    return _of(step, lambda _, event: str(event.arg))


def ran(step: Step) -> Value:
    """Of a stall that was seen: how long it had lasted by then."""
    return _of(step, lambda _, event: duration(max(0, event.time_ns - event.arg)))


def said(count: Callable[[Run], int | None]) -> Value:
    """A number."""

    def value(run: Run) -> Part:
        number = count(run)
        return _UNKNOWN if number is None else str(number)

    return value


def between(begin: Step, end: Step) -> Value:
    """The time from one step to another: "101 ms"."""
    return _time(begin, end, lambda first, then: then.time_ns - first.time_ns)


def late(started: Step, fired: Step) -> Value:
    """How long after its time a timer fired."""
    return _time(started, fired, lambda first, then: then.time_ns - due(first))


def left(started: Step, cancelled: Step) -> Value:
    """How long before its time a timeout was cancelled."""
    return _time(started, cancelled, lambda first, then: due(first) - then.time_ns)


def due(started: Event) -> int:
    """When a timer or a timeout is over."""
    return started.time_ns + unpack(started.arg)[1] * 1_000_000


def _time(begin: Step, end: Step, ns: Callable[[Event, Event], int]) -> Value:
    def value(run: Run) -> Part:
        first, then = begin(run), end(run)
        if first is None or then is None:
            return _UNKNOWN
        return duration(max(0, ns(run.event(first), run.event(then))))

    return value
