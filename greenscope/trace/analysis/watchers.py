"""What the numbers of watchers stand for, at any moment of a batch: which descriptor, which peer.

A wait names its watcher by number; what that was is said by the ``watcher_open`` before it, in this
batch or long ago. Both are binary searches: in what the batch opens and closes, and in what was
open when it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.texts import Texts
from greenscope.trace.events import NO_FD, Kind, Watch
from greenscope.trace.records import GreenletSlot

__all__ = ["Watcher", "Watchers"]

_KEEP = 1 << 17
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_WATCHER = np.dtype([("resource", "u8"), ("fd", "u4"), ("peer", "u4"), ("watch", "u1"), ("open", "?")], align=True)


@dataclass(frozen=True, slots=True)
class Watcher:
    """What a watcher's number stands for."""

    watch: int
    fd: int | None
    peer: str


class Watchers:
    """The watchers that are open, sorted by number."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._open = np.empty(0, _WATCHER)
        self._changes = np.empty(0, _WATCHER)  # of this batch, by resource and then by time
        self._moments = np.empty(0, np.uint64)  # of those: resource, and index of the event

    def __len__(self) -> int:
        return len(self._open)

    @property
    def texts(self) -> list[npt.NDArray[Any]]:
        """The columns of texts, for ``Texts.keep``."""
        return [self._open["peer"]]

    def get(self, resource: int) -> Watcher | None:
        """An open watcher, by its number."""
        index = int(np.searchsorted(self._open["resource"], np.uint64(resource)))
        if index == len(self._open) or self._open["resource"][index] != resource:
            return None
        _, fd, peer, watch, _ = self._open[index].item()
        return Watcher(watch, None if fd == NO_FD else fd, self._texts[peer])

    def learn(self, table: Iterable[GreenletSlot]) -> None:
        """Take up from the greenlet table what was opened where it was lost: what each waits on, or did last.

        A number is never used again, so it does not matter that the table is later than the events to come.
        """
        known = set(self._open["resource"].tolist())
        new = []
        for slot in table:
            if slot.fd is not None and slot.resource and slot.resource not in known and slot.state != "free":
                known.add(slot.resource)
                writes = slot.state == "waiting" and slot.reason == Watch.WRITE
                watch = Watch.WRITE if writes else Watch.READ
                new.append((slot.resource, slot.fd, self._texts.number(slot.peer), watch, True))
        if new:
            merged = np.concatenate((self._open, np.array(new, _WATCHER)))
            self._open = merged[np.argsort(merged["resource"], kind="stable")]

    def begin(self, events: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], texts: dict[int, str]) -> None:
        """Take up what a batch opens and closes."""
        index = np.flatnonzero((kinds == Kind.WATCHER_OPEN) | (kinds == Kind.WATCHER_CLOSE))
        arg = events["arg"][index]
        changes = np.empty(len(index), _WATCHER)
        changes["resource"] = arg & _LOW
        changes["fd"] = arg >> _HALF
        changes["watch"] = events["reason"][index]
        changes["open"] = kinds[index] == Kind.WATCHER_OPEN
        number = self._texts.number
        changes["peer"] = [number(texts[at]) if at in texts else 0 for at in index.tolist()] if texts else 0
        moments = (changes["resource"] << _HALF) | index.astype(np.uint64)
        order = np.argsort(moments)
        self._moments, self._changes = moments[order], changes[order]

    def at(
        self, resources: npt.NDArray[np.uint64], index: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Descriptors (``NO_FD``: none) and peers of watchers, each as it was at an event of the batch."""
        fds = np.full(len(resources), NO_FD, np.uint32)
        peers = np.zeros(len(resources), np.uint32)
        if len(self._open):
            ids = np.ascontiguousarray(self._open["resource"])
            found = np.searchsorted(ids, resources)
            found[found == len(ids)] = 0
            hit = np.flatnonzero(ids[found] == resources)
            found = found[hit]
            fds[hit], peers[hit] = self._open["fd"][found], self._open["peer"][found]
        if len(self._moments):
            # Numbers have 32 bits; a larger one is damage, and no watcher.
            moments = (resources << _HALF) | index.astype(np.uint64)
            found = np.searchsorted(self._moments, moments) - 1
            ids = np.ascontiguousarray(self._changes["resource"])
            hit = np.flatnonzero((found >= 0) & (ids[found] == resources))
            found = found[hit]
            is_open = self._changes["open"][found]
            fds[hit] = np.where(is_open, self._changes["fd"][found], np.uint32(NO_FD))
            peers[hit] = np.where(is_open, self._changes["peer"][found], np.uint32(0))
        return fds, peers

    def end(self) -> None:
        """The batch is over: what it opened last is open."""
        changes = self._changes
        if not len(changes):
            return
        last = np.append(changes["resource"][1:] != changes["resource"][:-1], True)
        final = changes[last]
        kept = self._open[~np.isin(self._open["resource"], final["resource"])]
        merged = np.concatenate((kept, final[final["open"]]))
        merged = merged[np.argsort(merged["resource"], kind="stable")]
        if len(merged) > _KEEP:  # that many are not open: where they closed was lost
            merged = merged[-(_KEEP // 2) :]
        self._open = merged
        self._changes, self._moments = changes[:0], self._moments[:0]
