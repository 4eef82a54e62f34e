"""How ``requests`` looks: the routes, then the slowest requests; or one request with its greenlets and its path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from greenscope.cli.columns import laid_out, widths_of
from greenscope.cli.words import duration, line_of, printable, wall_time
from greenscope.trace.analysis.critical_path import piece_label
from greenscope.trace.analysis.requests import Outcome, Request
from greenscope.trace.analysis.routes import Route
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.analysis.words import many

if TYPE_CHECKING:
    from greenscope.cli.requests import Detail, Served

__all__ = ["request_as_text", "requests_as_text"]

_ROUTES = 20
_MOST_PIECES = 60
_SHOWN_WAITS = 3


def requests_as_text(hub: Served, route: str = "") -> Iterator[str]:
    """What a person reads of one hub."""
    yield _head(hub)
    known = hub.requests
    notes = []
    if known.without_begin:
        notes.append(f"{many(known.without_begin, 'request')} began in records that were overwritten, and are left out")
    if known.forgotten:
        notes.append(f"{many(known.forgotten, 'older request')} are left out: the newest are kept")
    yield from (f"  {note}" for note in notes)
    if not hub.found:
        yield "  no requests" if not len(known) else "  no such requests"
        if not len(known):
            yield "  greenscope's WSGI server says which it serves; others do within"
        yield "  greenscope.web.DebugMiddleware, or with greenscope.trace.request"
        return
    yield ""
    yield from _routes(hub.routes)
    yield ""
    yield f"the slowest of {hub.found}" + (f" of {printable(route)}" if route else "")
    header = ("Wall", "Running", "Starved", "Waiting", "Status", "Request", "Number", "Id", "Waited for")
    table = [header, *(_cells(hub, request) for request in hub.shown)]
    if not any(request.said.id for request in hub.shown):
        table = [(*row[:7], "", row[8]) for row in table]
    yield from laid_out(table, widths_of(table), {0, 1, 2, 3, 4, 6})


def _head(hub: Served) -> str:
    state = "" if hub.state == "live" else f", {hub.state}"
    return printable(f"{hub.info.pid}/{hub.info.hub} {' '.join(hub.info.argv)}{state}")


def _routes(routes: list[Route]) -> Iterator[str]:
    yield "by route, where most time went first"
    table = [("Total", "Count", "Errors", "p50", "p90", "p99", "Longest", "Starved", "Route")]
    for route in routes[:_ROUTES]:
        times = (route.p50, route.p90, route.p99, route.longest)
        name = printable(route.route) or "(it was not said)"
        if route.going_on:
            name += f"  ({route.going_on} going on)"
        table.append(
            (
                duration(route.total),
                str(route.count),
                str(route.errors),
                *(map(duration, times) if route.count else [""] * 4),
                f"{route.starved:.1%}" if route.count else "",
                name,
            )
        )
    yield from laid_out(table, widths_of(table), range(8))
    if len(routes) > _ROUTES:
        rest = routes[_ROUTES:]
        yield f"and {len(rest)} more, {duration(sum(route.total for route in rest))}"


def _cells(hub: Served, request: Request) -> tuple[str, ...]:
    return (
        duration(request.wall),
        duration(request.running),
        duration(request.ready),
        duration(request.waiting),
        _status(hub, request),
        printable(request.said.what),
        str(request.number),
        printable(request.said.id),
        _waits(request),
    )


def _status(hub: Served, request: Request) -> str:
    if request.outcome is Outcome.GOING_ON:
        return "goes on" if hub.state == "live" else "no end"
    if request.outcome is Outcome.LOST:
        return "end lost"
    return printable(request.error) or (str(request.status) if request.status else "")


def _waits(request: Request) -> str:
    """What it waited for most, and what is not known."""
    waits = sorted(request.waits.items(), key=lambda wait: -wait[1])
    words = [f"{LABELS.get(reason, 'other')} {duration(ns)}" for reason, ns in waits[:_SHOWN_WAITS]]
    if request.ended:
        words.append(f"its greenlet had ended {duration(request.ended)}")
    if request.unknown:
        words.append(f"unknown {duration(request.unknown)}")
    return ", ".join(words)


def request_as_text(hub: Served, detail: Detail) -> Iterator[str]:
    """One request: what became of it, its greenlets, and its critical path."""
    request, tree = detail.request, detail.tree
    base = hub.info.start_monotonic_ns
    yield _head(hub)
    identity = f"  id {printable(request.said.id)}" if request.said.id else ""
    yield f"  request {request.number}: {printable(request.said.what)}  {_status(hub, request)}{identity}"
    began = wall_time(hub.info.start_wall_ns + request.start - base)
    yield (
        f"  began {began}, took {duration(request.wall)}: ran {duration(request.running)}, starved"
        f" {duration(request.ready)}, waited {duration(request.waiting)}"
    )
    if _waits(request):
        yield f"  of its own waits: {_waits(request)}"
    if not tree.complete:
        yield "  records of that time were overwritten: greenlets and times may be missing"
    yield ""
    yield f"{many(tree.total, 'greenlet')}"
    table = [("From", "To", "Greenlet", "Spawned at")]
    for member in tree.members[:_MOST_PIECES]:
        over = member.ended_at and member.ended_at <= tree.end
        end = duration(member.ended_at - tree.start) if over else "lives on" if member.depth else ""
        name = "  " * member.depth + printable(detail.names[member.greenlet])
        line = line_of(detail.sites[member.spawn_site])
        table.append((duration(max(member.spawned_at - tree.start, 0)), end, name, line))
    yield from laid_out(table, widths_of(table), {0, 1})
    if tree.total > _MOST_PIECES:
        yield f"and {tree.total - _MOST_PIECES} more"
    yield ""
    yield from _path(detail)


def _path(detail: Detail) -> Iterator[str]:
    path, start = detail.path, detail.tree.start
    pieces = path.tolist()
    if len(pieces) > _MOST_PIECES:
        shortest = sorted(end - begin for begin, end, *_ in pieces)[-_MOST_PIECES]
        pieces = [piece for piece in pieces if piece[1] - piece[0] >= shortest][:_MOST_PIECES]
    heading = "critical path: what its end waited for"
    yield heading if len(pieces) == len(path) else f"{heading} (the {len(pieces)} longest of {len(path)} pieces)"
    table = [("At", "Took", "Greenlet", "What", "Line")]
    for begin, end, _, _, greenlet, site, _, peer, state, reason in pieces:
        what = piece_label(state, reason)
        if detail.peers[peer]:
            what += f" {detail.peers[peer]}"
        at, took = duration(begin - start), duration(end - begin)
        table.append((at, took, printable(detail.names[greenlet]), printable(what), line_of(detail.sites[site])))
    yield from laid_out(table, widths_of(table), {0, 1})
