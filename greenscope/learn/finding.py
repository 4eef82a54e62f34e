"""The little language in which lessons say which step they mean, and how many there are of a kind.

    asked = first(Kind.OP_BEGIN, of="reader")
    parked = asked.then(Kind.GREENLET_PARK, of="reader", reason=Wait.READ)
    waits = count(Kind.GREENLET_PARK, of="reader", reason=Wait.READ)

Nothing here is a step's number: a step is found in the run at hand, or is not there, and then nothing that hangs on
it is either. A greenlet is meant by its name, or by another step that is about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypedDict, Unpack

from greenscope.learn.run import Run
from greenscope.trace.events import Kind, unpack
from greenscope.trace.records import Event

__all__ = ["Step", "What", "blocks", "count", "first", "last"]


class Step:
    """A step, however it is found.

    Args:
        find: gives its number in a run; None if it is not there.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[Run], int | None]) -> None:
        self._find = find

    def __call__(self, run: Run) -> int | None:
        """Its number in a run."""
        found: int | None = run.kept(self, lambda: self._find(run))
        return found

    def then(self, *kinds: Kind, **what: Unpack[What]) -> Step:
        """The first of these kinds after it."""
        after: What = {**what, "after": self}
        return first(*kinds, **after)


class What(TypedDict, total=False):
    """Which steps of a kind are meant; what is left out does not matter."""

    of: str | Step
    """Whom it is about: a name, or whom that step is about."""
    by: str | Step
    """Of a ``greenlet_ready``: who woke it."""
    reason: int
    on: Step
    """It is about the same watcher, lock or queue as that step."""
    where: Callable[[Event], bool]
    after: Step
    before: Step


def first(*kinds: Kind, **what: Unpack[What]) -> Step:
    """The first step of these kinds."""
    return Step(lambda run: next(_steps(run, kinds, what), None))


def last(*kinds: Kind, **what: Unpack[What]) -> Step:
    """The last one."""
    return Step(lambda run: max(_steps(run, kinds, what), default=None))


def count(*kinds: Kind, **what: Unpack[What]) -> Callable[[Run], int | None]:
    """How many there are; None if a step that they hang on is not there."""

    def number(run: Run) -> int | None:
        if any(what[end](run) is None for end in ("after", "before") if end in what):
            return None
        return sum(1 for _ in _steps(run, kinds, what))

    return number


def blocks(event: Event) -> bool:
    """Of a ``poll_begin``: whether the hub is ready to wait in the kernel."""
    return bool(event.aux)


def _steps(run: Run, kinds: tuple[Kind, ...], what: What) -> Iterator[int]:
    begin, past = -1, len(run)
    if "after" in what:
        after = what["after"](run)
        if after is None:
            return
        begin = after
    if "before" in what:
        before = what["before"](run)
        if before is None:
            return
        past = before
    for step in run.steps(*kinds, first=begin + 1, past=past, reason=what.get("reason")):
        if _fits(run, run.event(step), what):
            yield step


def _fits(run: Run, event: Event, what: What) -> bool:
    return (
        ("of" not in what or _is(run, event.greenlet, what["of"]))
        and ("by" not in what or _is(run, event.arg, what["by"]))
        and ("on" not in what or _thing(event) == _thing_of(run, what["on"]))
        and ("where" not in what or what["where"](event))
    )


def _is(run: Run, number: int, whom: str | Step) -> bool:
    if isinstance(whom, str):
        return run.is_called(number, whom)
    step = whom(run)
    return step is not None and run.event(step).greenlet == number


def _thing(event: Event) -> int:
    return unpack(event.arg)[0]


def _thing_of(run: Run, step: Step) -> int | None:
    found = step(run)
    return None if found is None else _thing(run.event(found))
