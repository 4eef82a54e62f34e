"""Sums that only grow, of all that was read of a ring: what a monitoring system asks for again and again.

A timeline forgets and a list of requests is bounded; a counter must not go back. So these are kept apart, are few,
and are counted once, as a batch is folded.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.spread import Spread
from greenscope.trace.analysis.timeline import Folded

__all__ = ["Totals"]


class Totals:
    """Of one ring; fed with batches as they were folded, and with requests as they ended."""

    def __init__(self) -> None:
        self.latency = Spread()
        """How long the greenlets that ran had waited for the hub."""
        self.walls = Spread()
        """How long requests took."""
        self.requests: Counter[int] = Counter()
        """How many ended, by status; 0: without one."""

    def add(self, folded: Folded | None, lost: int) -> None:  # noqa: ARG002 - what every follower of a model is told
        """Take up a batch."""
        if folded is not None and folded.fold is not None:
            self.latency.add(folded.fold.latency)

    def add_requests(self, ended: npt.NDArray[Any]) -> None:
        """Take up requests that ended: rows as ``Requests`` has them."""
        self.walls.add(ended["end"] - ended["start"])
        status, count = np.unique(ended["status"], return_counts=True)
        self.requests.update(dict(zip(status.tolist(), count.tolist(), strict=True)))
