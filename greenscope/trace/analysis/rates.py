"""How often, and for how long, things happened at which line: what diagnoses of a rate look at.

Fed a batch at a time with what the fold made of it. Kept are the last ten seconds or so, in stretches short
enough that one who watches is told at once; older times have been told, or were no trouble.
"""

from __future__ import annotations

import numpy as np

from greenscope.trace.analysis.series import Covered, Series
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, Wait

__all__ = ["Rates"]

_TURN_NS, _TURNS = 20_000_000, 500
_EMPTY_NS = 30_000
_HALF = np.uint64(32)


class Rates:
    """What is counted of one ring.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
    """

    def __init__(self, start: int) -> None:
        self.known_since = start
        """Since when nothing was lost."""
        self.began_known = True
        """Whether nothing was lost ever."""
        self.known = Covered(_TURN_NS, _TURNS)
        self.turns = Series(_TURN_NS, _TURNS)
        """Empty turns, by the line: it gave way there, or waited for nearly no time, and was there again at once."""
        self._last = start

    def add(self, folded: Folded | None, lost: int) -> None:
        """Take up a batch: what came of it, and how many records were lost before it."""
        if lost:
            self.began_known = False
        if folded is None:
            return
        if lost:
            self.known_since = self._last = int(folded.at[0])
        last = int(folded.at[-1])
        self.known.add_time(self._last, last)
        self._last = last
        if folded.fold is not None:
            self._add_turns(folded)

    def _add_turns(self, folded: Folded) -> None:
        fold, events = folded.fold, folded.events
        assert fold is not None
        spans, ended = fold.closed, fold.closed_by
        runs = np.flatnonzero(spans["state"] == State.RUNNING)
        runs = runs[folded.kinds[ended[runs]] == Kind.GREENLET_PARK]
        ended = ended[runs]
        site = events["site"][ended]
        short = spans["end"][runs] - spans["start"][runs] <= _EMPTY_NS
        back = np.flatnonzero(short & (spans["site"][runs] == site) & (site != 0))
        ended, runs = ended[back], runs[back]
        gives_way = events["reason"][ended] == Wait.YIELD
        gives_way |= (events["arg"][ended] >> _HALF) == 1  # a deadline of no time is told as one of a millisecond
        empty = np.flatnonzero(gives_way)
        self.turns.add(site[back[empty]], folded.at[ended[empty]], 1, spans["greenlet"][runs[empty]])
