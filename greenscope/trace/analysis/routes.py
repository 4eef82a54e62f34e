"""Requests by route: how many, how many failed, how long they took, and how much of that they were starved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.request_parts import READY
from greenscope.trace.analysis.requests import Outcome, Requests
from greenscope.trace.events import Exit

__all__ = ["Route", "failed", "routes_of"]


@dataclass(frozen=True, slots=True)
class Route:
    """The requests of one route.

    The quantiles and the mean are of those that ended: p50 is the least of their times that half of them stayed within
    (ns). ``starved`` is the mean, over requests, of the share of its time in which one was ready and did not run.
    """

    route: str
    count: int
    errors: int
    going_on: int
    total: int
    p50: int
    p90: int
    p99: int
    longest: int
    starved: float


def failed(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which of ``Requests.rows`` raised, or were answered with a status from 500 on."""
    return np.asarray((rows["how"] == Exit.RAISED) | (rows["status"] >= 500), bool)


def routes_of(requests: Requests, rows: npt.NDArray[np.void]) -> list[Route]:
    """The routes of some of ``Requests.rows``, where most time went first."""
    if not len(rows):
        return []
    done = rows[rows["outcome"] == Outcome.DONE]
    wall = done["end"] - done["start"]
    order = np.lexsort((wall, done["route"]))
    route, wall = done["route"][order], wall[order]
    wrong = failed(done)[order]
    starved = done["parts"][order, READY] / np.maximum(wall, 1)
    open_rows = rows["route"][rows["outcome"] == Outcome.GOING_ON]
    going_on = np.bincount(open_rows, minlength=len(requests.routes))
    found: list[Route] = []
    for number in np.unique(rows["route"]).tolist():
        first, past = np.searchsorted(route, [number, number + 1]).tolist()
        times = wall[first:past]
        count = past - first
        found.append(
            Route(
                route=requests.routes[number],
                count=count,
                errors=int(np.count_nonzero(wrong[first:past])),
                going_on=int(going_on[number]),
                total=int(times.sum()),
                p50=_quantile(times, 50),
                p90=_quantile(times, 90),
                p99=_quantile(times, 99),
                longest=int(times[-1]) if count else 0,
                starved=float(starved[first:past].mean()) if count else 0.0,
            )
        )
    return sorted(found, key=lambda each: (-each.total, each.route))


def _quantile(times: npt.NDArray[np.int64], hundredths: int) -> int:
    """The least of some times, sorted, that so many of a hundred stayed within; 0 if there are none."""
    return int(times[-(-len(times) * hundredths // 100) - 1]) if len(times) else 0
