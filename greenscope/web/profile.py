"""Where the time went, as the page gets it: over all that is kept of a ring, and as much of it as a screen can show.

It is made of the spans that the timeline holds anyway, so nothing is counted while nobody asks. That takes as long as
there are many, and for so long nobody else is served: so it is made once for all pages, and again only after some time.
"""

from __future__ import annotations

from typing import Any

from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.profile import READY, RUNNING, By, Part, Profile
from greenscope.trace.analysis.profile_rows import Row, rows_of
from greenscope.trace.analysis.spread import Spread
from greenscope.trace.analysis.states import State
from greenscope.trace.events import Wait
from greenscope.web.session import Session

__all__ = ["profile"]

_MOST = 50
_FRAMES = 50


def profile(session: Session, by: By) -> dict[str, Any]:
    """The profile of a session, by something; a few seconds old, if it was asked for then."""
    return session.kept(by, lambda: _made(session, by))


def _made(session: Session, by: By) -> dict[str, Any]:
    timeline, now = session.timeline, session.now()
    made = Profile(by, session.reader, begin=_begin(session))
    for spans in timeline.chunks():
        made.add(spans, timeline)
    made.finish(timeline, now)
    rows = rows_of(made, session.reader)
    with_spread = {By.LATENCY: made.latency, By.LOAD: made.load.away}
    return {
        "by": str(by),
        "from": session.relative(made.begin),
        "to": session.relative(now),
        "ran": made.ran,
        "ready": made.times[Part.HUB],
        "waited": made.times[Part.WAIT],
        "slept": made.times[Part.SLEEP],
        "idle": made.times[Part.IDLE],
        "parts": [
            _part(session, by, part, of_part) for part in Part if (of_part := [row for row in rows if row.part is part])
        ],
        "spread": _spread(with_spread[by]) if by in with_spread else None,
        "load": _load(session, made) if by is By.LOAD else None,
    }


def _begin(session: Session) -> int:
    """Of what still went on then the begin is known, of all else nothing: before that no time is counted."""
    timeline, begin = session.timeline, session.begin()
    if timeline.gaps_at and timeline.gaps_at[0] <= timeline.start:
        first = next(timeline.chunks(), None)  # what ended first, ended among the first events there are
        begin = max(begin, timeline.last if first is None else int(first["end"].min()))
    return begin


def _part(session: Session, by: By, part: Part, rows: list[Row]) -> dict[str, Any]:
    return {
        "part": str(part),
        "total": sum(row.sum.total for row in rows),
        "rows_total": len(rows),
        "rows": [_row(session, by, row) for row in rows[:_MOST]],
    }


def _row(session: Session, by: By, row: Row) -> dict[str, Any]:
    each = row.sum
    state, reason = _look(by, row)
    return {
        "state": state,
        "reason": reason,
        "label": row.reason or None,
        "what": row.what or None,
        "sleeper": row.sleeper or None,
        "site": site_as_json(row.line),
        "stack": [site_as_json(frame) for frame in row.stack[:_FRAMES]],
        "total": each.total,
        "share": row.share,
        "count": each.count,
        "still": each.still,
        "mean": each.total // each.count,
        "p99": each.p99,
        "longest": each.longest,
        "longest_start": session.relative(each.at),
        "longest_greenlet": {"id": each.greenlet, "name": _name(session, each.greenlet)},
    }


def _look(by: By, row: Row) -> tuple[int, int]:
    """The state and the reason that a row's spans have on the timeline."""
    if by is By.LOAD:
        return int(State.RUNNING), 0
    if by is By.LATENCY:
        return int(State.READY), 0
    key = row.sum.key
    reason = (key[3] if by is By.WAKER else key[0]) if key else Wait.OTHER
    if reason in {READY, RUNNING}:
        return int(State.READY if reason == READY else State.RUNNING), 0
    # Who accepts waits to read.
    return int(State.WAITING), int(Wait.READ if row.reason == "accept" else reason)


def _name(session: Session, greenlet: int) -> str:
    lane = session.timeline.lanes.get(greenlet)
    return f"greenlet #{greenlet}" if lane is None else lane.label


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "count": spread.count,
        "total": spread.total,
        "p50": spread.quantile(50),
        "p99": spread.quantile(99),
        "longest": spread.longest,
        "classes": [
            {"least": each.least, "below": each.below or None, "count": each.count, "total": each.total}
            for each in spread.classes()
        ],
    }


def _load(session: Session, made: Profile) -> dict[str, Any]:
    load = made.load
    return {
        "busy": load.busy,
        "polled": load.polled,
        "stretch": load.width,
        "classes": [{"least": each.least, "most": each.most, "count": each.count} for each in load.classes()],
        "longest_start": session.relative(load.away_longest_at) if load.away.count else None,
    }
