"""How often, and for how long, things happened at which line: what diagnoses of a rate look at.

Fed a batch at a time with what the fold made of it. Kept are the last ten seconds or so, in stretches short
enough that one who watches is told at once; older times have been told, or were no trouble.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.fold import Fold
from greenscope.trace.analysis.population import Population, Things
from greenscope.trace.analysis.series import Covered, Series
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.thresholds import Thresholds
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, Ready, Wait, Watch

__all__ = ["STANDS_BACK", "Late", "Rates"]

STANDS_BACK = (Ready.YIELD, Ready.SPAWN)
"""Why a greenlet is ready that others may well come before: it has let them, or has not begun."""

_TURN_NS, _TURNS = 20_000_000, 500
_SLICE_NS, _SLICES = 100_000_000, 100
_FIRE_NS, _FIRES = 250_000_000, 80
_PIECES, _PIECES_KEPT = 40, 48
_EMPTY_NS = 30_000
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_KEEP = 1000


class Late(NamedTuple):
    """That a greenlet was ready, from when to when, before it ran."""

    greenlet: int
    start: int
    end: int


class Rates:
    """What is counted of one ring.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
        thresholds: from when on something is counted.
    """

    def __init__(self, start: int, thresholds: Thresholds) -> None:
        self.known_since = start
        """Since when nothing was lost."""
        self.began_known = True
        """Whether nothing was lost ever."""
        self.known = Covered(_TURN_NS, _TURNS)
        self.turns = Series(_TURN_NS, _TURNS)
        """Empty turns, by the line: it gave way there, or waited for nearly no time, and was there again at once."""
        self.slices = Series(_SLICE_NS, _SLICES)
        """How long runs took that were long, and no stall, by the line that they went on from."""
        self.known_slices = Covered(_SLICE_NS, _SLICES)
        self.late: deque[Late] = deque(maxlen=_KEEP)
        """Who was ready for too long before it ran, the last of them."""
        self._late_ns = thresholds.starved_ms * 1_000_000
        piece_ns = max(thresholds.leak_s * 1_000_000_000 // _PIECES, 1)
        self.greenlets = Population(piece_ns, _PIECES_KEPT)
        self.timeouts = Population(piece_ns, _PIECES_KEPT)
        self.timers = Population(piece_ns, _PIECES_KEPT)
        """Timers that were started to call a function, by the line that made their watcher."""
        self.watchers = Population(piece_ns, _PIECES_KEPT)
        """Those of anything but time."""
        self._made = Population(piece_ns, _PIECES_KEPT)  # the watchers of time
        self.fired = Series(_FIRE_NS, _FIRES)
        """How many timeouts fired, by the line that started them; those of no time are a spinning line's."""
        self.over = Series(_FIRE_NS, _FIRES)
        """How many were over, either way."""
        self._slice_ns = thresholds.hog_slice_ms * 1_000_000
        self._last = start

    def add(self, folded: Folded | None, lost: int) -> None:
        """Take up a batch: what came of it, and how many records were lost before it."""
        if lost:
            self.began_known = False
        if folded is None:
            return
        if lost:
            self.known_since = self._last = int(folded.at[0])
            for population in (self.greenlets, self.timeouts, self.timers, self.watchers, self._made):
                population.lose()
        last = int(folded.at[-1])
        self.known.add_time(self._last, last)
        self.known_slices.add_time(self._last, last)
        self._last = last
        self._add_greenlets(folded)
        self._add_timeouts(folded)
        self._add_watchers(folded)
        if folded.fold is not None:
            self._add_runs(folded, folded.fold)

    def _add_runs(self, folded: Folded, fold: Fold) -> None:
        spans = fold.closed
        runs = np.flatnonzero(spans["state"] == State.RUNNING)
        length = spans["end"][runs] - spans["start"][runs]
        long = np.flatnonzero(length >= self._slice_ns)
        if len(long):
            self._add_slices(spans.take(runs[long]))
        if fold.latency.max(initial=0) >= self._late_ns:
            self._add_late(spans)
        self._add_turns(folded, spans, fold.closed_by, runs[length <= _EMPTY_NS])

    def _add_late(self, spans: SpanArray) -> None:
        late = spans[(spans["state"] == State.READY) & (spans["end"] - spans["start"] >= self._late_ns)]
        late = late[~np.isin(late["reason"], STANDS_BACK)]
        late = late[np.argsort(late["end"], kind="stable")][-_KEEP:]
        self.late.extend(map(Late, late["greenlet"].tolist(), late["start"].tolist(), late["end"].tolist()))

    def _add_slices(self, long: SpanArray) -> None:
        long = long[np.argsort(long["end"], kind="stable")]
        long = long[long["site"] != 0]
        self.slices.add(long["site"], long["end"], long["end"] - long["start"], long["greenlet"])

    def _add_turns(
        self, folded: Folded, spans: SpanArray, closed_by: npt.NDArray[np.intp], runs: npt.NDArray[np.intp]
    ) -> None:
        events, ended = folded.events, closed_by[runs]
        # A deadline of no time is told as one of a millisecond.
        gives_way = (events["reason"][ended] == Wait.YIELD) | ((events["arg"][ended] >> _HALF) == 1)
        gives_way &= folded.kinds[ended] == Kind.GREENLET_PARK
        runs, ended = runs[gives_way], ended[gives_way]
        site = events["site"][ended]
        back = np.flatnonzero((spans["site"][runs] == site) & (site != 0))
        self.turns.add(site[back], folded.at[ended[back]], 1, spans["greenlet"][runs[back]])

    def _add_greenlets(self, folded: Folded) -> None:
        events, kinds = folded.events, folded.kinds
        which = np.flatnonzero((kinds == Kind.GREENLET_SPAWN) | (kinds == Kind.GREENLET_EXIT))
        if len(which):
            spawns = kinds[which] == Kind.GREENLET_SPAWN
            greenlet = events["greenlet"][which]
            self.greenlets.add(Things(greenlet, spawns, folded.at[which], greenlet, events["site"][which]))

    def _add_watchers(self, folded: Folded) -> None:
        events, kinds = folded.events, folded.kinds
        which = np.flatnonzero((kinds == Kind.WATCHER_OPEN) | (kinds == Kind.WATCHER_CLOSE))
        timed = events["reason"][which] == Watch.TIMER
        for population, some in ((self.watchers, which[~timed]), (self._made, which[timed])):
            if len(some):
                rows = events.take(some)
                opens = rows["kind"] == Kind.WATCHER_OPEN
                number, fd = rows["arg"] & _LOW, rows["arg"] >> _HALF
                population.add(Things(number, opens, folded.at[some], rows["greenlet"], rows["site"], fd))
        self._add_timers(folded)

    def _add_timers(self, folded: Folded) -> None:
        events, kinds = folded.events, folded.kinds
        starts, stops = (
            which[events["reason"][which] == Watch.TIMER]
            for which in (np.flatnonzero(kinds == kind) for kind in (Kind.WATCHER_START, Kind.WATCHER_STOP))
        )
        # Who sleeps parks at once: such a timer is the greenlet's business. So is, to be safe, a batch's last one.
        following = np.append(kinds[1:], np.uint8(Kind.GREENLET_PARK))[starts]
        starts = starts[following != Kind.GREENLET_PARK]
        if not len(starts) and not len(self.timers):
            return
        number = events["arg"] & _LOW
        stops = stops[np.isin(number[stops], np.concatenate((number[starts], self.timers.numbers)))]
        which = np.sort(np.concatenate((starts, stops)))
        begins = kinds[which] == Kind.WATCHER_START
        sites = self._made.site_of(number[which])
        self.timers.add(Things(number[which], begins, folded.at[which], events["greenlet"][which], sites))

    def _add_timeouts(self, folded: Folded) -> None:
        events, kinds = folded.events, folded.kinds
        which = np.flatnonzero((kinds >= Kind.TIMEOUT_START) & (kinds <= Kind.TIMEOUT_CANCEL))
        if not len(which):
            return
        arg, kind, at = events["arg"][which], kinds[which], folded.at[which]
        over = self.timeouts.add(
            Things(
                number=arg & _LOW,
                begins=kind == Kind.TIMEOUT_START,
                at=at,
                greenlet=events["greenlet"][which],
                site=events["site"][which],
                detail=arg >> _HALF,
            )
        )
        counts = np.flatnonzero((over.detail > 1) & (over.site != 0))
        self.over.add(over.site[counts], at[over.which[counts]])
        fired = counts[kind[over.which[counts]] == Kind.TIMEOUT_FIRE]
        self.fired.add(over.site[fired], at[over.which[fired]], 1, over.greenlet[fired])
