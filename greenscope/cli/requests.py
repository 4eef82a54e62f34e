"""``greenscope requests``: which requests a process served, how long each took, and where in it that time was spent."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from greenscope.cli.requests_text import request_as_text, requests_as_text
from greenscope.cli.ring_argument import rings_at
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis import Timeline
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.critical_path import critical_path, piece_label
from greenscope.trace.analysis.request_list import Only, chosen
from greenscope.trace.analysis.request_tree import Tree, names_of, tree_of
from greenscope.trace.analysis.requests import Outcome, Request, Requests
from greenscope.trace.analysis.routes import Route, routes_of
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.events import NO_FD
from greenscope.trace.reader import RingInfo, RingReader
from greenscope.trace.records import Site

__all__ = ["VERSION", "Detail", "Served", "detail_as_json", "requests", "requests_as_json"]

VERSION = 1
"""Of the JSON; docs/requests.md says what is in it."""

_KEEP = 1 << 17
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Detail:
    """One request whole; ``sites`` are what the numbers in its path stand for."""

    request: Request
    tree: Tree
    path: SpanArray
    names: dict[int, str]
    peers: dict[int, str]
    sites: dict[int, Site | None]


@dataclass(frozen=True, slots=True)
class Served:
    """What one hub served. ``found`` counts those that were asked for, of which ``shown`` are the slowest."""

    info: RingInfo
    state: str
    requests: Requests
    found: int
    shown: list[Request]
    sites: dict[int, Site | None]
    routes: list[Route]
    until: int
    lost: int
    detail: Detail | None = None


@click.command()
@click.argument("what", metavar="PID | FILE.gsr")
@click.option("--route", default="", metavar="ROUTE", help='Only of this route: "/orders/{id}", or "GET /orders/{id}".')
@click.option("--failed", is_flag=True, help="Only those that raised, or were answered with a status from 500 on.")
@click.option("--slowest", type=click.IntRange(1), default=_SHOWN, help=f"At most so many of them [{_SHOWN}].")
@click.option("--request", "number", type=click.IntRange(0), default=None, help="One whole, with its critical path.")
@click.option("--json", "json_", is_flag=True, help="The same as JSON; docs/requests.md lists its fields.")
def requests(what: str, route: str, failed: bool, slowest: int, number: int | None, json_: bool) -> None:
    """Say where requests spent their time: the slowest, and how long those of each route took.

    A request's time divides into running, starved (it could have run, and another did) and waiting. With
    --request one is shown whole: its greenlets, and the chain of what its end waited for. PID may be of a
    process that is blocked or dead.
    """
    only = Only.FAILED if failed else Only.ALL
    hubs = [_served(path, route, only, slowest, number) for path in rings_at(what)]
    if number is not None:
        hubs = [hub for hub in hubs if hub.detail is not None]
        if not hubs:
            raise GreenscopeError(f"--request: there is no request {number} in what is left of {what}")
    elif route and not failed and not any(hub.found for hub in hubs):
        known = sorted({each.route for hub in hubs for each in hub.routes})
        raise GreenscopeError(f"--route: no request of {route!r}; there are {', '.join(known[:20]) or 'none at all'}")
    if json_:
        answers = [requests_as_json(hub) if number is None else detail_as_json(hub) for hub in hubs]
        click.echo(json.dumps({"version": VERSION, "hubs": answers}, indent=1))
        return
    for hub in hubs:
        click.echo("\n".join(requests_as_text(hub, route) if hub.detail is None else request_as_text(hub, hub.detail)))


def _served(path: Path, route: str, only: Only, slowest: int, number: int | None) -> Served:
    with closing(RingReader(path)) as reader:
        info, state, now = reader.info, reader.state(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        timeline = Timeline(info.start_monotonic_ns, reader.string)
        known = Requests(timeline, reader.string, _KEEP)
        _read(reader, timeline, known, number)
        if state != "live":
            now = reader.end_ns() or 0
        now = max(now, timeline.last)
        detail = None if number is None else _detail(reader, timeline, known, number, now)
        rows = known.rows(now)
        places = chosen(known, rows, route=route, only=only)
        shown = known.shown(rows, places[:slowest].tolist())
        of_these = rows[places] if len(places) else rows
        sites = {request.site: reader.site(request.site) for request in shown}
        routes = routes_of(known, of_these)
        return Served(info, state, known, len(places), shown, sites, routes, now, timeline.lost, detail)


def _read(reader: RingReader, timeline: Timeline, known: Requests, number: int | None) -> None:
    """Read what there was when it was begun; of one request only until it has ended, lest its spans be forgotten."""
    end = reader.head
    while True:
        batch = reader.read_batch()
        if batch:
            known.add(timeline.apply(batch, reader.greenlets() if batch.lost else ()), batch.lost)
        if reader.position >= end or (number is not None and known.has_ended(number)):
            return


def _detail(reader: RingReader, timeline: Timeline, known: Requests, number: int, now: int) -> Detail | None:
    request = known.find(number, now)
    if request is None:
        return None
    tree = tree_of(timeline, request.greenlet, request.start, request.until)
    path = critical_path(tree, request.ended_by)
    names = names_of(timeline, tree, request.said.what)
    peers = {number: timeline.lanes.text(number) for number in set(path["peer"].tolist())}
    numbers = {request.site, *path["site"].tolist(), *(member.spawn_site for member in tree.members)}
    return Detail(request, tree, path, names, peers, {number: reader.site(number) for number in numbers})


# As JSON.


def requests_as_json(hub: Served) -> dict[str, Any]:
    """What a hub served, as ``--json`` gives it; docs/requests.md lists the fields."""
    known = hub.requests
    return {
        **_hub(hub),
        "kept": len(known),
        "forgotten": known.forgotten,
        "going_on": known.going_on,
        "without_begin": known.without_begin,
        "found": hub.found,
        "routes": [_route(each) for each in hub.routes],
        "requests": [_request(hub, each, hub.sites) for each in hub.shown],
    }


def detail_as_json(hub: Served) -> dict[str, Any]:
    """One request whole, as ``--request --json`` gives it."""
    detail = hub.detail
    assert detail is not None
    base = hub.info.start_monotonic_ns
    return {
        **_hub(hub),
        "request": _request(hub, detail.request, detail.sites),
        "complete": detail.tree.complete,
        "greenlets": [
            {
                "id": member.greenlet,
                "name": detail.names[member.greenlet],
                "parent": member.parent or None,
                "begin_ns": member.spawned_at - base,
                "end_ns": member.ended_at - base if member.ended_at else None,
                "site": site_as_json(detail.sites[member.spawn_site]),
            }
            for member in detail.tree.members
        ],
        "critical_path": [_piece(piece, detail, base) for piece in detail.path.tolist()],
    }


def _hub(hub: Served) -> dict[str, Any]:
    info = hub.info
    return {
        "pid": info.pid,
        "hub": info.hub,
        "argv": list(info.argv),
        "path": str(info.path),
        "state": hub.state,
        "lost": hub.lost,
    }


def _route(route: Route) -> dict[str, Any]:
    return {
        "route": route.route,
        "count": route.count,
        "errors": route.errors,
        "going_on": route.going_on,
        "total_ns": route.total,
        "p50_ns": route.p50,
        "p90_ns": route.p90,
        "p99_ns": route.p99,
        "longest_ns": route.longest,
        "starved": route.starved,
    }


def _request(hub: Served, request: Request, sites: dict[int, Site | None]) -> dict[str, Any]:
    said, base = request.said, hub.info.start_monotonic_ns
    return {
        "number": request.number,
        "greenlet": request.greenlet,
        "id": said.id or None,
        "method": said.method or None,
        "path": said.path or None,
        "query": said.query or None,
        "route": said.route or None,
        "traceparent": said.traceparent or None,
        "parent_span": said.parent or None,
        "outcome": Outcome(request.outcome).name.lower(),
        "status": request.status or None,
        "failed": request.failed,
        "error": request.error or None,
        "site": site_as_json(sites[request.site]),
        "start": (hub.info.start_wall_ns + request.start - base) / 1e9,
        "start_ns": request.start - base,
        "wall_ns": request.wall,
        "running_ns": request.running,
        "starved_ns": request.ready,
        "waits_ns": {LABELS.get(reason, "other"): ns for reason, ns in request.waits.items()},
        "ended_ns": request.ended,
        "unknown_ns": request.unknown,
    }


def _piece(piece: tuple[Any, ...], detail: Detail, base: int) -> dict[str, Any]:
    start, end, _, _, greenlet, site, fd, peer, state, reason = piece
    return {
        "start_ns": start - base,
        "end_ns": end - base,
        "greenlet": greenlet,
        "what": piece_label(state, reason),
        "peer": detail.peers[peer] or None,
        "fd": None if fd == NO_FD else fd,
        "site": site_as_json(detail.sites[site]),
    }
