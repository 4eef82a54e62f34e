"""Who has ever ended a wait for a queue or an event, by the queue's or the event's number.

Seen at any level: who woke somebody that waited for it. At level io also who put into it, or set it, while nobody
waited. Kept for each are a few; of one that has more only that it has many, and of one whose beginning was lost only
that it may have others. So who is named here is all there are, as far as waits were ended at all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, Ready, Resource, Wait

__all__ = ["OTHERS", "Waker", "Wakers"]

OTHERS = 0
"""In the place of a greenlet: another thread, the hub, or somebody who is not known."""

_FEW = 4
_KEEP = 1 << 16
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_PAIR = np.dtype([("key", "u8"), ("times", "i8"), ("last", "i8")])  # key: resource << 32, and the waker
_ANY = 1 << 32


class Waker:
    """What one of them did: how often it ended a wait, and when last."""

    __slots__ = ("last", "times")

    def __init__(self, times: int, last: int) -> None:
        self.times = times
        self.last = last


class Wakers:
    """All of one ring."""

    def __init__(self) -> None:
        self._pairs = np.empty(0, _PAIR)
        self._unsure_below = 0  # of a lower number that is not there, an earlier part may have been lost

    def __len__(self) -> int:
        return len(self._pairs)

    def of(self, resource: int) -> dict[int, Waker]:
        """Who has ended waits for it; with ``OTHERS`` if that is not all. Nothing, if nobody is known."""
        keys = self._pairs["key"]
        first, last = np.searchsorted(keys, np.array([resource << 32, (resource + 1) << 32], np.uint64)).tolist()
        return {key & 0xFFFFFFFF: Waker(times, at) for key, times, at in self._pairs[first:last].tolist()}

    def add(self, folded: Folded | None, lost: int) -> None:
        """Take up a batch: what came of it, and how many records were lost before it."""
        if lost:
            self._pairs, self._unsure_below = self._pairs[:0], _ANY
        if folded is None:
            return
        if self._unsure_below == _ANY:
            made = (folded.kinds == Kind.WATCHER_OPEN) | (folded.kinds == Kind.TIMEOUT_START)
            if made.any():  # numbers are given in order
                self._unsure_below = int(folded.events["arg"][np.argmax(made)] & _LOW)
        new = np.concatenate((self._woken(folded), self._gave(folded)))
        if len(new):
            self._merge(new)

    def _woken(self, folded: Folded) -> npt.NDArray[np.void]:
        """Waits that somebody ended."""
        if folded.fold is None:
            return np.empty(0, _PAIR)
        spans = folded.fold.closed
        waits = (spans["reason"] == Wait.QUEUE) | (spans["reason"] == Wait.EVENT)
        waits = np.flatnonzero(waits & (spans["state"] == State.WAITING) & (spans["about"] != 0))
        event = folded.fold.closed_by[waits]
        how = folded.events["reason"][event]
        by_greenlet = how == Ready.GREENLET
        ended = np.flatnonzero((folded.kinds[event] == Kind.GREENLET_READY) & (by_greenlet | (how == Ready.OTHER)))
        event = event[ended]
        who = np.where(by_greenlet[ended], folded.events["arg"][event] & _LOW, OTHERS)
        return _pairs(spans["about"][waits[ended]], who, folded.at[event])

    def _gave(self, folded: Folded) -> npt.NDArray[np.void]:
        """At level io: who put, or set."""
        event = np.flatnonzero(folded.kinds == Kind.RESOURCE_RELEASE)
        event = event[np.isin(folded.events["reason"][event], (Resource.QUEUE, Resource.EVENT, Resource.RESULT))]
        given = folded.events[event]
        return _pairs(given["arg"] & _LOW, given["greenlet"] & _LOW, folded.at[event])

    def _merge(self, new: npt.NDArray[np.void]) -> None:
        resources = new["key"] >> _HALF
        unsure = (resources < self._unsure_below) & ~np.isin(resources, self._pairs["key"] >> _HALF)
        doubts = np.unique(resources[unsure])
        every = np.concatenate((self._pairs, new, _pairs(doubts, OTHERS, 0)))
        every["times"][len(every) - len(doubts) :] = 0
        pairs = _summed(every)
        of, counts = np.unique(pairs["key"] >> _HALF, return_counts=True)
        crowded = np.isin(pairs["key"] >> _HALF, of[counts > _FEW])
        if crowded.any():
            pairs["key"][crowded] &= ~_LOW
            pairs = _summed(pairs)
        if len(pairs) > _KEEP:
            pairs = self._forget(pairs)
        self._pairs = pairs

    def _forget(self, pairs: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Drop resources until there is room: what was used once or twice first, the oldest first."""
        resources = pairs["key"] >> _HALF
        of, inverse = np.unique(resources, return_inverse=True)
        times, last = np.zeros(len(of), np.int64), np.zeros(len(of), np.int64)
        np.add.at(times, inverse, pairs["times"])
        np.maximum.at(last, inverse, pairs["last"])
        order = np.lexsort((last, times > 2))
        gone = np.zeros(len(of), bool)
        gone[order[: len(of) - _KEEP // (2 * _FEW)]] = True
        self._unsure_below = max(self._unsure_below, int(of[gone].max()) + 1)
        return pairs[~gone[inverse]]


def _pairs(
    resources: npt.NDArray[np.uint64], who: npt.NDArray[np.uint64] | int, at: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.void]:
    pairs = np.empty(len(resources), _PAIR)
    pairs["key"] = (resources << _HALF) | np.asarray(who, np.uint64)
    pairs["times"], pairs["last"] = 1, at
    return pairs


def _summed(pairs: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Each key once."""
    keys, inverse = np.unique(pairs["key"], return_inverse=True)
    summed = np.zeros(len(keys), _PAIR)
    summed["key"] = keys
    np.add.at(summed["times"], inverse, pairs["times"])
    np.maximum.at(summed["last"], inverse, pairs["last"])
    return summed
