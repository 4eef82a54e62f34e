"""What made a greenlet go on, in a few words."""

from __future__ import annotations

from greenscope.trace.analysis.lane import Lane, Span
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.timeline import Timeline
from greenscope.trace.events import Ready, Watch

__all__ = ["woken_by"]

_READY_FOR: dict[int, str] = {
    Watch.READ: "readable",
    Watch.WRITE: "writable",
    Watch.TIMER: "timer due",
    Watch.SIGNAL: "a signal",
    Watch.CHILD: "its process ended",
}


def woken_by(timeline: Timeline, lane: Lane, span: Span) -> str | None:
    """What ended a wait: of a waiting span, what came next; of a ready or running one, what came before."""
    ready = _ready_span(lane, span)
    if ready is None:
        return None
    if ready.reason == Ready.WATCHER:
        watcher = timeline.watchers.get(ready.by)
        if watcher is None:
            return "its watcher"
        what = _READY_FOR.get(watcher.watch, "its watcher fired")
        return f"fd {watcher.fd} {what}" if watcher.fd is not None else what
    if ready.reason == Ready.TIMEOUT:
        return "its timeout"
    if ready.reason == Ready.YIELD:
        return "itself: it yielded"
    other = timeline.lanes.get(ready.by)
    who = other.label if other is not None else f"greenlet #{ready.by}" if ready.by else "the hub"
    verb = {Ready.SPAWN: "spawned by", Ready.KILL: "killed by", Ready.CLOSE: "descriptor closed by"}
    return f"{verb[Ready(ready.reason)]} {who}" if ready.reason in verb else who


def _ready_span(lane: Lane, span: Span) -> Span | None:
    if span.state is State.READY:
        return span
    neighbour = lane.next_to(span, 1 if span.state is State.WAITING else -1)
    return neighbour if neighbour is not None and neighbour.state is State.READY else None
