"""Requests as the page gets them: a list that is bounded, sums by route, and one whole with its waterfall.

The sums over all requests are made once for all pages, and again only when something can have changed; what is chosen
of them is chosen anew each time. A waterfall has as many segments as a screen can show, as the timeline has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.critical_path import critical_path, merged, piece_label
from greenscope.trace.analysis.model import is_of_program
from greenscope.trace.analysis.request_list import Only, Order, chosen
from greenscope.trace.analysis.request_tree import Member, Tree, names_of, tree_of
from greenscope.trace.analysis.requests import Outcome, Request
from greenscope.trace.analysis.routes import Route, routes_of
from greenscope.trace.analysis.segments import in_segments
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import LABELS, State
from greenscope.trace.events import NO_FD
from greenscope.web.session import Session

__all__ = ["request", "requests"]

_MOST = 200
_MOST_ROUTES = 100
_MOST_LANES = 100
_MOST_PIECES = 200
_PIXELS = 500


def requests(session: Session, order: Order, route: str, only: Only, search: str) -> dict[str, Any]:
    """What there is, as far as it was asked for; the routes are of all."""
    known, now = session.requests, session.now()
    rows = known.rows(now)
    places = chosen(known, rows, order, route, only, search)
    return {
        "now": session.relative(now),
        "total": len(known),
        "found": len(places),
        "going_on": int(np.count_nonzero(rows["outcome"] == Outcome.GOING_ON)),
        "lost": int(np.count_nonzero(rows["outcome"] == Outcome.LOST)),
        "without_begin": known.without_begin,
        "forgotten": known.forgotten,
        "requests": [_request(session, each) for each in known.shown(rows, places[:_MOST].tolist())],
        **_routes(session, rows),
    }


def request(session: Session, number: int) -> dict[str, Any] | None:
    """One request whole; None if it is not known."""
    found = session.requests.find(number, session.now())
    if found is None:
        return None
    tree = tree_of(session.timeline, found.greenlet, found.start, found.until)
    path = critical_path(tree, found.ended_by)
    names = names_of(session.timeline, tree, found.said.what)
    return {
        "request": _request(session, found),
        "complete": tree.complete,
        "greenlets_total": tree.total,
        "greenlets": _lanes(session, tree, path, names),
        "path_total": len(path),
        "path": _path(session, path, names),
        "path_sums": _sums(path, names),
    }


def _routes(session: Session, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    def made() -> dict[str, Any]:
        routes = routes_of(session.requests, rows)
        return {"routes_total": len(routes), "routes": [_route(each) for each in routes[:_MOST_ROUTES]]}

    return session.kept("routes", made)


def _route(route: Route) -> dict[str, Any]:
    return {
        "route": route.route,
        "count": route.count,
        "errors": route.errors,
        "going_on": route.going_on,
        "total": route.total,
        "p50": route.p50,
        "p90": route.p90,
        "p99": route.p99,
        "longest": route.longest,
        "starved": route.starved,
    }


def _request(session: Session, found: Request) -> dict[str, Any]:
    said, site = found.said, session.reader.site(found.site)
    waits = sorted(found.waits.items(), key=lambda wait: -wait[1])
    return {
        "number": found.number,
        "greenlet": found.greenlet,
        "id": said.id or None,
        "method": said.method,
        "path": said.path,
        "query": said.query,
        "route": said.route,
        "trace": said.traceparent or None,
        "outcome": found.outcome.name.lower(),
        "status": found.status or None,
        "failed": found.failed,
        "error": found.error or None,
        "site": site_as_json(site if site is not None and is_of_program(site) else None),  # not a server's line
        "start": session.relative(found.start),
        "wall": found.wall,
        "running": found.running,
        "starved": found.ready,
        "waiting": found.waiting,
        "waits": [{"reason": reason, "label": LABELS.get(reason, "other"), "total": ns} for reason, ns in waits],
        "ended": found.ended,
        "unknown": found.unknown,
    }


def _lanes(session: Session, tree: Tree, path: SpanArray, names: dict[int, str]) -> list[dict[str, Any]]:
    """The waterfall: the greenlets that the path leads through, and of the others as many as there is room for."""
    bucket = max((tree.end - tree.start) // _PIXELS, 1)
    stretches: dict[int, list[list[int]]] = {}
    for greenlet, begin, end in merged(path):
        of_one = stretches.setdefault(greenlet, [])
        if of_one and begin - of_one[-1][1] < bucket:
            of_one[-1][1] = end
        else:
            of_one.append([begin, end])
    members = [member for member in tree.members if member.greenlet in stretches][:_MOST_LANES]
    kept = {member.greenlet for member in members}
    others = [member for member in tree.members if member.greenlet not in kept]
    kept.update(member.greenlet for member in others[: _MOST_LANES - len(kept)])
    return [
        _lane(session, tree, member, names[member.greenlet], stretches.get(member.greenlet, []), bucket)
        for member in tree.members
        if member.greenlet in kept
    ]


def _lane(
    session: Session, tree: Tree, member: Member, name: str, on_path: list[list[int]], bucket: int
) -> dict[str, Any]:
    spans = tree.spans[member.greenlet]
    shown = in_segments(spans[spans["end"] > spans["start"]], bucket)
    columns = zip(shown.start.tolist(), shown.end.tolist(), shown.state.tolist(), shown.reason.tolist(), strict=True)
    base = session.info.start_monotonic_ns
    return {
        "id": member.greenlet,
        "name": name,
        "parent": member.parent or None,
        "depth": member.depth,
        "spawned": session.relative(member.spawned_at),
        "ended": session.relative(member.ended_at) if member.ended_at else None,
        "site": site_as_json(session.reader.site(member.spawn_site)),
        "segments": [[start - base, end - base, state, reason] for start, end, state, reason in columns],
        "on_path": [[begin - base, end - base] for begin, end in on_path],
    }


def _path(session: Session, path: SpanArray, names: dict[int, str]) -> list[dict[str, Any]]:
    """The longest pieces, in the order of time."""
    if len(path) > _MOST_PIECES:
        longest = np.argsort(path["start"] - path["end"], kind="stable")[:_MOST_PIECES]
        path = path[np.sort(longest)]
    pieces = []
    for start, end, about, _, greenlet, site, fd, peer, state, reason in path.tolist():
        pieces.append(
            {
                "start": session.relative(start),
                "end": session.relative(end),
                "greenlet": {"id": greenlet, "name": names[greenlet]},
                "state": state,
                "reason": reason,
                "label": piece_label(state, reason),
                "peer": session.timeline.lanes.text(peer) or None,
                "fd": None if fd == NO_FD else fd,
                "resource": (about or None) if state == State.WAITING else None,
                "site": site_as_json(session.reader.site(site)),
            }
        )
    return pieces


def _sums(path: SpanArray, names: dict[int, str]) -> list[dict[str, Any]]:
    """What the path comes to, by greenlet and state: the greatest first."""
    ids, who = np.unique(path["greenlet"], return_inverse=True)
    reasons = np.where(path["state"] == State.WAITING, path["reason"], 0)  # only waits are told apart by them
    keys = np.stack((who.reshape(-1), path["state"].astype(np.intp), reasons.astype(np.intp)))
    of, inverse, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    totals = np.zeros(of.shape[1], np.int64)
    np.add.at(totals, inverse.reshape(-1), path["end"] - path["start"])
    places, states, waits = of.tolist()
    sums = [
        {
            "greenlet": {"id": greenlet, "name": names[greenlet]},
            "state": state,
            "reason": reason,
            "label": piece_label(state, reason),
            "total": total,
            "count": count,
        }
        for greenlet, state, reason, total, count in zip(
            ids[places].tolist(), states, waits, totals.tolist(), counts.tolist(), strict=True
        )
    ]
    return sorted(sums, key=lambda each: -each["total"])[:_MOST_LANES]
