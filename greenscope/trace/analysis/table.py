"""The greenlet table as rows: what each living greenlet does at one moment, in the words of the screen.

The table is complete however often the ring has wrapped, so nothing is folded here. Only what the
hub itself does is not in the table: the last ``poll_begin`` or ``poll_end`` says it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from greenscope.trace.analysis.notes import frames_of
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.events import Kind, Ready, Spawn, Wait
from greenscope.trace.records import Event, Gap, GreenletSlot, Site

__all__ = ["SORTS", "STATES", "HubState", "Row", "counts", "hub_state", "rows", "stalled_in", "waiting_on"]

STATES = ("running", "ready", "waiting", "spawned")
"""The states of a row, in the order of the table; ``spawned`` has not been made ready yet."""

_READY_LABELS: dict[int, str] = {ready: ready.name.lower() for ready in Ready}
# What has no number that anybody could look up elsewhere.
_NO_RESOURCE = frozenset({Wait.READ, Wait.WRITE, Wait.TIMER, Wait.YIELD, Wait.OTHER})


@dataclass(frozen=True, slots=True)
class Row:
    """One greenlet. Times are nanoseconds, and relative to when the table was looked at.

    Args:
        for_ns: how long it has been in its state.
        reason: what it waits for, if it waits; who made it ready, if it is ready; else empty.
        deadline_ns: until its deadline, negative if that is over; None without one.
        site: where it parked, or went on from; where it was spawned, if it never parked in a line of the program.
        run_ns: how long it ran, with the run that goes on.
    """

    greenlet: int
    name: str
    parent: int
    state: str
    for_ns: int
    reason: str
    resource: int | None
    fd: int | None
    peer: str
    deadline_ns: int | None
    site: Site | None
    switches: int
    run_ns: int


@dataclass(frozen=True, slots=True)
class HubState:
    """What the hub does: it is in its poll, or away from it; since when (CLOCK_MONOTONIC)."""

    polling: bool
    since_ns: int


SORTS: dict[str, Callable[[Row], tuple[object, ...]]] = {
    "state": lambda row: (STATES.index(row.state), -row.for_ns),
    "since": lambda row: (-row.for_ns,),
    "name": lambda row: (row.name.lower(),),
    "on": lambda row: (not waiting_on(row), waiting_on(row), -row.for_ns),
    "line": lambda row: (row.site is None, (row.site.file, row.site.line) if row.site else (), -row.for_ns),
    "deadline": lambda row: (row.deadline_ns is None, row.deadline_ns or 0),
    "switches": lambda row: (-row.switches,),
    "run-time": lambda row: (-row.run_ns,),
}
"""How rows can be sorted, by name: ``state`` is who runs, who is ready, then who has waited longest."""


def rows(slots: Iterable[GreenletSlot], site: Callable[[int], Site | None], now_ns: int) -> list[Row]:
    """The living greenlets but the hub, sorted by ``state``.

    Args:
        slots: the table.
        site: what a site's number means.
        now_ns: when the table was read, or its writer ended (CLOCK_MONOTONIC).
    """
    found = [_row(slot, site, now_ns) for slot in slots if slot.spawn_reason != Spawn.HUB and slot.state in STATES]
    return sorted(found, key=lambda row: (*SORTS["state"](row), row.greenlet))


def hub_state(events: Sequence[Event | Gap]) -> HubState | None:
    """What the newest events say of the hub; None if none of them is about its poll."""
    for event in reversed(events):
        if isinstance(event, Event) and event.kind in {Kind.POLL_BEGIN, Kind.POLL_END}:
            return HubState(event.kind == Kind.POLL_BEGIN, event.time_ns)
    return None


def stalled_in(events: Sequence[Event | Gap]) -> tuple[Site, ...]:
    """Where the watchdog saw the stall that goes on, the innermost frame first; empty without one."""
    for event in reversed(events):
        if isinstance(event, Event) and event.kind == Kind.STALL_END:
            break
        if isinstance(event, Event) and event.kind == Kind.STALL_BEGIN:
            return frames_of(event.text)
    return ()


def counts(table: Iterable[Row]) -> dict[str, int]:
    """How many rows are in each state."""
    counted = Counter(row.state for row in table)
    return {state: counted[state] for state in STATES}


def waiting_on(row: Row) -> str:
    """What it waits for, in a few words: "read fd 7 10.0.0.5:6379", "lock 12"; its turn, if it is ready."""
    if row.state == "ready":
        return f"its turn ({row.reason})"
    if row.state != "waiting":
        return ""
    parts = [row.reason]
    if row.fd is not None:
        parts.append(f"fd {row.fd}")
    if row.peer:
        parts.append(row.peer)
    if row.resource is not None:
        parts.append(str(row.resource))
    return " ".join(parts)


def _row(slot: GreenletSlot, site: Callable[[int], Site | None], now_ns: int) -> Row:
    waiting = slot.state == "waiting"
    for_ns = max(now_ns - slot.since_ns, 0)
    labels = LABELS if waiting else _READY_LABELS if slot.state == "ready" else {}
    return Row(
        greenlet=slot.greenlet,
        name=f"{slot.name} #{slot.greenlet}" if slot.numbered else slot.name,
        parent=slot.parent,
        state=slot.state,
        for_ns=for_ns,
        reason=labels.get(slot.reason, "other" if labels else ""),
        resource=slot.resource if waiting and slot.resource and slot.reason not in _NO_RESOURCE else None,
        fd=slot.fd if waiting else None,
        peer=slot.peer if waiting else "",
        deadline_ns=slot.deadline_ns - now_ns if waiting and slot.deadline_ns else None,
        site=site(slot.site) or site(slot.spawn_site),
        switches=slot.switches,
        run_ns=slot.run_ns + (for_ns if slot.state == "running" else 0),
    )
