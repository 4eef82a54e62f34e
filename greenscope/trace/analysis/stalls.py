"""Runs that were too long: who, from when to when, between which lines, and how many had to wait."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.texts import Texts

__all__ = ["FOUND", "Stall", "Stalls"]

_KEEP = 1000

FOUND = np.dtype(
    [
        ("greenlet", "u8"),
        ("start", "i8"),
        ("end", "i8"),
        ("ready", "i8"),
        ("when", "i8"),  # its place in the order of what happened in the batch
        ("before", "u4"),
        ("after", "u4"),
        ("name", "u4"),  # a number of Texts
        ("numbered", "?"),
    ],
    align=True,
)
"""A stall as the fold finds it."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A greenlet that ran for longer than the threshold without switching."""

    greenlet: int
    name: str
    start: int
    end: int
    ready: int
    """How many greenlets were ready when it ended, or were found to be at the poll that came next."""
    before: int
    """Site where it went on, 0 for unknown."""
    after: int
    """Site where it parked in the end, 0 if it exited."""


class Stalls:
    """The last stalls, oldest first, and how many there were."""

    def __init__(self, texts: Texts) -> None:
        self.kept: deque[Stall] = deque(maxlen=_KEEP)
        self.longest: Stall | None = None  # of those that are not forgotten
        self.count = 0
        self._open = False  # whose news came during the last one shows only when the kernel is asked
        self._texts = texts

    @property
    def waiting(self) -> bool:
        """Whether the next poll says more of the last one."""
        return self._open

    def add(self, found: npt.NDArray[Any], polls: npt.NDArray[np.int64], ready: npt.NDArray[np.int64]) -> None:
        """Take up a batch's stalls.

        Args:
            found: an array of ``FOUND``, in the order of their ends.
            polls: when polls ended, in the order that ``found["when"]`` counts in.
            ready: how many were ready then.
        """
        if self._open and len(polls) and not (len(found) and found["when"][0] < polls[0]):
            self._open = False
            self._see(int(ready[0]))
        if not len(found):
            return
        self.count += len(found)
        following = np.searchsorted(polls, found["when"], "right")  # the poll after each
        until = np.append(polls, np.iinfo(np.int64).max)[following]
        seen = np.append(found["when"][1:], np.iinfo(np.int64).max) >= until
        seen &= following < len(polls)
        found["ready"][seen] += ready[following[seen]]
        self._open = not bool(seen[-1])
        best = int(np.argmax(found["end"] - found["start"]))
        new = {index: self._stall(found[index]) for index in {best, *range(max(0, len(found) - _KEEP), len(found))}}
        self.longest = max((s for s in (self.longest, new[best]) if s is not None), key=_duration)
        self.kept.extend(new[index] for index in range(max(0, len(found) - _KEEP), len(found)))

    def forget_before(self, time: int) -> None:
        """Drop those that ended before a time."""
        while self.kept and self.kept[0].end < time:
            self.kept.popleft()
        self.longest = max(self.kept, key=_duration, default=None)

    def _see(self, ready: int) -> None:
        if not self.kept:
            return
        last = self.kept.pop()
        more = replace(last, ready=last.ready + ready)
        self.kept.append(more)
        if self.longest is last:
            self.longest = more

    def _stall(self, found: np.void) -> Stall:
        greenlet, start, end, ready, _, before, after, name, numbered = found.item()
        text = self._texts[name]
        return Stall(greenlet, f"{text} #{greenlet}" if numbered else text, start, end, ready, before, after)


def _duration(stall: Stall) -> int:
    return stall.end - stall.start
