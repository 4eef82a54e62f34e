"""Values of the analysis as the page gets them: the shapes of ``docs/protocol.md``.

Pure functions of a session; times go out relative to the ring's start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from greenscope.trace.analysis import ALIVE, Lane, Span, Stall, State, Timeline, label
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.analysis.wake import Wake, wake_of
from greenscope.trace.events import Exit, Wait
from greenscope.web.session import Listing, Session

__all__ = [
    "SEGMENT_BYTES",
    "SORTS",
    "at",
    "census",
    "greenlets",
    "lanes_in",
    "latency",
    "matches",
    "ring",
    "segments",
    "status",
]

_LONG_WAIT_NS = 5_000_000_000
_MAX_ROWS = 500
_NOTHING = Span(0, State.WAITING)
_MAX_STALLS = 50
_MAX_LATENCIES = 1000
# Waits that somebody owes an end. A queue or an event is what an idle worker waits for.
_OWED = np.array([Wait.READ, Wait.WRITE, Wait.LOCK])
SEGMENT_BYTES = 8 + 8 + 4 + 1 + 1 + 1
_EXITS: dict[int, str] = {Exit.RETURNED: "returned", Exit.RAISED: "raised", Exit.KILLED: "killed"}


def ring(listed: Listing | Session) -> dict[str, Any]:
    """One line of the ring chooser."""
    info = listed.info
    return {
        "id": listed.id,
        "pid": info.pid,
        "hub": info.hub,
        "thread": info.thread_name,
        "argv": list(info.argv),
        "host": info.host,
        "state": listed.state,
        "started": info.start_wall_ns / 1e9,
    }


def status(session: Session) -> dict[str, Any]:
    """The figures of the cards and the pill."""
    timeline, now, rates = session.timeline, session.now(), session.rates()
    living, states, long_waits, longest_ready = _census(timeline, now)
    starts = [stall for stall in timeline.stalls.kept if session.model.was_start(stall)]
    stalls = [stall for stall in reversed(timeline.stalls.kept) if stall not in starts]
    longest = timeline.stalls.longest
    ended = max(stalls, key=lambda stall: stall.end - stall.start, default=None) if longest in starts else longest
    # One that goes on, or that the process died in.
    open_stall = timeline.stall_now(now) if session.state != "ended" else None
    if open_stall is not None:
        stalls.insert(0, open_stall)
    candidates = [stall for stall in (ended, open_stall) if stall is not None]
    longest = max(candidates, key=lambda stall: (stall.end or now) - stall.start, default=None)
    return {
        "type": "status",
        "state": session.state,
        "now": session.relative(now),
        "begin": session.relative(session.begin()),
        "events": timeline.events,
        "events_per_second": rates.events_per_second,
        "lost": timeline.lost,
        "illegal": timeline.illegal,
        "switches_per_second": rates.switches_per_second,
        "mean_slice": rates.mean_slice_ns,
        "greenlets": living,
        "states": states,
        "waiting_long": long_waits,
        "latency_p99": timeline.latency.quantile(0.99, now),
        "latency_now": 0 if session.state == "ended" else longest_ready,
        "running": _running(session, now),
        "stall_threshold": timeline.stall_ns,
        "ring_used": min(session.reader.head, session.info.event_capacity),
        "ring_capacity": session.info.event_capacity,
        "stalls_total": timeline.stalls.count - len(starts) + (open_stall is not None),
        "longest_stall": None if longest is None else _stall(session, longest, now),
        "stalls": [_stall(session, stall, now) for stall in stalls[:_MAX_STALLS]],
    }


def census(session: Session) -> dict[str, int]:
    """How many of the greenlets that live do what, or wait for what."""
    return _census(session.timeline, session.now())[1]


def _census(timeline: Timeline, now: int) -> tuple[int, dict[str, int], int, int]:
    """How many greenlets live, how many do what, how many wait suspiciously long, and how long one has been ready."""
    lanes = timeline.lanes
    of_greenlets = lanes.rows["greenlet"] != timeline.hub
    open_spans = lanes.open[of_greenlets & lanes.rows["goes_on"]]
    state, reason, since = open_spans["state"], open_spans["reason"], now - open_spans["start"]
    waiting = state == State.WAITING
    states: Counter[str] = Counter()
    for number, count in enumerate(np.bincount(np.where(waiting, reason.astype(int) + len(State), state)).tolist()):
        if count:
            name = LABELS.get(number - len(State), "other") if number >= len(State) else label(number, 0)
            states[name] += count
    owed = open_spans[waiting & (open_spans["deadline"] == 0) & (since > _LONG_WAIT_NS) & np.isin(reason, _OWED)]
    long_waits = sum(not lanes.text(peer).startswith("listening") for peer in owed["peer"].tolist())
    living = int(np.count_nonzero(of_greenlets & (lanes.rows["exit"] == ALIVE)))
    return living, dict(states), long_waits, int(since[state == State.READY].max(initial=0))


def lanes_in(session: Session, start: int, end: int, search: str, first: int, count: int) -> tuple[int, list[Lane]]:
    """The lanes that have something to show in a window, the hub's first, then in the order of their birth.

    Returns:
        How many there are, and ``count`` of them from ``first`` on.
    """
    lanes, hub = session.timeline.lanes, session.timeline.hub
    rows = lanes.within(start, end)
    if search:
        found = [lane for lane in lanes.some(rows) if matches(session, lane, search)]
        found.sort(key=lambda lane: lane.greenlet != hub)
        return len(found), found[first : first + count]
    rows = rows[np.argsort(lanes.ids[rows] != hub, kind="stable")]
    return len(rows), lanes.some(rows[first : first + count])


def _site_key(session: Session, lane: Lane, span: Span) -> tuple[str, int]:
    site = session.reader.site(span.site or lane.spawn_site)
    return ("", 0) if site is None else (site.file, site.line)


SORTS: dict[str, Callable[[Session, Lane, Span], Any]] = {
    "name": lambda _, lane, __: (lane.label.lower(), lane.greenlet),
    "state": lambda _, __, span: (label(span.state, span.reason), span.start),
    "on": lambda _, __, span: (span.fd < 0, span.fd, span.peer, span.resource),
    "site": _site_key,
    "since": lambda _, lane, span: (span.start or lane.ended_at, lane.greenlet),
    "deadline": lambda _, __, span: (not span.deadline, span.deadline),
    "switches": lambda _, lane, __: lane.switches,
    "run_time": lambda session, lane, span: _run_time(lane, span, session.now()),
}
"""How the table can be sorted, by the column's name; ascending "since" is waiting longest first."""


def _run_time(lane: Lane, span: Span, now: int) -> int:
    return lane.run_time + (now - span.start if span.state is State.RUNNING else 0)


def matches(session: Session, lane: Lane, search: str) -> bool:
    """Whether a lane's name, number, line, peer or descriptor is what is searched for."""
    span = lane.open
    site = session.reader.site(lane.site)
    texts = [lane.label, f"#{lane.greenlet}"]
    if site is not None:
        texts.append(f"{site.file}:{site.line} {site.function}")
    if span is not None:
        texts.extend((span.peer, f"fd {span.fd}" if span.fd >= 0 else "", label(span.state, span.reason)))
    return search.lower() in "\n".join(texts).lower()


def greenlets(
    session: Session, search: str = "", exited: bool = False, sort: str = "since", descending: bool = False
) -> dict[str, Any]:
    """The table, all of it sorted and the first rows sent: the living, then, if asked for, those who ended.

    Args:
        sort: a key of ``SORTS``.
    """
    timeline, now = session.timeline, session.now()
    rows = [lane for lane in timeline.lanes.living() if lane.greenlet != timeline.hub]
    if exited:
        rows.extend(timeline.lanes.exited())
    if search:
        rows = [lane for lane in rows if matches(session, lane, search)]
    key = SORTS[sort]
    rows.sort(key=lambda lane: key(session, lane, lane.open or _NOTHING), reverse=descending)
    rows.sort(key=lambda lane: not lane.alive)
    return {
        "type": "greenlets",
        "now": session.relative(now),
        "total": len(rows),
        "rows": [_row(session, lane, now) for lane in rows[:_MAX_ROWS]],
    }


def latency(session: Session) -> dict[str, Any]:
    """The minimap: how long the hub was away from its poll, over all that is kept."""
    timeline, now, begin = session.timeline, session.now(), session.begin()
    bucket, first, values = timeline.away.values(begin, now, _MAX_LATENCIES)
    away = timeline.away_since()
    if away and session.state != "ended":  # the absence that goes on shows as well
        for index in range(max((away - first) // bucket, 0), len(values)):
            values[index] = max(values[index], now - away)
    return {"type": "latency", "bucket": bucket, "from": session.relative(first), "values": values}


def segments(session: Session, greenlets: list[int], start: int, end: int, bucket: int, now: int) -> bytes:
    """The columns of a segments frame, without its header; ``SEGMENT_BYTES`` a segment."""
    timeline, base = session.timeline, session.info.start_monotonic_ns
    shown = timeline.segments(np.array(greenlets, np.uint64), start, end, now, bucket)
    stalled = (shown.flag == 2) & (shown.state == State.RUNNING) & (shown.greenlet != timeline.hub)
    stalled &= now - shown.start >= timeline.stall_ns
    columns = (
        (shown.start - base).astype("<f8"),
        (shown.end - base).astype("<f8"),
        shown.greenlet.astype("<u4"),
        np.where(stalled, np.uint8(State.STALLED), shown.state),
        shown.reason,
        shown.flag,
    )
    return b"".join(column.tobytes() for column in columns)


def at(session: Session, greenlet: int, time: int, width: int) -> dict[str, Any] | None:
    """What a greenlet did at a time; None if nothing is known of it."""
    timeline, now = session.timeline, session.now()
    lane = timeline.lanes.get(greenlet)
    span = lane.span_at(time, now, slack=width) if lane is not None else None
    if lane is None or span is None:
        return None
    begin, end = time - width // 2, time + width // 2 + 1
    ran, ready, waited = lane.shares(begin, end, now)
    goes_on = lane.open is not None and lane.open.start == span.start
    parent = timeline.lanes.get(lane.parent)
    return {
        "greenlet": {"id": lane.greenlet, "name": lane.label},
        "parent": None if parent is None else {"id": parent.greenlet, "name": parent.label},
        "state": span.state,
        "reason": span.reason,
        "label": _label(session, lane, span),
        "start": session.relative(span.start),
        "end": session.relative(span.end),
        "open": goes_on,
        "woken_by": _wake(timeline, wake_of(timeline, lane, span)),
        "inside": max(lane.count(begin, end, now), 1),
        "running": ran,
        "ready": ready,
        "waiting": waited,
        **_waiting_on(session, lane, span),
    }


def _wake(timeline: Timeline, wake: Wake | None) -> dict[str, Any] | None:
    if wake is None:
        return None
    by = timeline.lanes.get(wake.greenlet) if wake.greenlet is not None else None
    who = None if wake.greenlet is None else {"id": wake.greenlet, "name": None if by is None else by.label}
    return {"reason": wake.reason, "watch": wake.watch, "fd": wake.fd, "greenlet": who}


def _label(session: Session, lane: Lane, span: Span) -> str:
    if lane.greenlet == session.timeline.hub:
        return "polling: asks the kernel, or sleeps in it" if span.state is State.WAITING else "hub: runs its loop"
    return label(span.state, span.reason)


def _waiting_on(session: Session, lane: Lane, span: Span) -> dict[str, Any]:
    return {
        "fd": span.fd if span.fd >= 0 else None,
        "peer": span.peer or None,
        "resource": span.resource or None,
        "deadline": session.relative(span.deadline) if span.deadline else None,
        # A greenlet that never leaves the runtime (a server's accept loop) has no line of its own.
        "site": _site(session, span.site or lane.spawn_site),
    }


def _row(session: Session, lane: Lane, now: int) -> dict[str, Any]:
    span = lane.open or Span(lane.ended_at, State.WAITING)
    running = span.state is State.RUNNING
    long_run = running and now - span.start >= session.timeline.stall_ns
    return {
        "id": lane.greenlet,
        "name": lane.label,
        "parent": lane.parent,
        "state": State.STALLED if long_run else span.state,
        "reason": span.reason,
        "label": label(span.state, span.reason) if lane.open else "exited" if not lane.alive else "not yet started",
        "since": session.relative(span.start),
        "switches": lane.switches,
        "run_time": _run_time(lane, span, now),
        "alive": lane.alive,
        "exit": None if lane.exit is None else _EXITS.get(lane.exit, "returned"),
        **_waiting_on(session, lane, span),
    }


def _running(session: Session, now: int) -> dict[str, Any] | None:
    """Who has the hub, or had it when the process died; None when the hub has."""
    lane = session.timeline.lanes.get(session.timeline.running)
    if lane is None or lane.open is None or session.state == "ended":
        return None
    return {
        "greenlet": lane.greenlet,
        "name": lane.label,
        "since": session.relative(lane.open.start),
        "duration": now - lane.open.start,
        "site": _site(session, lane.open.site or lane.spawn_site),
    }


def _stall(session: Session, stall: Stall, now: int) -> dict[str, Any]:
    return {
        "greenlet": stall.greenlet,
        "name": stall.name,
        "start": session.relative(stall.start),
        "end": session.relative(stall.end) if stall.end else None,
        "duration": (stall.end or now) - stall.start,
        "ready": stall.ready,
        "before": _site(session, stall.before),
        "after": _site(session, stall.after),
    }


def _site(session: Session, number: int) -> dict[str, Any] | None:
    return site_as_json(session.reader.site(number))
