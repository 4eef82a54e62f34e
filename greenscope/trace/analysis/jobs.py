"""Calls in threads: what is in each pool, and the last ones that took long, or waited long for a thread.

The threads of a pool take calls in the order in which they were put. So of those that are not over, as many of the
oldest run as there are threads, and the others wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from greenscope.trace.analysis.thresholds import Thresholds
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, unpack

__all__ = ["LOOK_UPS", "OTHER_POOLS", "Job", "Jobs"]

LOOK_UPS = frozenset({"getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getfqdn"})
"""What functions that look names up are called."""

OTHER_POOLS = 255
"""The number of all pools that were made too late to have their own."""

_KEEP = 1000
_KEEP_OPEN = 1 << 14
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Job:
    """One call: who put it, when, into which pool of how many threads, at which site; ``end`` is 0 until it is over."""

    number: int
    greenlet: int
    put: int
    pool: int
    threads: int
    site: int
    name: str
    """The function's."""
    about: str
    """What is looked up."""
    end: int = 0
    waited: int = 0
    """Nanoseconds until a thread took it; known when it is over, or seen to run."""

    @property
    def is_look_up(self) -> bool:
        """Whether it looks a name up."""
        return self.name in LOOK_UPS

    @property
    def began(self) -> int:
        """When a thread took it."""
        return self.put + self.waited


class Jobs:
    """Those of one ring.

    Args:
        name: gives the text of a string's number.
        thresholds: from when on one took long.
    """

    def __init__(self, name: Callable[[int], str], thresholds: Thresholds) -> None:
        self.open: dict[int, Job] = {}
        """Those that are not over, by their numbers, in the order in which they were put."""
        self.late: deque[Job] = deque(maxlen=_KEEP)
        """The last that waited too long for a thread."""
        self.long: deque[Job] = deque(maxlen=_KEEP)
        """The last that took long."""
        self._name = name
        self._late_ns = thresholds.pool_ms * 1_000_000
        self._long_ns = min(thresholds.pool_ms, thresholds.dns_ms) * 1_000_000

    def add(self, folded: Folded | None, lost: int) -> None:
        """Take up a batch: what came of it, and how many records were lost before it."""
        if lost:
            self.open.clear()  # they may be over
        if folded is None:
            return
        puts = np.flatnonzero(folded.kinds == Kind.JOB_PUT)
        ends = np.flatnonzero(folded.kinds == Kind.JOB_END)
        if not len(puts) and not len(ends):
            return
        put, ended = folded.events["arg"][puts] & _LOW, folded.events["arg"][ends] & _LOW
        # Only those that are not over, or took long, are looked at one by one.
        both, put_at, end_at = np.intersect1d(put, ended, assume_unique=False, return_indices=True)
        took = folded.at[ends[end_at]] - folded.at[puts[put_at]]
        quick = both[took < min(self._late_ns, self._long_ns)]
        for index in puts[~np.isin(put, quick)].tolist():
            job = self._job(folded, index)
            self.open[job.number] = job
        going_on = np.fromiter(self.open, np.uint64, len(self.open))
        for index in ends[np.isin(ended, going_on)].tolist():
            number, waited_ms = unpack(int(folded.events["arg"][index]))
            job = self.open.pop(number)
            self._over(replace(job, end=max(int(folded.at[index]), job.put + 1), waited=waited_ms * 1_000_000))
        while len(self.open) > _KEEP_OPEN:
            del self.open[next(iter(self.open))]

    def _job(self, folded: Folded, index: int) -> Job:
        event = folded.events[index]
        number, name = unpack(int(event["arg"]))
        return Job(
            number,
            int(event["greenlet"]),
            int(folded.at[index]),
            int(event["reason"]),
            int(event["aux"]),
            int(event["site"]),
            self._name(name),
            folded.texts.get(index, ""),
        )

    def _over(self, job: Job) -> None:
        if job.waited >= self._late_ns:
            self.late.append(job)
        if job.end - job.began >= self._long_ns:
            self.long.append(job)

    def pools(self) -> dict[int, tuple[list[Job], list[Job]]]:
        """Of each pool that has calls: those that run, and those that wait for a thread, both in their order."""
        of: dict[int, list[Job]] = {}
        for job in self.open.values():
            of.setdefault(job.pool, []).append(job)
        of.pop(OTHER_POOLS, None)
        return {pool: self._split(jobs, jobs[-1].threads) for pool, jobs in of.items()}

    def _split(self, jobs: list[Job], threads: int) -> tuple[list[Job], list[Job]]:
        running = [
            replace(job, waited=self._began(job, place, threads) - job.put) for place, job in enumerate(jobs[:threads])
        ]
        return running, jobs[threads:]

    def _began(self, job: Job, place: int, threads: int) -> int:
        """When a thread took one that runs; by those ahead of it that took long, for the others kept it not long."""
        pool = {one.number: one for one in chain(self.late, self.long) if one.pool == job.pool}
        ends = sorted(one.end for one in pool.values() if one.put <= job.put < one.end)
        free = place + len(ends) - threads
        return ends[free] if 0 <= free < len(ends) else job.put
