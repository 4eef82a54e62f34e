"""What became of a greenlet's time, out of the ring that its own process writes: the twin of ``_figures.c``.

For who answers a request and wants to say in the answer where its time went: the records since it began are
read once, when it is asked, and nothing is counted before. A base of ``ring_python.Ring``.

It needs no numpy, which the traced process has not, and no lock: the writer has the GIL, and so has who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenscope.trace.events import Kind
from greenscope.trace.ring_layout import EVENT, HANDLE_BITS

if TYPE_CHECKING:
    from greenscope.trace.ring_space import Section

__all__ = ["Figures"]

_ID_MASK = (1 << HANDLE_BITS) - 1
_RUNS = frozenset((Kind.GREENLET_SWITCH, Kind.GREENLET_THROW))
_NO_STATE = frozenset((Kind.GREENLET_SPAWN, Kind.GREENLET_NAME))
_ENDS = frozenset((Kind.GREENLET_PARK, Kind.GREENLET_EXIT))


class Figures:
    """Where a greenlet's time went."""

    if TYPE_CHECKING:
        _buffer: memoryview
        _detached: bool
        _head: int
        _events_at: Section

        def _now(self) -> int: ...

    def figures(
        self, head: int, time_ns: int, handle: int, most: int
    ) -> tuple[bool, int, int, dict[int, int], int, int]:
        """What became of a greenlet's time since a moment in which it ran.

        Args:
            head: what ``head`` was then.
            time_ns: when that was.
            handle: the greenlet.
            most: how many records may be read; of more, the newest.

        Returns:
            Whether all records were still there (what was lost is in none of the sums), nanoseconds in which it
            ran, in which it was ready, and in which it waited, by ``Wait``; and how many greenlets it and those
            it spawned spawned since, and for how many nanoseconds these ran.
        """
        if self._detached:
            return False, 0, 0, {}, 0, 0
        capacity = self._events_at.size // EVENT.size
        greenlet = handle & _ID_MASK
        oldest = max(self._head - min(most, capacity), 0)
        whole = oldest <= head <= self._head
        first = head if whole else oldest
        state: int = Kind.GREENLET_SWITCH if whole else 0  # the kind of its newest event; 0 is not known
        since = last = time_ns
        sums = {Kind.GREENLET_SWITCH: 0, Kind.GREENLET_READY: 0}
        waits: dict[int, int] = {}
        below: set[int] = set()
        one_runs, runs_since, below_run, reason = 0, 0, 0, 0

        def close(at: int) -> None:
            if state == Kind.GREENLET_PARK:
                waits[reason] = waits.get(reason, 0) + at - since
            elif state in sums:
                sums[Kind(state)] += at - since

        for number in range(first, self._head):
            at = self._events_at.offset + number % capacity * EVENT.size
            time, who, kind, why, _, _, arg = EVENT.unpack_from(self._buffer, at)
            if kind == Kind.TEXT or kind > Kind.GREENLET_EXIT:
                continue
            last = max(last, time)
            if kind == Kind.GREENLET_SPAWN and (arg == greenlet or arg in below):
                below.add(who)
            elif kind in _RUNS or kind in _ENDS:
                if one_runs:
                    below_run += last - runs_since
                one_runs, runs_since = (who if kind in _RUNS and who in below else 0), last
            if who == greenlet and kind not in _NO_STATE:
                if kind == Kind.GREENLET_READY and state == kind:
                    continue  # overtaken: it has been ready since
                close(last)
                state, since, reason = (Kind.GREENLET_SWITCH if kind in _RUNS else kind), last, why
        now = max(self._now(), last)
        close(now)
        if one_runs:
            below_run += now - runs_since
        ordered = {kind: waits[kind] for kind in sorted(waits) if waits[kind]}
        return whole, sums[Kind.GREENLET_SWITCH], sums[Kind.GREENLET_READY], ordered, len(below), below_run
