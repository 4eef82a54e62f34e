"""Which requests are listed, and in what order: those of a route, those that failed; the slowest first."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.request_parts import READY
from greenscope.trace.analysis.request_text import Said, route_of
from greenscope.trace.analysis.requests import Outcome, Requests
from greenscope.trace.analysis.routes import failed

__all__ = ["Only", "Order", "chosen"]


class Only(StrEnum):
    """Which requests, by what became of them."""

    ALL = "all"
    FAILED = "failed"
    GOING_ON = "going_on"
    LOST = "lost"
    INFORMATIONAL = "1xx"
    SUCCESS = "2xx"
    REDIRECTION = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"


class Order(StrEnum):
    """What comes first."""

    SLOWEST = "slowest"
    NEWEST = "newest"
    STARVED = "starved"


def chosen(
    requests: Requests,
    rows: npt.NDArray[np.void],
    order: Order = Order.SLOWEST,
    route: str = "",
    only: Only = Only.ALL,
    search: str = "",
) -> npt.NDArray[np.intp]:
    """Some of ``Requests.rows``: their places in it, in the order in which they are shown.

    Args:
        requests: what the rows are of.
        rows: all of them.
        order: what comes first.
        route: of this route, with its method or without, or of that of a path that is given; empty: of any.
        only: which, by what became of them.
        search: something in its id, what it asks for, its route, or its error; empty: any.
    """
    wanted = np.ones(len(rows), bool)
    if route:
        fits = [number for number, known in enumerate(requests.routes) if _is_route(known, route)]
        wanted &= np.isin(rows["route"], fits)
    if only is Only.FAILED:
        wanted &= failed(rows)
    elif only is Only.GOING_ON:
        wanted &= rows["outcome"] == Outcome.GOING_ON
    elif only is Only.LOST:
        wanted &= rows["outcome"] == Outcome.LOST
    elif only is not Only.ALL:
        wanted &= rows["status"] // 100 == int(only[0])
    places = np.flatnonzero(wanted)
    if search:
        word = search.lower()
        numbers = rows["number"][places].tolist()
        pairs = zip(places.tolist(), numbers, strict=True)
        found = [_mentions(requests.said(place), requests.error(number), word) for place, number in pairs]
        places = places[np.array(found, bool)]
    some = rows[places]
    if order is Order.NEWEST:
        key = some["start"]
    elif order is Order.STARVED:
        key = some["parts"][:, READY]
    else:
        key = some["end"] - some["start"]
    return places[np.argsort(-key, kind="stable")]


def _is_route(known: str, wanted: str) -> bool:
    method, _, path = known.rpartition(" ")
    asked_method, _, asked = wanted.partition("?")[0].rpartition(" ")
    return (path == route_of(asked) and asked_method in {"", method}) or known == wanted


def _mentions(said: Said, error: str, word: str) -> bool:
    return word in f"{said.id}\n{said.what}\n{said.route}\n{error}".lower()
