"""What made a greenlet go on: numbers, of which the page makes words."""

from __future__ import annotations

from typing import NamedTuple

from greenscope.trace.analysis.lane import Lane, Span
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.timeline import Timeline
from greenscope.trace.events import Ready

__all__ = ["Wake", "wake_of"]


class Wake(NamedTuple):
    """Who made it ready."""

    reason: int
    """A ``Ready``, or what a damaged file has in its place."""
    watch: int | None = None
    """Of a watcher that is known: what it watches."""
    fd: int | None = None
    """Of a watcher: of which descriptor, if of one."""
    greenlet: int | None = None
    """If it was a greenlet: its number; the hub's if that is not known."""


def wake_of(timeline: Timeline, lane: Lane, span: Span) -> Wake | None:
    """What ended a wait: of a waiting span, what came next; of a ready or running one, what came before."""
    ready = _ready_span(lane, span)
    if ready is None:
        return None
    if ready.reason == Ready.WATCHER:
        watcher = timeline.watchers.get(ready.by)
        return Wake(ready.reason) if watcher is None else Wake(ready.reason, watcher.watch, watcher.fd)
    if ready.reason in {Ready.TIMEOUT, Ready.YIELD}:
        return Wake(ready.reason)
    return Wake(ready.reason, greenlet=ready.by or timeline.hub)


def _ready_span(lane: Lane, span: Span) -> Span | None:
    if span.state is State.READY:
        return span
    neighbour = lane.next_to(span, 1 if span.state is State.WAITING else -1)
    return neighbour if neighbour is not None and neighbour.state is State.READY else None
