"""One run of a program, as its recording shows it, to look things up in: what lessons are made from.

A thin layer over a replay: steps by their numbers, greenlets by their names, and what was looked up once is kept. It
decides nothing about what is worth telling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from greenscope.trace.analysis.replay import Replay
from greenscope.trace.events import Kind
from greenscope.trace.records import Event, Site

__all__ = ["Run"]


class Run:
    """The steps of a replay.

    Args:
        replay: of a recording that is complete.
    """

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.hub = replay.hub
        self._called: dict[int, str] = {}  # a greenlet's name, without its number
        self._found: dict[Any, Any] = {}
        for step in self.steps(Kind.GREENLET_NAME):
            event = self.event(step)
            self._called[event.greenlet] = replay.numbers.string(event.arg)

    def __len__(self) -> int:
        return len(self.replay)

    def event(self, step: int) -> Event:
        """The event of a step that is no loss."""
        event = self.replay.event(step)
        assert isinstance(event, Event)
        return event

    def steps(self, *kinds: int, first: int = 0, past: int | None = None, reason: int | None = None) -> Iterator[int]:
        """The steps of these kinds, and for this reason, in ``[first, past)``."""
        rows = self.replay.recording.rows[first:past]
        wanted = np.isin(rows["kind"], kinds)
        if reason is not None:
            wanted &= rows["reason"] == reason
        return iter((np.flatnonzero(wanted) + first).tolist())

    def kept(self, what: object, make: Callable[[], Any]) -> Any:
        """An answer that is made once."""
        if what not in self._found:
            self._found[what] = make()
        return self._found[what]

    # -- what numbers stand for -----------------------------------------------------------------

    def is_called(self, number: int, name: str) -> bool:
        """Whether a greenlet has this name."""
        return self._called.get(number) == name

    def label(self, number: int) -> str:
        """A greenlet as the page names it."""
        return self.replay.name(number)

    def site(self, step: int) -> Site | None:
        """The line that a step is at."""
        event = self.event(step)
        return None if event.kind in (Kind.STALL_BEGIN, Kind.STALL_END) else self.replay.numbers.site(event.site)
